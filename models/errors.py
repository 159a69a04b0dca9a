"""What can go wrong, and the exit code the shell sees.

    NvcCheckError
    ├── UsageError                 2   arguments or input files that cannot be used
    ├── BadArtifactError           3   package, symbols or trace damaged, foreign or of another version
    ├── ExportRefusedError         4   the codec or graph cannot be exported exactly (names the node)
    ├── ProviderUnavailableError   5   engine not installed, device missing, or nodes would fall back
    └── RunFailedError             6   a leg started and then failed (crash, NaN, time limit)

Exit codes 0 (identical) and 1 (different) are verdicts, not errors. Every message names the thing, what was
found, what was expected, and what to do.
"""


class NvcCheckError(Exception):
    """Base of all errors that end a command; `exit_code` is what the process returns."""

    exit_code = 6


class UsageError(NvcCheckError):
    exit_code = 2


class BadArtifactError(NvcCheckError):
    exit_code = 3


class ExportRefusedError(NvcCheckError):
    exit_code = 4


class ProviderUnavailableError(NvcCheckError):
    exit_code = 5


class RunFailedError(NvcCheckError):
    exit_code = 6
