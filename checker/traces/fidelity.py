"""How near the integer path is to FP32 on this very input: signal to noise, what was clipped, and when to warn.

Legs that agree bit for bit may agree on nonsense: an input outside the grids that were calibrated is clipped to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.media.difference import IDENTICAL
from nvc_check.checker.report import ClippedRow, FidelityRow, RateRow
from nvc_check.models.artifacts.package import OUTPUT, Manifest
from nvc_check.models.artifacts.symbols import FrameInfo

WARN_CLIPPED = 0.01  # share of an input's values
WARN_DECIBELS = 3.0  # below the calibration; of a codec, PSNR below FP32's
SLAB = 1 << 20  # values at a time: float64 copies of a whole output would be the largest thing held
Outputs = Mapping[str, tuple[str, NDArray[Any]]]
"""A user's decoder's `output/<name>` -> (leg that gave it, tensor)."""


@dataclass
class Noise:
    """Sums over all frames of one output, in float64.

    Attributes:
        signal: squared deviations of the FP32 values from their mean.
        noise: squared differences of the integer path's values, integer * 2^e, from them.
        shapes: (integer path's, FP32's) of the first frame in which they are not one.
    """

    values: int = 0
    mean: float = 0.0
    signal: float = 0.0
    noise: float = 0.0
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def add(self, integers: NDArray[Any], exponent: int, real: NDArray[Any]) -> None:
        """One frame: `integers` int32 in steps of 2^exponent, `real` float32, of one shape."""
        if integers.shape != real.shape:
            self.shapes = self.shapes or (integers.shape, real.shape)
            return
        ours, theirs = integers.reshape(-1), real.reshape(-1)
        for start in range(0, theirs.size, SLAB):
            expected = theirs[start : start + SLAB].astype(np.float64)
            found = np.ldexp(ours[start : start + SLAB].astype(np.float64), exponent)
            self.noise += float(np.sum((found - expected) ** 2))
            # Chan, Golub and LeVeque 1979: variances of two sets joined, without cancellation
            mean, values = float(np.mean(expected)), self.values + expected.size
            self.signal += float(np.sum((expected - mean) ** 2))
            self.signal += (mean - self.mean) ** 2 * self.values * expected.size / values
            self.mean += (mean - self.mean) * expected.size / values
            self.values = values

    @property
    def decibels(self) -> float | None:
        """10 log10(variance / mean squared error) within +-IDENTICAL, which is what no noise gives; None: not known."""
        return None if self.shapes or not self.values else decibels(self.signal, self.noise)


def decibels(signal: float, noise: float) -> float:
    if not noise:
        return IDENTICAL
    return max(float(10 * np.log10(signal / noise)), -IDENTICAL) if signal else -IDENTICAL


@dataclass
class Fidelity:
    """Of a user's decoder's outputs, one Noise each and the legs that it was measured on; grows by no tensors."""

    manifest: Manifest
    noises: dict[str, Noise] = field(default_factory=dict)
    legs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, integers: Outputs, reals: Outputs) -> None:
        """One frame's outputs of both paths."""
        for tensor in integers.keys() & reals.keys():
            (leg, found), (reference, expected) = integers[tensor], reals[tensor]
            self.legs.setdefault(tensor, (leg, reference))
            exponent = self.manifest.outputs[tensor.removeprefix(OUTPUT)].exponent
            self.noises.setdefault(tensor, Noise()).add(found, exponent, expected)

    def calibrated(self, tensor: str) -> float | None:
        return self.manifest.fidelity.get(tensor.removeprefix(OUTPUT))

    def rows(self) -> list[FidelityRow]:
        """In the order of the manifest's outputs."""
        tensors = [f"{OUTPUT}{name}" for name in self.manifest.outputs]
        return [
            FidelityRow(
                tensor=tensor,
                leg=self.legs[tensor][0],
                reference=self.legs[tensor][1],
                values=self.noises[tensor].values,
                snr_db=self.noises[tensor].decibels,
                calibration_db=self.calibrated(tensor),
            )
            for tensor in tensors
            if tensor in self.noises
        ]


def outputs_of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Those of a user's decoder; none of a codec."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(OUTPUT)}


def clipped_rows(frames: Iterable[FrameInfo]) -> list[ClippedRow]:
    """Per input of the integer path, over all frames."""
    sums: dict[str, tuple[int, int]] = {}
    for frame in frames:
        for name, counts in frame.clipped.items():
            values, clipped = sums.get(name, (0, 0))
            sums[name] = values + counts.values, clipped + counts.clipped
    return [ClippedRow(input=name, values=values, clipped=clipped) for name, (values, clipped) in sums.items()]


def rate_rows(frames: Sequence[FrameInfo]) -> list[RateRow]:
    """Per path; none where nothing was encoded, as for a user's decoder."""
    if not frames or not all(frame.bits for frame in frames):
        return []
    pixels = sum(frame.height * frame.width for frame in frames)
    return [
        RateRow(
            path=path,
            bits=sum(frame.bits[path] for frame in frames),
            bits_per_pixel=sum(frame.bits[path] for frame in frames) / pixels,
            psnr=float(np.mean([frame.psnr[path] for frame in frames])),
        )
        for path in ("fp32", "int")
    ]


def warnings_of(fidelity: list[FidelityRow], clipped: list[ClippedRow], frames: Sequence[FrameInfo]) -> list[str]:
    """A line for an input clipped by WARN_CLIPPED or more, an output or the pictures WARN_DECIBELS or more below."""
    coded = bool(rate_rows(frames))
    remedy = "what that costs is in the rate" if coded else "calibrate on inputs like these (export --calibration)"
    found = [
        f"{row.input}: {row.clipped:,} of {row.values:,} values ({percent(row.clipped, row.values)} %) lie outside the"
        f" range of the integer path and were clipped to it; {remedy}"
        for row in clipped
        if row.values and row.clipped >= WARN_CLIPPED * row.values
    ]
    for row in fidelity:
        name = row.tensor.removeprefix(OUTPUT)
        if row.snr_db is None:
            found.append(f"{name}: integer path and FP32 give other shapes, expected one; export the package again")
        elif row.calibration_db is not None and row.snr_db <= row.calibration_db - WARN_DECIBELS:
            found.append(
                f"{name}: signal to noise against FP32 is {row.snr_db:.1f} dB on this input, over the calibration"
                f" {row.calibration_db:.1f} dB; calibrate on inputs like these (export --calibration)"
            )
    if coded:
        fp32, integer = (_pooled(frames, path) for path in ("fp32", "int"))
        if integer <= fp32 - WARN_DECIBELS:
            found.append(
                f"pictures: PSNR of the integer path is {integer:.1f} dB, of FP32 {fp32:.1f} dB; calibrate on pictures"
                " like these (export --calibration)"
            )
    return found


def percent(part: int, whole: int) -> str:
    """Two digits: 0, 0.00012, 3.4, 86, 100."""
    share = 100 * part / whole
    return f"{share:.0f}" if share >= 9.95 else f"{share:.2g}"


def _pooled(frames: Sequence[FrameInfo], path: str) -> float:
    """PSNR of the mean squared error over all pixels: one flat frame at 999 dB does not lift the rest, as in a mean."""
    pixels = sum(frame.height * frame.width for frame in frames)
    errors = [frame.height * frame.width * 10 ** (-frame.psnr[path] / 10) for frame in frames]
    return float(-10 * np.log10(sum(errors) / pixels))
