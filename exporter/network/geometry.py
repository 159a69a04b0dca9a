"""Convolutions of any geometry as plain ones: a ConvTranspose is convolutions of stride 1, their outputs interleaved.

ONNX Runtime has no integer ConvTranspose; this form makes its QLinearConv run. One convolution for each stride phase
has the fewest products; few channels are better made by one convolution for all, whose kernel is as large as the
largest phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Pair = tuple[int, int]

APART_FROM = 16  # output channels; integer kernels compute that many at once


@dataclass(frozen=True)
class Convolution:
    """A Conv of ONNX.

    Attributes:
        weight: (O, C / groups, rows, columns) float64.
        bias: (O,) float64.
        strides, dilations: of rows and columns.
        pads: top, left, bottom, right; none negative.
        channels: (O,) the output channel of the layer that each row of the weights gives.
    """

    weight: Float64
    bias: Float64
    strides: Pair
    pads: tuple[int, int, int, int]
    dilations: Pair
    groups: int
    channels: Int64

    @property
    def in_channels(self) -> int:
        return int(self.weight.shape[1]) * self.groups

    def sums(
        self, x: Float64, weight: NDArray[Any], bias: NDArray[Any], dtype: type[np.floating[Any]] = np.float64
    ) -> Float64:
        """(1, O, H, W): this convolution with other weights and biases of x, (1, C, h, w), computed in `dtype`."""
        given, weights, biases = (torch.from_numpy(each.astype(dtype, copy=False)) for each in (x, weight, bias))
        made = functional.conv2d(self.padded(given), weights, biases, self.strides, 0, self.dilations, self.groups)
        return made.numpy().astype(np.float64, copy=False)

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        top, left, bottom, right = self.pads
        return functional.pad(x, (left, right, top, bottom)) if any(self.pads) else x


@dataclass(frozen=True)
class Interleave:
    """(1, rows x columns x C, h, w), ordered (row, column, channel), to (1, C, rows h - crop, columns w - crop).

    `crop`: rows and columns that are left out at the end.
    """

    strides: Pair
    channels: int
    crop: Pair

    def __call__(self, phases: Float64) -> Float64:
        (rows, columns), (height, width) = self.strides, phases.shape[2:]
        apart = phases.reshape(rows, columns, self.channels, height, width).transpose(2, 3, 0, 4, 1)
        whole = apart.reshape(1, self.channels, height * rows, width * columns)
        return np.ascontiguousarray(whole[:, :, : height * rows - self.crop[0], : width * columns - self.crop[1]])


@dataclass(frozen=True)
class Layer:
    """A Conv, or a ConvTranspose as its phases.

    Attributes:
        parts: one behind the other along the channels, before they are interleaved.
        interleave: None of a Conv.
    """

    name: str
    parts: tuple[Convolution, ...]
    channels: int
    interleave: Interleave | None = None

    @property
    def in_channels(self) -> int:
        return self.parts[0].in_channels

    def together(self, parts: list[Float64]) -> Float64:
        """The layer's output of what its parts give."""
        phases = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return phases if self.interleave is None else self.interleave(phases)

    def sums(self, x: Float64) -> Float64:
        """(1, channels, H, W) float64 of x, (1, C, h, w)."""
        return self.together([part.sums(x, part.weight, part.bias) for part in self.parts])

    def inputs_scaled(self, by: Float64) -> Layer:
        """The layer for inputs that are larger by 1 / `by`, (C,)."""
        return replace(self, parts=tuple(_inputs_scaled(part, by) for part in self.parts))

    def outputs_scaled(self, by: Float64) -> Layer:
        """The layer whose outputs are larger by `by`, (channels,)."""
        scaled = (
            replace(
                part,
                weight=part.weight * by[part.channels].reshape(-1, 1, 1, 1),
                bias=part.bias * by[part.channels],
            )
            for part in self.parts
        )
        return replace(self, parts=tuple(scaled))

    def outputs_shifted(self, by: Float64) -> Layer:
        """The layer with (channels,) added to its outputs."""
        return replace(self, parts=tuple(replace(part, bias=part.bias + by[part.channels]) for part in self.parts))

    def column_sizes(self) -> Float64:
        """(C,) the largest |w| that each input channel is multiplied by."""
        sizes = np.zeros(self.in_channels)
        for part in self.parts:
            by_group = np.abs(part.weight).max(axis=(2, 3)).reshape(part.groups, -1, part.weight.shape[1]).max(axis=1)
            sizes = np.maximum(sizes, by_group.reshape(-1))
        return sizes

    def products(self, positions: int) -> float:
        """Multiplications for `positions` places of the input."""
        return float(sum(part.weight.size / np.prod(part.strides) for part in self.parts)) * positions


def _inputs_scaled(part: Convolution, by: Float64) -> Convolution:
    per_group = by.reshape(part.groups, 1, -1)
    rows = part.weight.reshape(part.groups, -1, *part.weight.shape[1:]) * per_group[..., None, None]
    return replace(part, weight=rows.reshape(part.weight.shape))


def convolution(
    name: str, weight: Float64, bias: Float64, strides: Pair, pads: tuple[int, int, int, int], dilations: Pair,
    groups: int,
) -> Layer:  # fmt: skip
    """A Conv; weight (O, C / groups, rows, columns)."""
    part = Convolution(weight, bias, strides, pads, dilations, groups, np.arange(len(weight)))
    return Layer(name, (part,), len(weight))


def transposed(
    name: str, weight: Float64, bias: Float64, strides: Pair, pads: tuple[int, int, int, int], dilations: Pair,
    groups: int, extra: Pair,
) -> Layer:  # fmt: skip
    """A ConvTranspose; weight (C, O / groups, rows, columns), extra: its output_padding.

    Output stride * m + p reads input m + d with tap t where p + pad - t * dilation = stride * d. The output is
    stride * in + more high; all phases are made ceil(more / stride) rows higher than the input, and cropped.
    """
    channels = weight.shape[1] * groups
    axes = [_Axis.of(weight.shape[2 + i], strides[i], pads[i], pads[2 + i], dilations[i], extra[i]) for i in (0, 1)]
    by_output = np.concatenate([each.swapaxes(0, 1) for each in np.split(weight, groups)])  # (O, C / groups, k, k)
    phases = [[(row, column)] for row in range(strides[0]) for column in range(strides[1])]
    if channels < APART_FROM and groups == 1:
        phases = [[place for places in phases for place in places]]
    parts = []
    for places in phases:
        rows, columns = sorted({row for row, _ in places}), sorted({column for _, column in places})
        above, below = axes[0].reach(rows)
        left, right = axes[1].reach(columns)
        kernel = np.zeros((len(places), *by_output.shape[:2], above + below + 1, left + right + 1))
        for i, (row, column) in enumerate(places):
            for down, a in axes[0].offsets[row].items():
                for over, b in axes[1].offsets[column].items():
                    kernel[i, :, :, down + above, over + left] = by_output[:, :, a, b]
        around = (above, left, below + axes[0].higher, right + axes[1].higher)
        parts.append(
            Convolution(
                kernel.reshape(-1, *kernel.shape[2:]),
                np.tile(bias, len(places)),
                (1, 1),
                around,
                (1, 1),
                groups,
                np.tile(np.arange(channels), len(places)),
            )
        )
    return Layer(name, tuple(parts), channels, Interleave(strides, channels, (axes[0].crop, axes[1].crop)))


@dataclass(frozen=True)
class _Axis:
    """One axis of a ConvTranspose.

    Attributes:
        offsets: per phase, input offset d -> tap.
        higher: how many more places a phase has than the input.
        crop: places left out at the end.
    """

    offsets: list[dict[int, int]]
    higher: int
    crop: int

    @classmethod
    def of(cls, taps: int, stride: int, before: int, behind: int, dilation: int, extra: int) -> _Axis:
        found = []
        for phase in range(stride):
            reads = {tap: phase + before - tap * dilation for tap in range(taps)}
            found.append({at // stride: tap for tap, at in reads.items() if at % stride == 0})
        more = extra + dilation * (taps - 1) + 1 - stride - before - behind
        higher = -(-more // stride)
        return cls(found, higher, stride * higher - more)

    def reach(self, phases: list[int]) -> Pair:
        """How far these phases' kernel reaches before and behind the input's place; no pad may become negative."""
        reached = [d for phase in phases for d in self.offsets[phase]]
        return -min([*reached, 0]), max([*reached, 0, -self.higher])
