"""Known deviations: xfails/<leg>.txt, one line each: `FILE/CASE  reason` or `FILE/*  reason`; # begins a comment.

A file's name is the leg as it is spelled, with - for the colon, which Windows does not allow in a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = Path(__file__).parent / "xfails"


@dataclass(frozen=True)
class Deviation:
    """`pattern` matches names of cases; `place`: file and line."""

    pattern: str
    reason: str
    place: str


def file_of(leg: str) -> str:
    return leg.replace(":", "-") + ".txt"


def deviations(leg: str, folder: Path = FOLDER) -> list[Deviation]:
    """Raises ValueError for a line without a reason."""
    file = folder / file_of(leg)
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.strip().partition("  ")
        place = f"{file.name}:{number}"
        if not reason.strip():
            raise ValueError(f"{place}: {line!r}, expected FILE/CASE, two spaces, a reason")
        found.append(Deviation(pattern, reason.strip(), place))
    return found


def reason_of(case: str, known: Iterable[Deviation]) -> str:
    """Why the case is known to fail, "" where it is not."""
    return next((f"{item.reason} ({item.place})" for item in known if fnmatchcase(case, item.pattern)), "")


def unmatched(known: Iterable[Deviation], cases: Iterable[str]) -> list[str]:
    """Lines that no case needs."""
    names = list(cases)
    return [f"{item.place}: {item.pattern} matches no case" for item in known if not any(
        fnmatchcase(name, item.pattern) for name in names
    )]  # fmt: skip
