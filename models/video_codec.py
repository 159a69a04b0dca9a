"""CompressAI's scale-space flow in torch: what is exported, and how a frame is coded.

Agustsson et al., "Scale-space flow for end-to-end optimized video compression" (CVPR 2020).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from compressai.models.utils import gaussian_blur, gaussian_kernel2d
from torch import nn
from torch.nn import functional

from nvc_check.models.hyperprior import Hyperprior
from nvc_check.models.image_codec import Code, SynthesisGraph


class VideoCodec:
    """ScaleSpaceFlow: a keyframe, then frames predicted from the one before by motion, plus a residual."""

    kind = "video"
    multiple = 128  # four stride-2 layers to y, three more to z

    def __init__(self, name: str, architecture: str, model: Any) -> None:
        self.name = name
        self.architecture = architecture
        self.model = model
        parts = {"keyframe": model.img_hyperprior, "motion": model.motion_hyperprior, "residual": model.res_hyperprior}
        self.hyperpriors = {part: _hyperprior(module) for part, module in parts.items()}

    def frame_graphs(self, native: bool) -> dict[str, nn.Module]:
        """Graph name -> module from symbols and means to a frame; not `native`: as it is exported, in parts."""
        inter = InterGraph(self.model, native, in_parts=not native)
        return {"keyframe_frame": SynthesisGraph(self.model.img_decoder), "inter_frame": inter}

    @torch.inference_mode()
    def encode(self, frame: torch.Tensor, reference: torch.Tensor | None, code: Code) -> torch.Tensor:
        """The reconstruction of frame: (1, 3, H, W) float32, sides multiples of 128; a keyframe without `reference`."""
        model = self.model
        if reference is None:
            keyframe: torch.Tensor = model.img_decoder(code("keyframe", model.img_encoder(frame)))
            return keyframe
        motion_hat = code("motion", model.motion_encoder(self._motion_input(frame, reference)))
        predicted = model.forward_prediction(reference, model.motion_decoder(motion_hat))
        residual_hat = code("residual", model.res_encoder(frame - predicted))
        decoded: torch.Tensor = predicted + model.res_decoder(torch.cat((residual_hat, motion_hat), dim=1))
        return decoded

    def _motion_input(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        shown: torch.Tensor = (
            self.model.motion_input(frame, reference)
            if hasattr(self.model, "motion_input")
            else torch.cat((frame, reference), dim=1)
        )
        return shown


class InterGraph(nn.Module):
    """Symbols and means of motion and residual, and the reference frame -> frame: (1, 3, H, W) float32, unclamped.

    Args:
        native: warps as torch does, in five dimensions.
        in_parts: gives what `decoders` give, too: frame, motion, residual.
    """

    inputs = ("motion.y", "motion.means", "residual.y", "residual.means", "reference")
    # its convolutional parts and what they read: flow x, flow y and scale; what is added to the prediction
    decoders: ClassVar = {
        "motion": ("motion.y", "motion.means"),
        "residual": ("residual.y", "residual.means", "motion.y", "motion.means"),
    }

    def __init__(self, model: Any, native: bool, in_parts: bool = False) -> None:
        super().__init__()
        self.outputs = ("frame", *self.decoders) if in_parts else ("frame",)
        self._in_parts = in_parts
        self.motion_decoder = model.motion_decoder
        self.res_decoder = model.res_decoder
        self.levels: int = model.num_levels + 1
        self.sigma: float = model.sigma0
        self.flow_unit: float | None = getattr(
            model, "flow_unit", None
        )  # pixels; None: coordinates normalised to [-1, 1]
        self._native = model.forward_prediction if native else None

    def forward(
        self,
        motion_y: torch.Tensor,
        motion_means: torch.Tensor,
        residual_y: torch.Tensor,
        residual_means: torch.Tensor,
        reference: torch.Tensor,
    ) -> Any:
        motion_hat = motion_y.to(torch.float32) + motion_means
        residual_hat = residual_y.to(torch.float32) + residual_means
        motion = self.motion_decoder(motion_hat)
        predicted = self._native(reference, motion) if self._native else self._predict(reference, motion)
        residual = self.res_decoder(torch.cat((residual_hat, motion_hat), dim=1))
        return (predicted + residual, motion, residual) if self._in_parts else predicted + residual

    def _predict(self, reference: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        """The trilinear warp as one 4-D grid sample of all levels, blended by the distance to the scale.

        The same in real numbers as the 5-D grid sample with align_corners=False and border padding.
        """
        flow, scale = motion[:, :2], motion[:, 2:]
        # counted by sums, not from the shape: arithmetic on shapes is what GPU providers leave to the CPU
        ones = torch.ones_like(reference[:, 0])
        columns, rows = ones.cumsum(2), ones.cumsum(1)  # 1 to width, 1 to height
        width, height = columns[:, :, -1:], rows[:, -1:]
        right, down = flow[:, 0], flow[:, 1]
        if self.flow_unit is not None:
            right, down = right * (2 * self.flow_unit) / width, down * (2 * self.flow_unit) / height
        x = right + (2 * columns - 1) / width - 1
        y = down + (2 * rows - 1) / height - 1
        volume = self._volume(reference)
        warped = functional.grid_sample(volume, torch.stack((x, y), dim=-1), padding_mode="border", align_corners=False)
        level = (((scale + 1) * self.levels - 1) / 2).clamp(0, self.levels - 1)
        parts = [
            (1 - (level - index).abs()).relu() * warped[:, 3 * index : 3 * index + 3] for index in range(self.levels)
        ]
        return torch.stack(parts).sum(dim=0)

    def _volume(self, reference: torch.Tensor) -> torch.Tensor:
        """CompressAI's `gaussian_volume`, level after level along the channels: (1, 3 levels, H, W).

        Coarser levels are enlarged together, one doubling for all: the same values with 4 interpolations for 10.
        """
        size = 2 * math.ceil(3 * self.sigma) + 1
        kernel = gaussian_kernel2d(size, self.sigma, reference.device, reference.dtype)
        pyramid = [gaussian_blur(reference, kernel=kernel)]
        for _ in range(self.levels - 2):
            pyramid.append(gaussian_blur(functional.avg_pool2d(pyramid[-1], 2), kernel=kernel))
        enlarged = pyramid.pop()
        for level in reversed(pyramid):
            doubled = functional.interpolate(enlarged, scale_factor=2, mode="bilinear", align_corners=False)
            enlarged = torch.cat((level, doubled), dim=1)
        return torch.cat((reference, enlarged), dim=1)


def _hyperprior(module: Any) -> Hyperprior:
    def h_s(z_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return module.hyper_decoder_scale(z_hat), module.hyper_decoder_mean(z_hat)

    return Hyperprior(module.entropy_bottleneck, module.gaussian_conditional, module.hyper_encoder, h_s)
