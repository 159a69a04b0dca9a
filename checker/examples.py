"""Inputs of a user's decoder from NumPy files: to calibrate on, and to decode."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.atomic import whole_file
from nvc_check.models.errors import UsageError
from nvc_check.models.grid import to_grid
from nvc_check.models.package import Package
from nvc_check.models.symbols import PATHS, FrameInfo, SymbolsWriter

Example = dict[str, NDArray[np.float32]]


def read_examples(source: Path, inputs: Collection[str]) -> Iterator[tuple[str, Example]]:
    """(file name, inputs by name), of a .npz file, or of all those in a folder in the order of their names.

    Raises:
        UsageError: nothing there, not NumPy arrays, or an input missing.
    """
    files = sorted(source.glob("*.npz")) if source.is_dir() else [source]
    if not files:
        raise UsageError(f"{source}: no .npz files, expected at least one with {', '.join(inputs)}")
    for file in files:
        try:
            with np.load(file) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError, EOFError) as error:
            raise UsageError(f"{file}: not a .npz file ({error}); write it with numpy.savez") from error
        missing = [name for name in inputs if name not in found]
        if missing:
            has = ", ".join(found) or "nothing"
            raise UsageError(f"{file}: has {has}, expected {', '.join(inputs)}; name the arrays as the inputs")
        wrong = [name for name in inputs if found[name].dtype.kind not in "fiub" or not np.isfinite(found[name]).all()]
        if wrong:
            raise UsageError(f"{file}: {wrong[0]} is {found[wrong[0]].dtype}, expected finite real numbers")
        yield file.name, {name: found[name].astype(np.float32) for name in inputs}


def write_examples(package: Package, source: Path, out: Path) -> None:
    """The symbols file of a user's decoder: its inputs in steps of their grids, the same for both paths.

    Raises:
        UsageError: as read_examples; a shape that the decoder does not take; `out` cannot be written.
    """
    grids = package.manifest.inputs
    with whole_file(out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, {"source": source.name})
        for name, example in read_examples(source, grids):
            steps = {}
            for entry, array in example.items():
                grid = grids[entry]
                if array.ndim != 4 or array.shape[:2] != (1, grid.channels):
                    raise UsageError(f"{name}: {entry} is {array.shape}, expected (1, {grid.channels}, height, width)")
                limited = np.clip(to_grid(array.astype(np.float64), grid.exponent), grid.low, grid.high)
                steps[entry] = limited.astype(np.int32)
            height, width = next(iter(steps.values())).shape[2:]
            writer.add(FrameInfo(name, height, width, {}, {}), dict.fromkeys(PATHS, steps))
        writer.finish()
