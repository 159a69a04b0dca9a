"""What the two trainers share: photographs, optimizers, schedule, and a checkpoint to go on from."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nvc_check.models.codecs.state_file import read_state
from nvc_check.models.training.muon import Muon
from nvc_check.models.training.weights_file import write_weights


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


class Training:
    """The state that a checkpoint holds: model, optimizers, random numbers, step.

    Kernels are trained by Muon at `lr`, everything else but the priors' quantiles by Adam at half of it.
    """

    def __init__(self, model: Any, start: Path | None, seed: int, lr: float) -> None:
        if start is not None:
            torch.nn.Module.load_state_dict(model, read_state(start), strict=False)  # the tables are not in the file
        self.model = model.to(memory_format=torch.channels_last)
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

    def descend(self, loss: torch.Tensor, factor: float) -> None:
        """One step down `loss` at `factor` times the full learning rates; a loss that is not finite is skipped."""
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        self.step += 1
        if not bool(torch.isfinite(loss)):
            return
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([p for p in self.parameters if p.grad is not None], 1.0)
        for optimizer in self.optimizers:
            optimizer.step()

    def run(
        self,
        steps: int,
        checkpoint: Path,
        out: Path,
        update: Callable[[float], tuple[float, float]],
    ) -> None:
        """Calls `update(learning rate factor)` -> (bits per pixel, mean squared error at peak 255) up to `steps`.

        Goes on from `checkpoint`, and writes it and the weights `out` every 500 steps and at the end.
        """
        if checkpoint.exists():
            self.load(checkpoint)
        smooth = np.zeros(2)
        started, first = time.monotonic(), self.step
        while self.step < steps:
            now = update(learning_rate_factor(self.step, steps))
            seen = self.step - first
            smooth += (np.array(now) - smooth) / min(seen, 200)
            if self.step % 100 == 0:
                seconds = (time.monotonic() - started) / seen
                print(
                    f"step {self.step}/{steps}  {smooth[0]:.3f} bpp  {10 * math.log10(255**2 / smooth[1]):.2f} dB"
                    f"  {seconds:.3f} s/step  {(steps - self.step) * seconds / 60:.0f} min left",
                    flush=True,
                )
            if self.step % 500 == 0:
                self.save(checkpoint)
                write_weights(self.model, out)
        self.save(checkpoint)
        write_weights(self.model, out)


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up over 100 steps, then a cosine down to 1 %."""
    return min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def arguments(description: str | None, steps: int) -> argparse.ArgumentParser:
    """The options that both trainers have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs, searched recursively")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--checkpoint", type=Path, required=True, help="goes on from here if the file exists")
    parser.add_argument("--start", type=Path, help="weights to begin with, e.g. of another rate")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--lmbda", type=float, default=0.0035, help="weight of the MSE at peak 255 against bpp")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser
