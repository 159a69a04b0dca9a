"""Inputs of a user's decoder from NumPy files or pictures: to calibrate on, and to decode."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from nvc_check.checker.coding.picture_examples import (
    PictureInput,
    Shapes,
    calibration_pictures,
    holds_arrays,
    not_arrays,
    of_package,
    pictures,
    refusal,
    shapes_of,
    spelled,
)
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Clipping, FrameInfo, SymbolsWriter
from nvc_check.models.atomic import whole_file
from nvc_check.models.errors import UsageError

Example = dict[str, NDArray[np.float32]]


LARGEST_PEAK = 65535.0  # 16 bits: no picture is brighter


@dataclass(frozen=True)
class Calibration:
    """Inputs by name to calibrate a decoder on.

    Attributes:
        peak: value of white in the input, None where that is not known.
        note: what was assumed, for the user; empty where nothing was.
    """

    examples: list[Example]
    peak: float | None
    note: str = ""


def calibration(given: Path | None, shapes: Shapes, real: bool, peak: float | None) -> Calibration:
    """Of .npz files, pictures or a clip; None: of photographs, where the decoder takes pictures.

    Args:
        shapes: of its inputs.
        real: they are floats.
        peak: value of white, 1 where it is None.

    Raises:
        UsageError: nothing that the decoder takes.
    """
    if peak is not None and not 0 < peak <= LARGEST_PEAK:
        raise UsageError(f"--peak {peak:g}: expected above 0 and at most {LARGEST_PEAK:g}, 1 or 255 as a rule")
    takes = PictureInput.of(shapes, real, 1.0 if peak is None else peak)
    if takes is None and peak is not None:
        raise refusal(f"--peak {peak:g}: the model takes no pictures", shapes)
    if given is not None and holds_arrays(given):
        return Calibration([example for _, example in read_examples(given, shapes)], peak)
    if takes is None:
        raise refusal("--calibration: missing" if given is None else not_arrays(given), shapes)
    arrays = list(calibration_pictures(given, takes))
    what = "photographs" if given is None else "pictures" if len(arrays) > 1 else "picture"
    unsaid = "" if peak is not None else "; --peak 255 if the model takes 0 to 255"
    return Calibration(
        [{takes.name: array} for array in arrays], takes.peak, f"calibrated on {len(arrays)} {what} as {takes}{unsaid}"
    )


def takes_floats(model: ModelProto) -> bool:
    return all(value.type.tensor_type.elem_type == TensorProto.FLOAT for value in model.graph.input)


def read_examples(source: Path, inputs: Collection[str]) -> Iterator[tuple[str, Example]]:
    """(file name, inputs by name), of a .npz file, or of all those in a folder in the order of their names.

    Raises:
        UsageError: nothing there, not NumPy arrays, an input missing, or values that float32 does not hold.
    """
    for name, arrays in _arrays(source, inputs):
        yield name, {entry: _as_given(name, entry, array, "float32") for entry, array in arrays.items()}


def write_examples(package: Package, source: Path, out: Path, excerpt: tuple[int, int] | None = None) -> None:
    """The symbols file of a user's decoder: its inputs as given for FP32, in steps of their grids for integers.

    Args:
        excerpt: (height, width) of pictures that are larger, where the decoder takes any size; None: whole.

    Raises:
        UsageError: `source` is not what the decoder takes: .npz files, pictures or a clip; `out` cannot be written.
    """
    grids, shapes = package.manifest.inputs, shapes_of(package.manifest)
    with whole_file(out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, {"source": source.name})
        for name, arrays in _inputs(package, source, excerpt):
            given, steps, clipped = {}, {}, {}
            for entry, array in arrays.items():
                grid = grids[entry]
                _check_shape(name, entry, array.shape, shapes[entry])
                given[entry] = _as_given(name, entry, array, grid.dtype)
                unlimited = np.rint(
                    np.ldexp(given[entry].astype(np.float64), -grid.exponent)
                )  # no int64 holds them all
                steps[entry] = np.clip(unlimited, grid.low, grid.high).astype(np.int32)
                clipped[entry] = Clipping.of(unlimited, grid.low, grid.high)
            height, width = next((array.shape[2:] for array in steps.values() if array.ndim == 4), (1, 1))
            writer.add(FrameInfo(name, height, width, {}, {}, clipped), {"fp32": given, "int": steps})
        writer.finish()


def _inputs(
    package: Package, source: Path, excerpt: tuple[int, int] | None
) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """(name, inputs by name) of .npz files, pictures or a clip."""
    if holds_arrays(source):
        return _arrays(source, package.manifest.inputs)
    takes = of_package(package.manifest, not_arrays(source))
    return ((name, {takes.name: array}) for name, array in pictures(source, takes, excerpt))


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
        raise UsageError(f"{file}: {name} is {found}, expected {spelled(expected)}")


def _as_given(file: str, name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """`array` as the float graph takes it, float32, or int32: whole numbers, ties to even; nothing is clipped."""
    exact = array.astype(np.float64)
    limits = np.finfo(np.float32) if dtype == "float32" else np.iinfo(np.int32)
    whole = exact if dtype == "float32" else np.rint(exact)
    if array.size and (whole.min() < limits.min or whole.max() > limits.max):
        raise UsageError(f"{file}: {name} reaches {np.abs(exact).max():.3g}, expected values that {dtype} holds")
    return whole.astype(dtype)
