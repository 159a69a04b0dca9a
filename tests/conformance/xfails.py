"""Known deviations: xfails/<leg>.txt, one line each: `FILE/CASE  KIND: reason`, or FILE/*; # begins a comment.

KIND is what must be seen: `falls back` (nodes ran on another provider) or `wrong` (values); any other failure of that
case, a crash among them, is a failure of the test. A file's name is the leg as it is spelled, with - for the colon,
which Windows does not allow in a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

SEEN: Final = {"falls back": "fell back", "wrong": "values are wrong"}
FOLDER = Path(__file__).parent / "xfails"


@dataclass(frozen=True)
class Deviation:
    """`pattern` matches names of cases; `kind` of SEEN; `place`: file and line."""

    pattern: str
    kind: str
    reason: str
    place: str


def file_of(leg: str) -> str:
    return leg.replace(":", "-") + ".txt"


def deviations(leg: str, folder: Path = FOLDER) -> list[Deviation]:
    """Raises ValueError for a line without a kind and a reason."""
    file = folder / file_of(leg)
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, said = line.strip().partition("  ")
        kind, _, reason = said.strip().partition(": ")
        place = f"{file.name}:{number}"
        if kind not in SEEN or not reason.strip():
            raise ValueError(f"{place}: {line!r}, expected FILE/CASE, two spaces, {', '.join(SEEN)}: a reason")
        found.append(Deviation(pattern, kind, reason.strip(), place))
    return found


def known(case: str, among: Iterable[Deviation]) -> Deviation | None:
    """How the case is known to fail; None where it is not."""
    return next((item for item in among if fnmatchcase(case, item.pattern)), None)


def as_known(deviation: Deviation, said: str) -> bool:
    """Whether what was seen is what is known, and nothing else."""
    return SEEN[deviation.kind] in said


def unmatched(listed: Iterable[Deviation], cases: Iterable[str]) -> list[str]:
    """Lines that no case needs."""
    names = list(cases)
    return [f"{item.place}: {item.pattern} matches no case" for item in listed if not any(
        fnmatchcase(name, item.pattern) for name in names
    )]  # fmt: skip
