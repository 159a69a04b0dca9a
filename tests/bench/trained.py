"""CompressAI's codecs, trained for a few hundred steps, then exported and compared: prints a Markdown table.

    python tests/bench/trained.py --data PHOTOGRAPHS --pictures PICTURES --out DIR [CODEC:N:M ...] [--steps 400]
        [--scope hyperprior] [--legs cpu,cpu:opt=off,...]

Training makes the medians of the entropy bottleneck fractional and the scales mean something; it is far too short for
the rates that the codecs are known for. Checkpoints are written as CompressAI's own trainer does it, and stay in DIR:
a codec whose checkpoint is there is not trained again. Measured on COUNT pictures of PICTURES, evenly chosen, their
middle of SIDE pixels a side.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from costs import compare, export  # type: ignore[import-not-found]
from PIL import Image

from nvc_check.models.training.crops import moving_crops
from nvc_check.models.training.image import crops, rate_and_distortion
from nvc_check.models.training.loop import photographs

CODECS = (
    "bmshj2018-hyperprior:128:192",
    "bmshj2018-hyperprior:192:320",
    "mbt2018-mean:128:192",
    "mbt2018-mean:192:320",
    "ssf2020",
)
LAMBDA = 0.0067  # CompressAI's quality 3
COUNT, SIDE = 6, 512
HEAD = ("codec", "medians", "bits", "dB", "values", "differ", "exact for")


def built(codec: str) -> Any:
    """CompressAI's model, initialised at random."""
    from compressai.models import MeanScaleHyperprior, ScaleHyperprior
    from compressai.models.video import ScaleSpaceFlow

    name, *sizes = codec.split(":")
    torch.manual_seed(0)
    if name == "ssf2020":
        return ScaleSpaceFlow()
    return {"bmshj2018-hyperprior": ScaleHyperprior, "mbt2018-mean": MeanScaleHyperprior}[name](*map(int, sizes))


def train(codec: str, pictures: list[Any], steps: int) -> Any:
    """Rate and distortion by Adam, the quantiles by their own loss."""
    model = built(codec).train()
    rng = np.random.default_rng(0)
    named = dict(model.named_parameters())
    quantiles = torch.optim.Adam([p for n, p in named.items() if n.endswith("quantiles")], 1e-2)
    others = torch.optim.Adam([p for n, p in named.items() if not n.endswith("quantiles")], 2e-4)
    for _ in range(steps):
        if codec == "ssf2020":
            frames, _ = moving_crops(pictures, 2, 128, 2, rng)
            out = model(frames)
            costs = []
            for frame, x_hat, likelihoods in zip(frames, out["x_hat"], out["likelihoods"], strict=True):
                flat = {f"{part}.{each}": p for part, pair in likelihoods.items() for each, p in pair.items()}
                costs.append(rate_and_distortion({"x_hat": x_hat, "likelihoods": flat}, frame))
        else:
            batch = crops(pictures, 4, 128, rng)
            costs = [rate_and_distortion(model(batch), batch)]
        bpp, mse = (torch.stack(values).mean() for values in zip(*costs, strict=True))
        others.zero_grad()
        (LAMBDA * mse + bpp).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        others.step()
        quantiles.zero_grad()
        found = model.aux_loss()
        auxiliary = torch.stack(found).sum() if isinstance(found, list) else found
        auxiliary.backward()
        quantiles.step()
    return model


def fractional(state: dict[str, torch.Tensor]) -> str:
    """How many of the medians are no whole numbers."""
    medians = torch.cat([value[:, 0, 1] for key, value in state.items() if key.endswith("quantiles")])
    return f"{int((medians != medians.round()).sum())} of {len(medians)} fractional"


def measured(codec: str, file: Path, pictures: Path, legs: str, scope: str) -> list[str]:
    """The table's cells, by the two commands that a user gives."""
    package = file.with_suffix(".pkg")
    targets, _ = export(str(file), package, "--scope", scope)
    if targets.startswith("refused"):
        return [codec, *["refused"] * 5, targets]
    found = compare(package, pictures, legs, file.with_suffix(".json"))
    state = torch.load(file, weights_only=True)["state_dict"]
    return [
        codec,
        fractional(state),
        f"{found.bits:+.3f} %",
        f"{found.decibels:+.3f}",
        f"{found.values:,}",
        f"{found.differ:,}",
        targets,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codecs", nargs="*", default=CODECS, metavar="CODEC:N:M")
    parser.add_argument("--data", type=Path, required=True, help="photographs to train on")
    parser.add_argument("--pictures", type=Path, required=True, help="photographs to measure on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--scope", default="hyperprior")
    parser.add_argument("--legs", default="cpu,cpu:opt=off,cpu:flavour=carrier,openvino,wasm")
    args = parser.parse_args()
    chosen = args.out / "pictures"
    chosen.mkdir(parents=True, exist_ok=True)
    files = sorted(args.pictures.glob("*.png"))
    for number in np.linspace(0, len(files) - 1, COUNT).astype(int):
        with Image.open(files[number]) as picture:  # of one size: a video codec takes them for frames
            left, top = ((side - SIDE) // 2 for side in picture.size)
            picture.crop((left, top, left + SIDE, top + SIDE)).save(chosen / files[number].name)
    print("| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", sep="\n", flush=True)
    for codec in args.codecs:
        file = args.out / f"{codec.replace(':', '-')}.pth"
        if not file.exists():
            state = train(codec, photographs(args.data), args.steps).state_dict()
            part = file.with_suffix(".part")
            torch.save({"epoch": 0, "state_dict": state}, part)
            part.replace(file)
        print("| " + " | ".join(measured(codec, file, chosen, args.legs, args.scope)) + " |", flush=True)


if __name__ == "__main__":
    main()
