"""The clips that video codecs are trained on, and the flow that comes with them."""

from __future__ import annotations

import numpy as np
import torch
from skimage import data

from nvc_check.models.codecs.ssf_small import FLOW_UNIT, ScaleSpaceFlowSmall
from nvc_check.models.training.crops import moving_crops


def test_the_flow_predicts_the_next_frame() -> None:
    """Warped by its flow the frame before is 5 dB nearer than unmoved; by the opposite flow it is farther."""
    codec = ScaleSpaceFlowSmall(16)
    (first, second), (flow,) = moving_crops([data.astronaut()], 8, 128, 2, np.random.default_rng(0))
    assert flow.shape == (8, 2, 128, 128) and flow.norm(dim=1).max() > 1

    def error(motion: torch.Tensor) -> float:
        sharp = torch.full_like(flow[:, :1], -1)
        predicted = codec.forward_prediction(first, torch.cat((motion / FLOW_UNIT, sharp), dim=1))
        return 10 * float(torch.log10(torch.mean((predicted - second)[..., 16:-16, 16:-16] ** 2)))

    unmoved = error(torch.zeros_like(flow))
    assert error(flow) < unmoved - 5
    assert error(-flow) > unmoved
