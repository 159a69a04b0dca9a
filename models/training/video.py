"""Trains ssf-small on moving crops of photographs: python -m nvc_check.models.training.video --data DIR.

Four stages, each a run of its own that begins with the weights of the one before (--start):
    --stage keyframe   the keyframe path alone, on single crops
    --stage motion     the motion path alone, on pairs of frames, by its prediction and the flow that made the pair
    --stage inter      motion and residual alone, on clips of three frames, behind a fixed keyframe path
    --stage all        everything on such clips; --keyframe takes the keyframe path from a second file
Restartable, as train_image is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.codecs.state_file import read_state
from nvc_check.models.training.crops import moving_crops
from nvc_check.models.training.image import crops, rate_and_distortion
from nvc_check.models.training.loop import Training, arguments, photographs

FRAMES = 3
PREDICTION = 0.5  # weight of the prediction's error beside the reconstruction's
FLOW = 0.3  # bits per pixel that a pixel of wrong flow counts for; it goes down to nothing as the learning rate does


def main() -> None:
    parser = arguments(__doc__, steps=20_000)
    parser.add_argument("--stage", choices=("keyframe", "motion", "inter", "all"), default="all")
    parser.add_argument("--keyframe", type=Path, help="weights whose keyframe path replaces that of --start")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    training = Training(ScaleSpaceFlowSmall(), args.start, args.seed, args.lr)
    if args.keyframe is not None:
        path = {name: value for name, value in read_state(args.keyframe).items() if name.startswith("img_")}
        torch.nn.Module.load_state_dict(training.model, path, strict=False)
    pictures = photographs(args.data)

    def keyframe(factor: float) -> tuple[float, float]:
        batch = crops(pictures, args.batch, args.crop, training.rng)
        x_hat, likelihoods = training.model.forward_keyframe(batch)
        return _descend([(batch, x_hat, likelihoods)], factor)

    def motion(factor: float) -> tuple[float, float]:
        (first, second), (flow,) = moving_crops(pictures, args.batch, args.crop, 2, training.rng)
        with torch.no_grad():
            reference, _ = training.model.forward_keyframe(first)
        motion_info, likelihoods, predicted = training.model.forward_motion(second, reference)
        miss = torch.linalg.vector_norm(motion_info[:, :2] * training.model.flow_unit - flow, dim=1).mean()
        # rate counts little at first: latents that say nothing yet would be pressed to zero and stay there
        rate = min(1.0, max(0.02, 2 * training.step / args.steps - 0.4))
        coded = [(second, predicted, {"motion": likelihoods})]
        return _descend(coded, factor, FLOW * factor * miss, weight=PREDICTION, rate=rate)

    def inter(factor: float) -> tuple[float, float]:
        (first, *rest), _ = moving_crops(pictures, args.batch, args.crop, FRAMES, training.rng)
        with torch.no_grad():
            reference, _ = training.model.forward_keyframe(first)
        coded, misses = [], []
        for frame in rest:
            reference, likelihoods, predicted = training.model.predicted_inter(frame, reference)
            coded.append((frame, reference, likelihoods))
            misses.append(torch.mean((predicted - frame) ** 2) * 255**2)
        # the residual would learn to do without motion before motion learns to predict
        return _descend(coded, factor, args.lmbda * PREDICTION * torch.stack(misses).mean())

    def everything(factor: float) -> tuple[float, float]:
        frames, _ = moving_crops(pictures, args.batch, args.crop, FRAMES, training.rng)
        out = training.model(frames)
        coded = list(zip(frames, out["x_hat"], out["likelihoods"], strict=True))
        return _descend(coded, factor)

    def _descend(
        coded: list[tuple[torch.Tensor, torch.Tensor, Any]],
        factor: float,
        further: torch.Tensor | float = 0.0,
        *,
        weight: float = 1.0,
        rate: float = 1.0,
    ) -> tuple[float, float]:
        """One step down: (frame, reconstruction, likelihoods), the errors weighted, rate, and a `further` cost."""
        costs = []
        for frame, x_hat, likelihoods in coded:
            flat = {f"{part}.{name}": p for part, pair in likelihoods.items() for name, p in pair.items()}
            costs.append(rate_and_distortion({"x_hat": x_hat, "likelihoods": flat}, frame))
        bpp, mse = (torch.stack(values).mean() for values in zip(*costs, strict=True))
        training.descend(weight * args.lmbda * mse + rate * bpp + further, factor)
        return float(bpp.detach()), float(mse.detach())

    update = {"keyframe": keyframe, "motion": motion, "inter": inter, "all": everything}[args.stage]
    training.run(args.steps, args.checkpoint, args.out, update)


if __name__ == "__main__":
    main()
