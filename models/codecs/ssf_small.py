"""ssf-small: scale-space flow with 64 channels throughout, flow in pixels, and an encoder that is shown the motion.

Agustsson et al., "Scale-space flow for end-to-end optimized video compression" (CVPR 2020), in CompressAI's topology:
three hyperpriors (keyframe, motion, residual), 5x5 stride-2 layers, five scales, QReLU scale decoders. The decoders
are that topology; the motion encoder has two inputs more, a flow found by block matching.
"""

from __future__ import annotations

from typing import Any

import torch
from compressai.models.video.google import ScaleSpaceFlow

from nvc_check.models.codecs.block_flow import block_flow

FLOW_UNIT = 8.0  # pixels: usual motion is of magnitude 1, so that a training step of usual size changes it little


class ScaleSpaceFlowSmall(ScaleSpaceFlow):  # type: ignore[misc]
    """CompressAI's ScaleSpaceFlow with `width` channels in place of 128 and 192, and flow in units of 8 pixels.

    CompressAI adds the flow to coordinates normalised to [-1, 1], as grid_sample takes them: there the same latents
    mean three times the motion in a picture three times as wide, which no convolution can make up for. A motion of so
    many pixels is the same number here at any size.
    """

    flow_unit = FLOW_UNIT

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
        self.motion_encoder = encoder(8, width, width)
        self.motion_decoder = decoder(3, width, width)
        self.motion_hyperprior = hyperprior(width, width)
        self._start_without_motion()

    @torch.no_grad()
    def _start_without_motion(self) -> None:
        """Untrained, predict the unmoved, nearly sharp reference: random flow would have to be unlearned first."""
        last = self.motion_decoder[-1]
        last.weight.mul_(0.01)
        last.bias.copy_(torch.tensor([0.0, 0.0, -0.75]))  # near the sharpest level; below -0.8 scale has no gradient

    def forward_prediction(self, x_ref: torch.Tensor, motion_info: torch.Tensor) -> torch.Tensor:
        """x_ref: (B, 3, H, W) warped by motion_info: (B, 3, H, W), flow right and down in units of 8 pixels, scale."""
        height, width = x_ref.shape[2:]
        to_normalised = torch.tensor([2 * FLOW_UNIT / width, 2 * FLOW_UNIT / height]).reshape(1, 2, 1, 1)
        volume = self.gaussian_volume(x_ref, self.sigma0, self.num_levels)
        predicted: torch.Tensor = self.warp_volume(volume, motion_info[:, :2] * to_normalised, motion_info[:, 2:])
        return predicted

    def motion_input(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """What the motion encoder reads: (B, 8, H, W), both pictures and the flow found between them."""
        return torch.cat((frame, reference, block_flow(frame, reference) / FLOW_UNIT), dim=1)

    def forward_motion(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """The motion path alone: (motion information (B, 3, H, W), likelihoods, prediction)."""
        motion_hat, motion = self.motion_hyperprior(self.motion_encoder(self.motion_input(frame, reference)))
        motion_info = self.motion_decoder(motion_hat)
        return motion_info, motion, self.forward_prediction(reference, motion_info)

    def forward_inter(self, x_cur: torch.Tensor, x_ref: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """As CompressAI's: (reconstruction, likelihoods)."""
        decoded, likelihoods, _ = self.predicted_inter(x_cur, x_ref)
        return decoded, likelihoods

    def predicted_inter(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """As forward_inter, and the prediction: (reconstruction, likelihoods, prediction)."""
        motion_hat, motion = self.motion_hyperprior(self.motion_encoder(self.motion_input(frame, reference)))
        predicted = self.forward_prediction(reference, self.motion_decoder(motion_hat))
        residual_hat, residual = self.res_hyperprior(self.res_encoder(frame - predicted))
        decoded = predicted + self.res_decoder(torch.cat((residual_hat, motion_hat), dim=1))
        return decoded, {"motion": motion, "residual": residual}, predicted
