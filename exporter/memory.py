"""Memory that is freed stays with the process: large arrays that come and go cost page faults else."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """One heap, no maps of its own for large blocks, nothing given back before the end. Only glibc has the settings.

    Calibration and rounding in float64 on two cores spent a quarter of their processor time on page faults. To be
    called before threads start.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for setting, value in ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)):
            mallopt(setting, value)
