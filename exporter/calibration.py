"""The hyper-latents that calibration pictures give, for every part of a codec."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.models.architectures import Codec
from nvc_check.models.errors import UsageError

SHIFT = 4  # pixels between the two frames that a single picture makes for a video codec


def calibration_symbols(codec: Codec, pictures: Iterable[NDArray[np.float32]]) -> dict[str, list[NDArray[np.int64]]]:
    """part -> symbols z, (1, N, h, w) int64 each, of coding every picture with the FP32 codec.

    Args:
        pictures: (1, 3, H, W) float32 in [0, 1], sides multiples of `codec.multiple`. A video codec codes each as a
            keyframe, and the picture moved by a few pixels as the frame after it.

    Raises:
        UsageError: no pictures.
    """
    found: dict[str, list[NDArray[np.int64]]] = {part: [] for part in codec.hyperpriors}

    def code(part: str, y: torch.Tensor) -> torch.Tensor:
        hyperprior = codec.hyperpriors[part]
        symbols = hyperprior.z_symbols(y)
        found[part].append(symbols.astype(np.int64))
        means = hyperprior.entropy_parameters(symbols)[1]
        if means is None:
            return torch.round(y)
        known = torch.from_numpy(means)
        return torch.round(y - known) + known

    for picture in pictures:
        frame = torch.from_numpy(picture)
        reference = codec.encode(frame, None, code)
        if codec.kind == "video":
            codec.encode(torch.roll(frame, (SHIFT, -SHIFT), dims=(2, 3)), reference, code)
    if not next(iter(found.values())):
        raise UsageError("calibration: no pictures, expected at least one; name a folder or clip that has some")
    return found
