"""A hyperprior image codec in torch: what is exported, and how a picture is coded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nvc_check.models.codecs.hyperprior import Hyperprior

PEAK = 255  # of a picture's integers
Code = Callable[[str, torch.Tensor], torch.Tensor]
"""(part, y) -> y_hat: entropy coding of one latent, with the hyperprior of a path."""
Seen = Callable[[str, dict[str, torch.Tensor]], None]
"""Told what each analysis graph sees: (its name, its inputs, not rounded to steps yet)."""


def unseen(name: str, inputs: dict[str, torch.Tensor]) -> None:
    """Nobody asks."""


class ImageCodec:
    """g_a, g_s, h_a, h_s of CompressAI's mean-scale and scale hyperpriors."""

    kind = "image"
    multiple = 64  # four stride-2 layers to y, two more to z
    notes: tuple[str, ...] = ()

    def __init__(self, name: str, architecture: str, model: Any, has_means: bool) -> None:
        self.name = name
        self.architecture = architecture
        self.model = model
        self._has_means = has_means
        self.hyperpriors = {
            "image": Hyperprior(model.entropy_bottleneck, model.gaussian_conditional, self._h_a, self._h_s, model)
        }

    def frame_graphs(self, native: bool) -> dict[str, nn.Module]:
        """Graph name -> module from symbols and means to a frame; `native` makes no difference here."""
        return {"frame": SynthesisGraph(self.model.g_s)}

    def analysis_graphs(self) -> dict[str, nn.Module]:
        """Graph name -> module from a picture to its latents."""
        picture = {"picture": (3, 1 / PEAK)}
        return {"analysis": AnalysisGraph(self.model.g_a, self.hyperpriors["image"], picture)}

    @torch.inference_mode()
    def encode(
        self, frame: torch.Tensor, reference: torch.Tensor | None, code: Code, seen: Seen = unseen
    ) -> torch.Tensor:
        """The reconstruction of frame: (1, 3, H, W) float32 in [0, 1], sides multiples of 64; no reference is used."""
        seen("analysis", {"picture": frame * PEAK})
        decoded: torch.Tensor = self.model.g_s(code("image", self.model.g_a(frame)))
        return decoded

    def _h_a(self, y: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = self.model.h_a(y if self._has_means else torch.abs(y))
        return z

    def _h_s(self, z_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        gaussian = self.model.h_s(z_hat)
        if not self._has_means:
            return gaussian, None
        scales_hat, means = gaussian.chunk(2, 1)
        return scales_hat, means


class AnalysisGraph(nn.Module):
    """Integers that an encoder sees -> y: (1, M, H/16, W/16) and z less its medians: (1, N, H/64, W/64), real numbers.

    Rounded, half up or to even, z is the symbols; those of y are y less the means that z gives.

    Args:
        encoder: of all inputs, one behind the other along the channels.
        inputs: name of a tensor (1, C, H, W) int32 -> (C, what one of its steps is to the encoder).
    """

    outputs = ("y", "z")

    def __init__(self, encoder: Any, hyperprior: Hyperprior, inputs: Mapping[str, tuple[int, float]]) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        self.channels = {name: channels for name, (channels, _) in inputs.items()}
        self.owner = hyperprior.owner  # of the layers that h_a calls
        self.encoder = encoder
        self._h_a = hyperprior.h_a
        steps = [step for channels, step in inputs.values() for _ in range(channels)]
        self.steps: torch.Tensor
        self.register_buffer("steps", torch.tensor(steps).reshape(1, -1, 1, 1))
        self.medians: torch.Tensor
        self.register_buffer("medians", hyperprior.medians)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        real = [each.to(torch.float32) for each in inputs]
        seen = real[0] if len(real) == 1 else torch.cat(real, dim=1)
        y: torch.Tensor = self.encoder(seen * self.steps)
        return y, self._h_a(y) - self.medians


class SynthesisGraph(nn.Module):
    """y: (1, M, h, w) int32 symbols[, means: same shape, float32] -> frame: (1, 3, 16h, 16w) float32, unclamped."""

    inputs = ("y", "means")
    outputs = ("frame",)

    def __init__(self, g_s: nn.Module) -> None:
        super().__init__()
        self.g_s = g_s

    def forward(self, y: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        y_hat = y.to(torch.float32)
        frame: torch.Tensor = self.g_s(y_hat if means is None else y_hat + means)
        return frame
