"""Commands that work or wait too long, for the limit that altered files have: run in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from property.mutations import HUNG, ran


def _works(seconds: float) -> None:
    """As a library that makes an error of its own of whatever Exception it meets."""
    end = time.process_time() + seconds
    try:
        while time.process_time() < end:
            pass
    except Exception as error:
        raise RuntimeError("an error of the library") from error


# with the exit code and what is said, where a second is the limit
COMMANDS: Final[dict[str, tuple[Callable[[], None], tuple[int, str]]]] = {
    "no end": (lambda: _works(60), (-1, HUNG)),  # past any clock
    "too long": (lambda: _works(1.5), (-1, HUNG)),  # too much work, which the clock of a shared machine would allow
    "waited": (lambda: time.sleep(1.5), (0, "")),  # as long by the clock, while others have the processor
    "waits without end": (lambda: time.sleep(60), (-1, HUNG)),
}


def ran_for_a_second(name: str) -> tuple[int, str]:
    code, _, said = ran([], 1, COMMANDS[name][0])
    return code, said
