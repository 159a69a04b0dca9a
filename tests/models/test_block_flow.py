"""Block matching finds motion that was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from nvc_check.models.codecs.block_flow import LUMA, STEPS, _luma, block_flow, warped


@pytest.mark.parametrize("motion", [(3.0, -5.0), (-12.0, 7.0), (1.5, 2.5)])
def test_it_finds_a_uniform_motion(motion: tuple[float, float]) -> None:
    """Off the borders a moved photograph is predicted with a tenth of the squared error that it has unmoved."""
    reference = _photograph()
    frame = warped(reference, torch.tensor(motion).reshape(1, 2, 1, 1).expand(1, 2, 256, 256))
    predicted = warped(reference, block_flow(frame, reference))
    unmoved, missed = (((frame - picture)[..., 32:-32, 32:-32] ** 2).mean() for picture in (reference, predicted))
    assert missed < unmoved / 10


def test_nothing_moves_where_nothing_changed() -> None:
    """And a flat area stands still although every motion fits it."""
    reference = _photograph()
    assert not block_flow(reference, reference).any()
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert not block_flow(flat, flat).any()


def _photograph() -> torch.Tensor:
    """(1, 3, 256, 256) in [0, 1]."""
    return torch.from_numpy(data.astronaut()[:256, 100:356]).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_luma_has_no_ties_that_an_order_of_sums_decides(dtype: torch.dtype) -> None:
    """Pictures in steps of 1/1024, as calibration has them, fall on ties: one pixel in a thousand of them."""
    steps = np.random.default_rng(0).integers(0, STEPS, (3, 200, 300), endpoint=True)
    picture = torch.from_numpy(steps / STEPS).to(dtype)[None]
    found = _luma(picture)[0, 0].numpy() * STEPS
    weights = np.rint(np.array(LUMA) * STEPS).astype(np.int64)
    sums = (weights[:, None, None] * steps).sum(axis=0)
    below, rest = sums // STEPS, sums % STEPS
    expected = below + ((rest > STEPS // 2) | ((rest == STEPS // 2) & (below % 2 == 1)))  # half to even
    assert np.array_equal(found, expected)
    assert (rest == STEPS // 2).sum() > 10
    assert weights.sum() == STEPS
