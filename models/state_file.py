"""Weights on disk: safetensors files and torch checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvc_check.models.errors import UsageError

if TYPE_CHECKING:
    import torch


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in a safetensors file or torch checkpoint, float tensors as float32.

    Raises:
        UsageError: the file is neither.
    """
    import torch
    from safetensors.torch import load

    try:
        if file.suffix == ".safetensors":
            loaded: Any = load(file.read_bytes())
        else:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile, struct, torch and safetensors raise classes of their own
        raise UsageError(
            f"{file}: not readable as safetensors or torch checkpoint ({reason_of(error)});"
            " expected .safetensors, .pth, .pth.tar or .pt; is this the right file?"
        ) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UsageError(f"{file}: holds no state dict of tensors, expected a checkpoint's weights")
    return {k.removeprefix("module."): v.float() if v.is_floating_point() else v for k, v in state.items()}


def reason_of(error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
