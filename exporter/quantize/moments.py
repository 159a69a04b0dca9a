"""What the calibration says of a layer's inputs and of the sums that it should give: means and covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy
from torch.nn import functional

from nvc_check.exporter.network.geometry import Convolution

Float64 = NDArray[np.float64]

POSITIONS = 30_000  # places that the moments are taken over, about
SNAP = 8  # bits of the wanted sums below a step of the output: float64's last bits must decide nothing


@dataclass(frozen=True)
class Moments:
    """Of one group of a convolution: inputs x (F,) and wanted sums t (O,), F = channels x taps.

    Attributes:
        second: (F, F) covariance of x.
        cross: (O, F) covariance of t and x.
        inputs, sums: (F,), (O,) means.
        places: how many the calibration has; the moments are taken over some of them.
    """

    second: Float64
    cross: Float64
    inputs: Float64
    sums: Float64
    places: int


def moments_of(
    parts: tuple[Convolution, ...], inputs: list[Float64], wanted: list[list[Float64]]
) -> list[list[Moments]]:
    """Of every part of a layer, and of every group of that.

    The parts, phases of a ConvTranspose, read overlapping windows: the moments of one window around all are gathered.

    Args:
        inputs: (1, C, h, w) each.
        wanted: by part, (1, O, H, W) each.
    """
    window = _Window.around(parts)
    places = sum(each.shape[2] * each.shape[3] for each in wanted[0])
    step = max(1, round((places / POSITIONS) ** 0.5))
    groups = parts[0].groups
    count = parts[0].in_channels // groups * window.rows * window.columns
    second, first, number = np.zeros((groups, count, count)), np.zeros((groups, count)), 0
    rows = [len(part.weight) // groups for part in parts]
    cross = [np.zeros((groups, outputs, count)) for outputs in rows]
    sums = [np.zeros((groups, outputs)) for outputs in rows]
    for place, x in enumerate(inputs):
        patches = window.patches(x, step).reshape(groups, count, -1)
        number += patches.shape[2]
        first += patches.sum(2)
        for i in range(groups):
            second[i] += patches[i] @ patches[i].T  # numpy computes one half of it
        for which, outputs in enumerate(rows):
            target = wanted[which][place][0, :, ::step, ::step].reshape(groups, outputs, -1)
            target = np.rint(target * 2.0**SNAP) * 2.0**-SNAP
            sums[which] += target.sum(2)
            for i in range(groups):
                cross[which][i] += target[i] @ patches[i].T
    mean = first / number
    covariances = [second[i] / number - np.outer(mean[i], mean[i]) for i in range(groups)]
    found = []
    for which, part in enumerate(parts):
        of, mean_sums = window.of(part), sums[which] / number
        apart = [cross[which][i] / number - np.outer(mean_sums[i], mean[i]) for i in range(groups)]
        found.append(
            [
                Moments(covariances[i][np.ix_(of, of)], apart[i][:, of], mean[i][of], mean_sums[i], places)
                for i in range(groups)
            ]
        )
    return found


@dataclass(frozen=True)
class _Window:
    """What all parts read for one place of their outputs; of several parts, all have strides and dilations of 1."""

    first: Convolution
    top: int
    left: int
    bottom: int
    right: int
    rows: int
    columns: int

    @classmethod
    def around(cls, parts: tuple[Convolution, ...]) -> _Window:
        top, left, bottom, right = (max(part.pads[side] for part in parts) for side in range(4))
        rows, columns = (
            before + max(part.weight.shape[2 + axis] - part.pads[axis] for part in parts)
            for axis, before in enumerate((top, left))
        )
        return cls(parts[0], top, left, bottom, right, rows, columns)

    def patches(self, x: Float64, step: int) -> Float64:
        """(C x rows x columns, n), of every step-th row and column of the output."""
        padded = functional.pad(from_numpy(x), (self.left, self.right, self.top, self.bottom))
        strides = (self.first.strides[0] * step, self.first.strides[1] * step)
        unfolded = functional.unfold(padded, (self.rows, self.columns), self.first.dilations, 0, strides)
        made: Float64 = unfolded[0].numpy()
        return made

    def of(self, part: Convolution) -> NDArray[np.int64]:
        """(F,) which of the window's places `part` reads."""
        rows, columns = part.weight.shape[2:]
        down = np.arange(rows) + self.top - part.pads[0]
        over = np.arange(columns) + self.left - part.pads[1]
        channel = np.arange(part.weight.shape[1]) * self.rows * self.columns
        places: NDArray[np.int64] = channel[:, None, None] + down[:, None] * self.columns + over
        return places.reshape(-1)
