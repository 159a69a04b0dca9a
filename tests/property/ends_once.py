"""A check whose process ends the first time: what in_processes is tested with, imported there by name."""

from __future__ import annotations

import os
from pathlib import Path


def ends_once(marker: str) -> bool:
    """True where the file `marker` is there; else it is made, and the process ends."""
    if Path(marker).exists():
        return True
    Path(marker).touch()
    os._exit(3)
