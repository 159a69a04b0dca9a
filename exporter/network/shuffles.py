"""Pixel shuffles: DepthToSpace and SpaceToDepth, and which of them a run of Reshapes and Transposes is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Shuffle:
    """(1, C, h, w) -> (1, C / size^2, size h, size w), or, `apart`, the way back; channels of the deep side ordered
    (row, column, channel), or, `crd`, (channel, row, column) (ONNX, DepthToSpace-13).
    """

    size: int
    crd: bool
    apart: bool = False

    @property
    def divisor(self) -> int:
        return 1 if self.apart else self.size**2

    def __call__(self, x: Float64) -> Float64:
        size, (width, height, wide) = self.size, x.shape[1:]
        if not self.apart:
            count = width // size**2
            blocks = (count, size, size) if self.crd else (size, size, count)
            order = (0, 3, 1, 4, 2) if self.crd else (2, 3, 0, 4, 1)
            found = x.reshape(*blocks, height, wide).transpose(order)
            return np.ascontiguousarray(found.reshape(1, count, height * size, wide * size))
        blocked = x.reshape(width, height // size, size, wide // size, size)
        order = (0, 2, 4, 1, 3) if self.crd else (2, 4, 0, 1, 3)
        return np.ascontiguousarray(blocked.transpose(order).reshape(1, -1, height // size, wide // size))

    def labels(self, width: int) -> Int64:
        """(width,) input channels that become one channel have the same label."""
        if self.apart:
            return np.arange(width)
        pixels = self.size**2
        return np.arange(width) // pixels if self.crd else np.arange(width) % (width // pixels)

    def units(self, unit: Float64) -> Float64:
        """The output channels' units, of inputs with one unit for each label."""
        if self.apart:
            return np.repeat(unit, self.size**2) if self.crd else np.tile(unit, self.size**2)
        units = np.empty(len(unit) // self.size**2)
        units[self.labels(len(unit))] = unit
        return units

    def passed_back(self, labels: Int64, width: int) -> Int64:
        """(width,) labels of the input's channels, from those that the output's must have."""
        if not self.apart:
            return labels[self.labels(width)]
        by_input = labels.reshape(width, -1) if self.crd else labels.reshape(-1, width).T
        return by_input[:, 0]

    def order(self, width: int) -> Int64:
        """Which channels of the deep side to read: to order it by (row, column, channel), or, `apart`, out of that."""
        pixels = self.size**2
        if not self.crd:
            return np.arange(width * pixels if self.apart else width)
        if self.apart:
            return np.arange(width * pixels).reshape(pixels, width).T.reshape(-1)
        return np.arange(width).reshape(-1, pixels).T.reshape(-1)


def shuffle_of(node: ir.Node) -> Shuffle:
    """Of a DepthToSpace or SpaceToDepth node."""
    size, mode = node.attributes.get("blocksize"), node.attributes.get("mode")
    crd = mode is not None and mode.value == "CRD"
    return Shuffle(int(size.value) if size is not None else 1, crd, node.op_type == "SpaceToDepth")


def recognized(before: Sequence[int], steps: Sequence[tuple[str, Sequence[int]]]) -> Shuffle | None:
    """The shuffle that a run of ("Reshape", sizes) and ("Transpose", order) is, of a (1, C, h, w) tensor."""
    count = int(np.prod(before))
    places = np.arange(count, dtype=np.float64).reshape(before)
    found = places
    for kind, numbers in steps:
        found = found.reshape(numbers) if kind == "Reshape" else found.transpose(numbers)
    if found.ndim != 4 or found.shape[0] != 1 or len(before) != 4:
        return None
    for apart in (False, True):
        small, large = (found, places) if apart else (places, found)
        size = large.shape[2] // max(small.shape[2], 1)
        if size < 2 or large.shape[2:] != (small.shape[2] * size, small.shape[3] * size):
            continue
        for crd in (False, True):
            shuffle = Shuffle(size, crd, apart)
            if before[1] % shuffle.divisor == 0 and np.array_equal(shuffle(places), found):
                return shuffle
    return None
