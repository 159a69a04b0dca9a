"""Counting differences: each kind of value, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_check.checker.media.difference import Difference


def test_integers_and_first_place() -> None:
    """Frame number, flat index, count and steps."""
    difference, reference = Difference(), np.zeros((1, 2, 3, 4), np.int32)
    changed = reference.copy()
    changed[0, 1, 0, 2], changed[0, 1, 2, 3] = 5, -7
    difference.add(0, reference, reference)
    difference.add(1, changed, reference)
    assert difference.first == (1, 14)
    assert (difference.mismatched, difference.values, difference.max_ulp) == (2, 48, None)
    assert [(row.frame, row.mismatched, row.max_abs) for row in difference.by_frame] == [(0, 0, 0.0), (1, 2, 7.0)]


def test_floats_in_steps() -> None:
    """Neighbours are one step apart, across zero too; -0.0 equals 0.0."""
    difference = Difference()
    tiny, one = np.float32(1e-45), np.float32(1)
    ours, theirs = [-0.0, one, tiny], [0.0, np.nextafter(one, np.float32(2)), -tiny]
    difference.add(0, np.array(ours, np.float32), np.array(theirs, np.float32))
    assert difference.mismatched == 2
    assert difference.max_ulp == 2


def test_another_shape_is_all_different() -> None:
    """No number of its values can be trusted to be in its place."""
    difference = Difference()
    difference.add(3, np.zeros(4, np.int32), np.zeros(6, np.int32))
    assert (difference.mismatched, difference.first) == (6, (3, 0))


def test_pixels_as_shown() -> None:
    """A pixel counts once, however many of its channels differ."""
    difference, reference = Difference(), np.full((3, 4, 5), 0.5, np.float32)
    changed = reference.copy()
    changed[:, 1, 1] += 0.25
    changed[0, 2, 2] += 0.25
    difference.add(0, changed, reference)
    difference.add_picture(changed, reference)
    (row,) = difference.by_frame
    assert row.pixels == 2
    assert row.psnr == pytest.approx(10 * np.log10(60 / (4 * 0.25**2)))
