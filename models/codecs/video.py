"""CompressAI's scale-space flow in torch: what is exported, and how a frame is coded.

Agustsson et al., "Scale-space flow for end-to-end optimized video compression" (CVPR 2020).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from nvc_check.models.codecs.hyperprior import Hyperprior
from nvc_check.models.codecs.image import PEAK, AnalysisGraph, Code, Seen, SynthesisGraph, unseen

QUARTERS = 4  # of an 8-bit step: what a predicted picture is in steps of


class VideoCodec:
    """ScaleSpaceFlow: a keyframe, then frames predicted from the one before by motion, plus a residual."""

    kind = "video"
    multiple = 128  # four stride-2 layers to y, three more to z
    notes: tuple[str, ...] = ()

    def __init__(self, name: str, architecture: str, model: Any) -> None:
        self.name = name
        self.architecture = architecture
        self.model = model
        parts = {"keyframe": model.img_hyperprior, "motion": model.motion_hyperprior, "residual": model.res_hyperprior}
        self.hyperpriors = {part: _hyperprior(module) for part, module in parts.items()}

    def frame_graphs(self, native: bool) -> dict[str, nn.Module]:
        """Graph name -> module from symbols and means to a frame; not `native`: as far as it is exported from torch."""
        inter = (InterGraph if native else InterDecoders)(self.model)
        return {"keyframe_frame": SynthesisGraph(self.model.img_decoder), "inter_frame": inter}

    def analysis_graphs(self) -> dict[str, nn.Module]:
        """Graph name -> module from what an encoder sees to its latents.

        A residual is seen in quarters of 8-bit steps, as the integer warp gives its prediction; a flow in half pixels.
        """
        model, picture = self.model, (3, 1 / PEAK)
        pictures = {"picture": picture, "reference": picture}
        if self._sees_flow:
            pictures["flow"] = (2, 0.5 / float(model.flow_unit))
        seen = {
            "keyframe": (model.img_encoder, {"picture": picture}),
            "motion": (model.motion_encoder, pictures),
            "residual": (model.res_encoder, {"difference": (3, 1 / (QUARTERS * PEAK))}),
        }
        return {
            f"{part}_analysis": AnalysisGraph(encoder, self.hyperpriors[part], inputs)
            for part, (encoder, inputs) in seen.items()
        }

    @torch.inference_mode()
    def encode(
        self, frame: torch.Tensor, reference: torch.Tensor | None, code: Code, seen: Seen = unseen
    ) -> torch.Tensor:
        """The reconstruction of frame: (1, 3, H, W) float32, sides multiples of 128; a keyframe without `reference`."""
        model = self.model
        picture = frame * PEAK
        if reference is None:
            seen("keyframe_analysis", {"picture": picture})
            keyframe: torch.Tensor = model.img_decoder(code("keyframe", model.img_encoder(frame)))
            return keyframe
        before = reference.clamp(0, 1) * PEAK
        seen("motion_analysis", {"picture": picture, "reference": before})
        motion_hat = code("motion", model.motion_encoder(self._motion_input(frame, reference)))
        predicted = model.forward_prediction(reference, model.motion_decoder(motion_hat))
        seen("residual_analysis", {"difference": QUARTERS * (picture - predicted.clamp(0, 1) * PEAK)})
        residual_hat = code("residual", model.res_encoder(frame - predicted))
        decoded: torch.Tensor = predicted + model.res_decoder(torch.cat((residual_hat, motion_hat), dim=1))
        return decoded

    @property
    def _sees_flow(self) -> bool:
        return hasattr(self.model, "motion_input")

    def _motion_input(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        shown: torch.Tensor = (
            self.model.motion_input(frame, reference) if self._sees_flow else torch.cat((frame, reference), dim=1)
        )
        return shown


class InterDecoders(nn.Module):
    """Symbols and means of motion and residual -> motion: flow x, flow y, scale; residual: (1, 3, H, W) float32 each.

    Attributes:
        levels, sigma: of the volume that the reference is warped in, and of its blur in pixels.
        flow_unit: pixels; None: flow is in coordinates normalised to [-1, 1].
    """

    inputs: tuple[str, ...] = ("motion.y", "motion.means", "residual.y", "residual.means")
    outputs: tuple[str, ...] = ("motion", "residual")
    # what each output is made of
    decoders: ClassVar = {
        "motion": ("motion.y", "motion.means"),
        "residual": ("residual.y", "residual.means", "motion.y", "motion.means"),
    }

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.motion_decoder = model.motion_decoder
        self.res_decoder = model.res_decoder
        self.levels: int = model.num_levels + 1
        self.sigma: float = model.sigma0
        self.flow_unit: float | None = getattr(model, "flow_unit", None)

    def forward(
        self,
        motion_y: torch.Tensor,
        motion_means: torch.Tensor,
        residual_y: torch.Tensor,
        residual_means: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        motion_hat = motion_y.to(torch.float32) + motion_means
        residual_hat = residual_y.to(torch.float32) + residual_means
        return self.motion_decoder(motion_hat), self.res_decoder(torch.cat((residual_hat, motion_hat), dim=1))


class InterGraph(nn.Module):
    """The same and the reference frame -> frame: (1, 3, H, W) float32, unclamped; warped as torch does."""

    inputs = (*InterDecoders.inputs, "reference")
    outputs = ("frame",)

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._decoders = InterDecoders(model)
        self._predict = model.forward_prediction

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        *latents, reference = inputs
        motion, residual = self._decoders(*latents)
        frame: torch.Tensor = self._predict(reference, motion) + residual
        return frame


def _hyperprior(module: Any) -> Hyperprior:
    def h_s(z_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return module.hyper_decoder_scale(z_hat), module.hyper_decoder_mean(z_hat)

    return Hyperprior(module.entropy_bottleneck, module.gaussian_conditional, module.hyper_encoder, h_s, module)
