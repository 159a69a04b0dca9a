"""Motion by block matching on 8-bit integers: the same flow on every machine, for encoders that are shown it.

What models/codecs/block_flow.py does in floats, in NumPy and in integers: full search at half size, then half a pixel
around it at half size and at full. Errors are means over windows of unlike size at the borders, compared exactly as
sums times what is missing to a common multiple.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

REACH = 8  # pixels of the halved pictures
BLOCK, STRIDE = 6, 2  # of the full search, in halved pixels
WINDOW = 7  # of the refinements
LUMA = (77, 150, 29)  # ITU-R BT.601 in 1/256
LENGTH_COST = 4  # of a halved pixel of motion, in quarters of an 8-bit step: 0.004 of white
NEAR_TIES = (8, 2)  # what a refinement must save, in 1/16 of a step at half size, 1/4 at full: 0.002 of white
OF_BLOCKS, OF_WINDOWS = 3600, 176400  # multiples of the numbers of pixels in a window that a border cuts
LARGEST = 4 * REACH + 3  # half pixels


def block_flow(frame: NDArray[np.int32], reference: NDArray[np.int32]) -> NDArray[np.int32]:
    """Flow (1, 2, H, W), right and down in half pixels, at which `reference` (1, 3, H, W) looks like `frame`.

    Pictures are integers from 0 to 255, H and W multiples of 4; only their luma is looked at.
    """
    luma, luma_before = _luma(frame), _luma(reference)
    halved, halved_before = _halved(luma), _halved(luma_before)
    flow = 2 * _full_search(halved, halved_before).repeat(STRIDE, axis=1).repeat(STRIDE, axis=2)
    flow = _refined(flow, halved, halved_before, NEAR_TIES[0])
    flow = 2 * flow.repeat(2, axis=1).repeat(2, axis=2)
    return _refined(flow, luma, luma_before, NEAR_TIES[1])[None].astype(np.int32)


def _luma(picture: NDArray[np.int32]) -> Int64:
    weights = np.array(LUMA).reshape(3, 1, 1)
    luma: Int64 = ((picture[0].astype(np.int64) * weights).sum(axis=0) + 128) >> 8
    return luma


def _halved(picture: Int64) -> Int64:
    """Sums of four."""
    height, width = picture.shape
    halved: Int64 = picture.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3))
    return halved


def _full_search(frame: Int64, reference: Int64) -> Int64:
    """(2, h / STRIDE, w / STRIDE) in pixels of these pictures; of equals the first, row by row."""
    height, width = frame.shape
    padded = np.pad(reference, REACH, mode="edge")
    count = _windows(np.ones_like(frame), BLOCK, STRIDE)
    flow, least = np.zeros((2, *count.shape), np.int64), np.full(count.shape, np.iinfo(np.int64).max)
    for y, x in product(range(-REACH, REACH + 1), repeat=2):
        there = padded[REACH + y : REACH + y + height, REACH + x : REACH + x + width]
        errors = _windows(np.abs(frame - there), BLOCK, STRIDE) * (OF_BLOCKS // count)
        errors += LENGTH_COST * OF_BLOCKS * (abs(x) + abs(y))
        better = errors < least
        flow[:, better] = [[x], [y]]
        least = np.where(better, errors, least)
    return flow


def _refined(flow: Int64, frame: Int64, reference: Int64, near_tie: int) -> Int64:
    """The best of `flow`, (2, h, w) in half pixels, and its eight neighbours half a pixel away."""
    count = _windows(np.ones_like(frame), WINDOW, 1)
    best, least = flow, np.full(frame.shape, np.iinfo(np.int64).max)
    for x, y in product((0, -1, 1), repeat=2):
        candidate = flow + np.array([x, y]).reshape(2, 1, 1)
        errors = _windows(np.abs(4 * frame - _warped(reference, candidate)), WINDOW, 1) * (OF_WINDOWS // count)
        better = errors < least - near_tie * OF_WINDOWS
        best, least = np.where(better, candidate, best), np.where(better, errors, least)
    return best


def _warped(picture: Int64, flow: Int64) -> Int64:
    """4 x `picture` at each pixel's place plus `flow` half pixels, bilinearly, within its borders."""
    height, width = picture.shape
    rows = np.clip(2 * np.arange(height)[:, None] + flow[1], 0, 2 * (height - 1))
    columns = np.clip(2 * np.arange(width) + flow[0], 0, 2 * (width - 1))
    corners = product((rows >> 1, (rows + 1) >> 1), (columns >> 1, (columns + 1) >> 1))
    flat = picture.reshape(-1)
    total: Int64 = np.sum([flat[row * width + column] for row, column in corners], axis=0)
    return total


def _windows(values: Int64, size: int, stride: int) -> Int64:
    """(h / stride, w / stride) sums over windows of `size` a side, every `stride` pixels, as far as they lie within."""
    before = (size - stride) // 2 if stride > 1 else size // 2
    for axis in (0, 1):
        sums = np.concatenate([np.zeros_like(values.take([0], axis)), values.cumsum(axis)], axis)
        begin = np.arange(0, values.shape[axis], stride) - before
        ends = [np.clip(place, 0, values.shape[axis]) for place in (begin, begin + size)]
        values = sums.take(ends[1], axis) - sums.take(ends[0], axis)
    return values
