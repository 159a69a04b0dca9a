"""Trains the image codec on a folder of photographs: python -m nvc_check.models.training.image --data DIR.

Restartable: the checkpoint holds weights, optimizers, random state and step; the same command goes on from it.
The weights are written as safetensors, rounded to float16-representable values, with the CDF tables' quantiles found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nvc_check.models.codecs.mean_scale_relu import MeanScaleHyperpriorReLU
from nvc_check.models.training.loop import Training, arguments, photographs


def crops(pictures: list[Any], count: int, size: int, rng: np.random.Generator) -> torch.Tensor:
    """(count, 3, size, size) float32 in [0, 1], random place, mirrored half of the time, channels_last."""
    weights = np.array([p.shape[0] * p.shape[1] for p in pictures], float)
    chosen = []
    for index in rng.choice(len(pictures), count, p=weights / weights.sum()):
        picture = pictures[index]
        top = rng.integers(picture.shape[0] - size + 1)
        left = rng.integers(picture.shape[1] - size + 1)
        crop = picture[top : top + size, left : left + size]
        chosen.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    batch = torch.from_numpy(np.stack(chosen)).permute(0, 3, 1, 2).float() / 255
    return batch.contiguous(memory_format=torch.channels_last)


def rate_and_distortion(out: dict[str, Any], batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(bits per pixel, mean squared error at peak 255) of one frame's output for batch: (B, 3, H, W)."""
    pixels = batch.shape[0] * batch.shape[2] * batch.shape[3]
    bpp = torch.stack([-torch.log2(p).sum() for p in out["likelihoods"].values()]).sum() / pixels
    return bpp, torch.mean((out["x_hat"] - batch) ** 2) * 255**2


def main() -> None:
    args = arguments(__doc__, steps=60_000).parse_args()
    torch.manual_seed(args.seed)
    training = Training(MeanScaleHyperpriorReLU(), args.start, args.seed, args.lr)
    pictures = photographs(args.data)

    def update(factor: float) -> tuple[float, float]:
        batch = crops(pictures, args.batch, args.crop, training.rng)
        bpp, mse = rate_and_distortion(training.model(batch), batch)
        training.descend(args.lmbda * mse + bpp, factor)
        return float(bpp.detach()), float(mse.detach())

    training.run(args.steps, args.checkpoint, args.out, update)


if __name__ == "__main__":
    main()
