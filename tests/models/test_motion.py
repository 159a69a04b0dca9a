"""Block matching in integers: finds what moved, as the search in floats does, and nothing where nothing moved."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nvc_check.checker.media.sample import render_sample
from nvc_check.models import motion
from nvc_check.models.codecs import block_flow as in_floats

HEIGHT, WIDTH = 96, 128


def frames(seed: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(frame, the one before), (1, 3, H, W) each."""
    first, second = render_sample(WIDTH, HEIGHT, 2, seed=seed)
    return second.transpose(2, 0, 1)[None].astype(np.int32), first.transpose(2, 0, 1)[None].astype(np.int32)


def test_it_finds_what_the_search_in_floats_finds() -> None:
    frame, reference = frames(1)
    found = motion.block_flow(frame, reference)
    real = in_floats.block_flow(*(torch.from_numpy(each).float() / 255 for each in (frame, reference))).numpy()
    apart = np.abs(found / 2 - real)
    assert found.dtype == np.int32 and found.shape == (1, 2, HEIGHT, WIDTH)
    assert np.abs(found).max() <= motion.LARGEST
    assert (apart <= 0.5).mean() > 0.9
    assert (found != 0).mean() > 0.3  # the sample moves


@pytest.mark.parametrize("move", [(0, 0), (6, -4), (-10, 8)])
def test_it_finds_a_shift(move: tuple[int, int]) -> None:
    """In whole pixels, away from the borders: the frame is the one before, moved."""
    _, reference = frames(2)
    frame = np.roll(reference, move, axis=(2, 3))
    inside = motion.block_flow(frame, reference)[:, :, 24:-24, 24:-24]
    assert (inside[0, 0] == -2 * move[1]).mean() > 0.95 and (inside[0, 1] == -2 * move[0]).mean() > 0.95


def test_the_same_wherever_it_runs() -> None:
    """No float on the way: the first of equals wins, so that flat pictures stand still."""
    flat = np.full((1, 3, 32, 32), 90, np.int32)
    assert not motion.block_flow(flat, flat).any()
    assert not motion.block_flow(flat, flat + 40).any()


def test_windows_are_summed_as_they_lie_within() -> None:
    values = np.random.default_rng(0).integers(0, 9, (10, 14))
    for size, stride in ((6, 2), (7, 1)):
        before = (size - stride) // 2 if stride > 1 else size // 2
        found = motion._windows(values, size, stride)
        for row, column in product(range(found.shape[0]), range(found.shape[1])):
            top, left = row * stride - before, column * stride - before
            expected = values[max(top, 0) : top + size, max(left, 0) : left + size].sum()
            assert found[row, column] == expected
    of_both = (motion.BLOCK, motion.STRIDE, motion.OF_BLOCKS), (motion.WINDOW, 1, motion.OF_WINDOWS)
    for size, stride, multiple in of_both:
        counts = motion._windows(np.ones((16, 20), np.int64), size, stride)
        assert counts.min() < counts.max() and not (multiple % counts).any()


def test_an_edge_stays_an_edge() -> None:
    """Half a pixel to the side, bilinearly, in exact quarters."""
    picture = np.arange(12).reshape(3, 4) ** 2
    flow = np.zeros((2, 3, 4), np.int64)
    flow[0] = 1
    expected = 2 * (picture + np.concatenate([picture[:, 1:], picture[:, -1:]], axis=1))
    assert np.array_equal(motion._warped(picture, flow), expected)
    flow[:] = 99
    assert (motion._warped(picture, flow) == 4 * picture[-1, -1]).all()
