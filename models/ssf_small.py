"""ssf-small: scale-space flow with 64 channels throughout.

Agustsson et al., "Scale-space flow for end-to-end optimized video compression" (CVPR 2020), in CompressAI's topology:
three hyperpriors (keyframe, motion, residual), 5x5 stride-2 layers, five scales, QReLU scale decoders.
"""

from __future__ import annotations

from typing import Any

import torch
from compressai.models.video.google import ScaleSpaceFlow


class ScaleSpaceFlowSmall(ScaleSpaceFlow):  # type: ignore[misc]
    """CompressAI's ScaleSpaceFlow with `width` channels in place of 128 and 192."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        # the building blocks are local classes of ScaleSpaceFlow.__init__
        blocks: Any = (self.img_encoder, self.img_decoder, self.img_hyperprior)  # type: ignore[has-type]
        encoder, decoder, hyperprior = (type(block) for block in blocks)
        self.img_encoder = encoder(3, width, width)
        self.img_decoder = decoder(3, width, width)
        self.img_hyperprior = hyperprior(width, width)
        self.res_encoder = encoder(3, width, width)
        self.res_decoder = decoder(3, 2 * width, width)
        self.res_hyperprior = hyperprior(width, width)
        self.motion_encoder = encoder(6, width, width)
        self.motion_decoder = decoder(3, width, width)
        self.motion_hyperprior = hyperprior(width, width)
        self._start_without_motion()

    @torch.no_grad()
    def _start_without_motion(self) -> None:
        """Untrained, predict the unmoved, sharp reference: random flow would have to be unlearned first."""
        last = self.motion_decoder[-1]
        last.weight.mul_(0.01)
        last.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))  # scale -1 is the sharpest level
