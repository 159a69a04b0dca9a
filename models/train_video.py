"""Trains ssf-small on moving crops of photographs: python -m nvc_check.models.train_video --data DIR.

The first --keyframe-steps steps train the keyframe path alone, which every later frame builds on; then clips of three
frames train all paths. Restartable, as train_image is.
"""

from __future__ import annotations

import torch

from nvc_check.models.moving_crops import moving_crops
from nvc_check.models.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.train_image import crops, rate_and_distortion
from nvc_check.models.training import Training, arguments, photographs

FRAMES = 3


def main() -> None:
    parser = arguments(__doc__, steps=60_000)
    parser.add_argument("--keyframe-steps", type=int, default=10_000)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    training = Training(ScaleSpaceFlowSmall(), args.start, args.seed, args.lr)
    pictures = photographs(args.data)

    def keyframe(factor: float) -> tuple[float, float]:
        batch = crops(pictures, 2 * args.batch, args.crop, training.rng)
        x_hat, likelihoods = training.model.forward_keyframe(batch)
        bpp, mse = rate_and_distortion({"x_hat": x_hat, "likelihoods": likelihoods["keyframe"]}, batch)
        training.descend(args.lmbda * mse + bpp, factor)
        return float(bpp), float(mse)

    def clip(factor: float) -> tuple[float, float]:
        frames = moving_crops(pictures, args.batch, args.crop, FRAMES, training.rng)
        out = training.model(frames)
        costs = []
        for frame, x_hat, likelihoods in zip(frames, out["x_hat"], out["likelihoods"], strict=True):
            flat = {f"{part}.{name}": p for part, pair in likelihoods.items() for name, p in pair.items()}
            costs.append(rate_and_distortion({"x_hat": x_hat, "likelihoods": flat}, frame))
        bpp, mse = (torch.stack(values).mean() for values in zip(*costs, strict=True))
        training.descend(args.lmbda * mse + bpp, factor)
        return float(bpp), float(mse)

    def update(factor: float) -> tuple[float, float]:
        return keyframe(factor) if training.step < args.keyframe_steps else clip(factor)

    training.run(args.steps, args.checkpoint, args.out, update)


if __name__ == "__main__":
    main()
