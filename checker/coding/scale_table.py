"""The scale table of an entropy coder, from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.tables import scale_table
from nvc_check.models.errors import UsageError

MOST = 4096  # entries; coders have 64 or so


def read_table(file: Path | None) -> NDArray[np.float32]:
    """(n,) float32, ascending; an index counts all but the last that are below a scale. None: CompressAI's.

    Raises:
        UsageError: no such file, or no such table.
    """
    if file is None:
        return scale_table()
    try:
        array = np.load(file) if file.suffix == ".npy" else np.loadtxt(file, np.float64, delimiter=None)
        table = np.asarray(array, np.float32).reshape(-1)
    except (OSError, ValueError, EOFError, TypeError) as error:
        line = (str(error).splitlines() or [repr(error)])[0]
        raise UsageError(f"--table {file}: not read ({line}); expected numbers, one a line, or a .npy file") from error
    if not 2 <= table.size <= MOST or not np.isfinite(table).all() or table[0] <= 0 or (np.diff(table) <= 0).any():
        raise UsageError(f"--table {file}: {table.size} numbers, expected 2 to {MOST}, above 0 and ascending")
    return table
