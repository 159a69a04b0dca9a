"""What the compiler knows of a tensor of the float graph: its grid, its integers over the calibration, their range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_writer import GraphWriter, same_name
from nvc_check.exporter.lower.flavours import Flavour
from nvc_check.exporter.lower.writing import column
from nvc_check.models.artifacts.package import MOST_DECIBELS
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import exponent_to_hold

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WIDE = 32767  # largest integer of a tensor that was rounded to 16 bits
HELD = WIDE // 2  # the calibration's largest value then; twice as much does not saturate yet
LIMIT = 1 << 21  # of any tensor's integers: sums and a rounding term still fit
SEARCHED = 10_000  # places over which units are compared
OCTAVES = 7
BYTE = 255
BEYOND = 2.0  # a calibration of 100 places is taken to be exceeded by a fifth, one of 10,000 by a fiftieth
SPREAD = 8  # a channel's grid is at most 2^8 finer than the coarsest of its tensor


@dataclass(frozen=True)
class Known:
    """A float tensor of the graph, (1, C, h, w); a vector (1, C) is (1, C, 1, 1).

    Attributes:
        name: of the integer tensor in the graphs that are written.
        unit: (C,) e: real value = integer * 2^e.
        real: per calibration example, what the float graph gives, in float64.
        integers: the same of the integer graph, in units.
        low, high: range of the integers, which the graph ensures.
        zero: the zero point with which it was just dequantized from uint8; None where it was not.
        given: it is an input of the graph, or made of them without a layer.
    """

    name: str
    unit: Float64
    real: list[Float64]
    integers: list[Float64]
    low: int
    high: int
    zero: int | None = None
    given: bool = False

    @property
    def channels(self) -> int:
        return len(self.unit)

    def made(self) -> list[Float64]:
        """What the integer graph gives, as real values."""
        return [each * np.exp2(column(self.unit)) for each in self.integers]


@dataclass(frozen=True)
class FixedGrid:
    """What an input or output of a graph is by its role, whatever the calibration says: integers within [low, high] in
    steps of 2^exponent, one for all channels or one for each.
    """

    exponent: int | tuple[int, ...]
    low: int
    high: int

    def units(self, channels: int) -> Float64:
        """(C,)."""
        return np.broadcast_to(np.asarray(self.exponent, np.float64), channels).copy()

    @property
    def is_byte(self) -> bool:
        return self.low >= 0 and self.high <= BYTE


Write = Callable[[GraphWriter, Flavour, dict[str, ir.Value]], ir.Value]


@dataclass(frozen=True)
class PlannedLayer:
    """What stands in a layer's place.

    Attributes:
        precision: wNaM.
        read, made: exponents of the finest and the coarsest grid of what it reads and gives.
        bound: the largest sum that its kernels can meet, in their steps.
        kernels: one behind the other where it is made of several.
        share: of the graph's multiplications.
    """

    name: str
    op_type: str
    precision: str
    read: tuple[int, int]
    made: tuple[int, int]
    bound: int
    kernels: tuple[str, ...]
    share: float


class Plan:
    """How the integer graph is written, tensor by tensor; both flavours follow it."""

    def __init__(self) -> None:
        self.layers: list[PlannedLayer] = []
        self._steps: list[tuple[str, Write]] = []
        self._forms: dict[tuple[str, str, bytes], str] = {}
        self._made: dict[tuple[str, str, bytes], Known] = {}

    def add(self, name: str, write: Write) -> None:
        self._steps.append((name, write))

    def form(self, tensor: str, kind: str, unit: Float64, write: Callable[[str], Write]) -> str:
        """The name of another form of a tensor, which is written once however many read it."""
        key = (tensor, kind, unit.tobytes())
        if key not in self._forms:
            others = sum(1 for each, form, _ in self._forms if (each, form) == (tensor, kind))
            self._forms[key] = f"{tensor}_{kind}" + (f"_{others}" if others else "")
            self.add(self._forms[key], write(self._forms[key]))
        return self._forms[key]

    def once(self, tensor: str, kind: str, key: bytes, make: Callable[[str], Known]) -> Known:
        """Another form of a tensor, made once however many read it; `make` is given its name."""
        if (tensor, kind, key) not in self._made:
            others = sum(1 for each, form, _ in self._made if (each, form) == (tensor, kind))
            self._made[tensor, kind, key] = make(f"{tensor}_{kind}" + (f"_{others}" if others else ""))
        return self._made[tensor, kind, key]

    def follow(self, graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> None:
        """Writes everything; `values` has the graph's inputs and gets all tensors.

        Raises:
            ExportRefusedError: two tensors of one name.
        """
        for name, write in self._steps:
            if name in values:
                raise ExportRefusedError(same_name(name))
            values[name] = write(graph, style, values)


def peaks(real: list[Float64]) -> Float64:
    """(C,) the largest magnitude of each channel."""
    found: Float64 = np.max([np.abs(x).max(axis=(0, 2, 3)) for x in real], axis=0)
    return found


def likely_peaks(real: list[Float64]) -> Float64:
    """(C,) as `peaks`, and more the less the calibration has seen: what comes later goes somewhat beyond."""
    seen = sum(each.shape[2] * each.shape[3] for each in real)
    return peaks(real) * float(1 + BEYOND / np.sqrt(seen))


def finest_best(
    real: list[Float64], unit: Float64, low: int, high: int, bent: Callable[[Float64], Float64] = lambda x: x
) -> tuple[Float64, Float64]:
    """((C,) squared errors, (C,) units): near `unit`, those with which what becomes of the rounded values is nearest to
    what becomes of the real ones: where few values are large, it may be worth that they saturate.

    `bent`: (C, n) -> (C, n), homogeneous, what the tensor's only reader makes of it; rounded to the same grid.
    """
    flat = np.concatenate([each[0].reshape(len(unit), -1) for each in real], axis=1)
    seen = flat.shape[1]
    # by chance, not every n-th: what was interleaved would show one phase only
    some = flat[:, np.random.default_rng(0).choice(seen, SEARCHED)] if seen > SEARCHED else flat
    wanted, errors = bent(some), []
    for finer in range(-1, max(1, int(np.log10(seen)) - 1) if seen < SEARCHED else OCTAVES):
        steps = np.exp2(unit - finer)[:, None]
        rounded = bent(np.clip(np.rint(some / steps), low, high))
        errors.append(((np.clip(np.rint(rounded), low, high) * steps - wanted) ** 2).mean(axis=1))
    return np.min(errors, axis=0), unit + 1 - np.argmin(errors, axis=0)


def unit_for(peak: Float64, labels: Int64, held: int, power_of_two: bool = True) -> Float64:
    """(C,) the finest units that hold `peak`; channels with the same label share one."""
    highest = float(peak.max()) or 1.0
    return tied(exponent_to_hold(np.maximum(peak, highest * 2.0**-SPREAD), held, power_of_two), labels)


def tied(unit: Float64, labels: Int64) -> Float64:
    """The coarsest unit of each label's channels."""
    coarsest = np.full(int(labels.max()) + 1, -np.inf)
    np.maximum.at(coarsest, labels, unit)
    return coarsest[labels]


def noise(known: Known) -> float:
    """Signal to noise in dB, the signal's mean apart."""
    return decibels(known.real, known.made())


def decibels(real: list[Float64], made: list[Float64]) -> float:
    """Signal to noise of `made` against `real`; of a constant signal, its square is the signal."""
    number = sum(each.size for each in real)
    error = sum(float(((a - b) ** 2).sum()) for a, b in zip(real, made, strict=True)) / number
    mean = sum(float(each.sum()) for each in real) / number
    signal = sum(float(((each - mean) ** 2).sum()) for each in real) / number or mean**2
    if error == 0:
        return MOST_DECIBELS
    smallest = 1e-30
    return float(10 * np.log10(max(signal, smallest) / max(error, smallest)))
