"""Inputs of a user's decoder from NumPy files: to calibrate on, and to decode."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.atomic import whole_file
from nvc_check.models.errors import UsageError
from nvc_check.models.package import Package
from nvc_check.models.symbols import Clipping, FrameInfo, SymbolsWriter

Example = dict[str, NDArray[np.float32]]


def read_examples(source: Path, inputs: Collection[str]) -> Iterator[tuple[str, Example]]:
    """(file name, inputs by name), of a .npz file, or of all those in a folder in the order of their names.

    Raises:
        UsageError: nothing there, not NumPy arrays, an input missing, or values that float32 does not hold.
    """
    for name, arrays in _arrays(source, inputs):
        yield name, {entry: _as_given(name, entry, array, "float32") for entry, array in arrays.items()}


def write_examples(package: Package, source: Path, out: Path) -> None:
    """The symbols file of a user's decoder: its inputs as given for FP32, in steps of their grids for integers.

    Raises:
        UsageError: as read_examples; a shape or values that the decoder does not take; `out` cannot be written.
    """
    grids = package.manifest.inputs
    with whole_file(out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, {"source": source.name})
        for name, arrays in _arrays(source, grids):
            given, steps, clipped = {}, {}, {}
            for entry, array in arrays.items():
                grid = grids[entry]
                _check_shape(name, entry, array.shape, grid.shape or (1, grid.channels, None, None))
                given[entry] = _as_given(name, entry, array, grid.dtype)
                unlimited = np.rint(
                    np.ldexp(given[entry].astype(np.float64), -grid.exponent)
                )  # no int64 holds them all
                steps[entry] = np.clip(unlimited, grid.low, grid.high).astype(np.int32)
                clipped[entry] = Clipping.of(unlimited, grid.low, grid.high)
            height, width = next((array.shape[2:] for array in steps.values() if array.ndim == 4), (1, 1))
            writer.add(FrameInfo(name, height, width, {}, {}, clipped), {"fp32": given, "int": steps})
        writer.finish()


def _arrays(source: Path, inputs: Collection[str]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """(file name, inputs by name) as they are: finite real numbers of any dtype and shape."""
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
        yield file.name, {name: found[name] for name in inputs}


def _check_shape(file: str, name: str, found: tuple[int, ...], expected: Sequence[int | None]) -> None:
    """`expected`: (1, C, h, w) or (1, C), None for any size but 0."""
    fits = len(found) == len(expected) and all(e in (f, None) for f, e in zip(found, expected, strict=True))
    if not fits or not all(found):
        sides = ("1", "C", "height", "width")
        spelled = ", ".join(side if size is None else str(size) for side, size in zip(sides, expected, strict=False))
        raise UsageError(f"{file}: {name} is {found}, expected ({spelled})")


def _as_given(file: str, name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """`array` as the float graph takes it, float32, or int32: whole numbers, ties to even; nothing is clipped."""
    exact = array.astype(np.float64)
    limits = np.finfo(np.float32) if dtype == "float32" else np.iinfo(np.int32)
    whole = exact if dtype == "float32" else np.rint(exact)
    if array.size and (whole.min() < limits.min or whole.max() > limits.max):
        raise UsageError(f"{file}: {name} reaches {np.abs(exact).max():.3g}, expected values that {dtype} holds")
    return whole.astype(dtype)
