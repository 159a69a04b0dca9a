"""Weights of a torch codec as a safetensors file: float16-representable, with the tables' quantiles found.

Only parameters are stored. Integer CDF tables are made from them once, at export, and frozen in the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from compressai.entropy_models import EntropyBottleneck
from safetensors.torch import save


def float16_representable(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each float tensor rounded to float16 and back, so that no later storage format changes a value."""
    return {name: w.half().float() if w.is_floating_point() else w for name, w in weights.items()}


def write_weights(model: torch.nn.Module, file: Path) -> None:
    """Writes `model`'s parameters to `file` (float16), replacing it only when whole.

    The quantiles of the factorized prior are computed first; its medians are then set to 0, so that the
    hyper-latent's symbols are plain round(z): it costs no measurable rate and keeps z_hat on the integers.
    """
    state = {name: p.detach().clone() for name, p in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, EntropyBottleneck):
            before = module.quantiles.detach().clone()
            module._update_quantiles()
            found: Any = module.quantiles.detach().clone()
            found[:, 0, 0].clamp_(max=0)
            found[:, 0, 1] = 0
            found[:, 0, 2].clamp_(min=0)
            state[f"{name}.quantiles"] = found
            module.quantiles.data.copy_(before)
    tensors = {name: tensor.half().contiguous() for name, tensor in sorted(state.items())}
    part = file.with_suffix(".part")
    part.write_bytes(save(tensors))
    part.replace(file)
