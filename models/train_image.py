"""Trains the image codec on a folder of photographs: python -m nvc_check.models.train_image --data DIR.

Restartable: the checkpoint holds weights, optimizers, random state and step; the same command goes on from it.
The weights are written as safetensors, rounded to float16-representable values, with the CDF tables' quantiles found.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nvc_check.models.mean_scale_relu import MeanScaleHyperpriorReLU
from nvc_check.models.muon import Muon
from nvc_check.models.weights_file import write_weights


def photographs(folder: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """All PNG and JPEG files under `folder` as (H, W, 3) uint8, each also at half size where a crop still fits."""
    pictures = []
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"}):
        picture = Image.open(file).convert("RGB")
        pictures.append(np.asarray(picture))
        if min(picture.size) >= 512:
            pictures.append(np.asarray(picture.reduce(2)))
    if not pictures:
        raise SystemExit(f"no PNG or JPEG files under {folder}")
    return pictures


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


class Training:
    """The state that a checkpoint holds: model, optimizers, random numbers, step."""

    def __init__(self, seed: int, lr: float) -> None:
        torch.manual_seed(seed)
        self.model = MeanScaleHyperpriorReLU().to(memory_format=torch.channels_last)
        self.rng = np.random.default_rng(seed)
        self.step = 0
        named = {n: p for n, p in self.model.named_parameters() if not n.endswith("quantiles")}
        kernels = [p for n, p in named.items() if p.ndim == 4]
        others = [p for n, p in named.items() if p.ndim != 4]
        self.parameters = kernels + others
        self.optimizers: list[torch.optim.Optimizer] = [Muon(kernels, lr), torch.optim.Adam(others, lr / 2)]
        self.rates = [lr, lr / 2]

    def save(self, file: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "torch_random": torch.get_rng_state(),
            "numpy_random": self.rng.bit_generator.state,
            "step": self.step,
        }
        torch.save(state, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)

    def load(self, file: Path) -> None:
        state = torch.load(file, weights_only=False)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["torch_random"])
        self.rng.bit_generator.state = state["numpy_random"]
        self.step = state["step"]

    def update(self, batch: torch.Tensor, lmbda: float, factor: float) -> tuple[float, float]:
        """One step at `factor` times the full learning rates; returns bits per pixel and mean squared error."""
        out = self.model(batch)
        pixels = batch.shape[0] * batch.shape[2] * batch.shape[3]
        bpp = torch.stack([-torch.log2(p).sum() for p in out["likelihoods"].values()]).sum() / pixels
        mse = torch.mean((out["x_hat"] - batch) ** 2) * 255**2
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        (lmbda * mse + bpp).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return float(bpp), float(mse)


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up over 100 steps, then a cosine down to 1 %."""
    return min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs, searched recursively")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--checkpoint", type=Path, required=True, help="goes on from here if the file exists")
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--lmbda", type=float, default=0.0067, help="weight of the MSE at peak 255 against bpp")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    training = Training(args.seed, args.lr)
    if args.checkpoint.exists():
        training.load(args.checkpoint)
    pictures = photographs(args.data)
    smooth = np.zeros(2)
    started, first = time.monotonic(), training.step
    while training.step < args.steps:
        batch = crops(pictures, args.batch, args.crop, training.rng)
        now = training.update(batch, args.lmbda, learning_rate_factor(training.step, args.steps))
        seen = training.step - first
        smooth += (np.array(now) - smooth) / min(seen, 200)
        if training.step % 100 == 0:
            seconds = (time.monotonic() - started) / seen
            print(
                f"step {training.step}/{args.steps}  {smooth[0]:.3f} bpp  {10 * math.log10(255**2 / smooth[1]):.2f} dB"
                f"  {seconds:.3f} s/step  {(args.steps - training.step) * seconds / 60:.0f} min left",
                flush=True,
            )
        if training.step % 500 == 0:
            training.save(args.checkpoint)
            write_weights(training.model, args.out)
    training.save(args.checkpoint)
    write_weights(training.model, args.out)


if __name__ == "__main__":
    main()
