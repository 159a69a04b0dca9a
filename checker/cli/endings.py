"""How a command ends without its verdict: signals, a full disk, a reader that went, an error of its own."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback

from nvc_check.checker.cli.console import error_line
from nvc_check.models.errors import UsageError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
INTERNAL = 70  # EX_SOFTWARE of sysexits.h
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def end_on_signals() -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does, unless they are ignored, as nohup leaves one."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ended)


def nobody_reads() -> int:
    """Who reads standard output has gone: what its buffer still holds goes nowhere, without another error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else INTERNAL


def _ended(number: int, frame: object) -> None:
    """SIGTERM, SIGHUP: as Ctrl-C, so that legs and temporary files go."""
    raise SystemExit(128 + number)


def system_error(error: OSError) -> int:
    """A full disk is no fault of this program."""
    if error.errno not in FULL:
        return internal_error(error)
    where = f"{error.filename}: " if error.filename else ""
    error_line(UsageError(f"{where}{error.strerror}; nothing was left half-written, make room or choose another place"))
    return UsageError.exit_code


def missing_package(error: ModuleNotFoundError) -> int:
    """What reads pictures, encodes or exports is installed with an extra only; a module of its own is its own fault."""
    package = (error.name or "nvc_check").partition(".")[0]
    if package == "nvc_check":
        return internal_error(error)
    error_line(
        UsageError(f"{package} is not installed, and this command needs it; pip install 'nvc-check[export,cpu]'")
    )
    return UsageError.exit_code


def internal_error(error: Exception) -> int:
    """One line that tells it from a verdict; the rest on request."""
    if "--verbose" in sys.argv or "-v" in sys.argv:
        traceback.print_exception(error)
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    error_line(RuntimeError(f"an error of nvc-check itself: {said}; `nvc-check --verbose ...` shows where"))
    return INTERNAL
