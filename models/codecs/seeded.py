"""Untrained codecs from a seed: for trying export and runtimes at full width where no weights are at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ANALYSIS = ("g_a", "img_encoder", "motion_encoder", "res_encoder")
SPREAD = 30.0  # an initialised encoder's latents would all round to zero
MOTION = 0.35  # largest weight of the last motion layer: ssf-small is initialised to predict next to no motion


def seeded(build: Callable[[], Any], seed: int) -> Any:
    """The model that `build` initialises after `torch.manual_seed(seed)`, its latents spread so that symbols occur.

    Weights are rounded to float16, as trained ones are stored.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    with torch.no_grad():
        for name in ANALYSIS:
            if hasattr(model, name):
                list(getattr(model, name).children())[-1].weight.mul_(SPREAD)
        if hasattr(model, "motion_decoder"):
            last = list(model.motion_decoder.children())[-1].weight
            last.mul_(MOTION / last.abs().max())
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model
