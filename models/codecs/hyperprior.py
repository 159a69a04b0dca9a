"""A hyperprior of a torch codec on numpy arrays: latents to symbols, symbols to entropy parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Hyperprior:
    """One hyper-encoder and hyper-decoder with their entropy models, as trained.

    Attributes:
        entropy_bottleneck, gaussian_conditional: CompressAI's entropy models of z and y.
        h_a: y -> z.
        h_s: z_hat -> (scales_hat, means), means None where the codec has none.
        owner: the module that has the layers which h_a and h_s call.
    """

    entropy_bottleneck: Any
    gaussian_conditional: Any
    h_a: Callable[[torch.Tensor], torch.Tensor]
    h_s: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]
    owner: Any

    @property
    def medians(self) -> torch.Tensor:
        """(1, N, 1, 1) float32, added to the symbols z."""
        medians: torch.Tensor = self.entropy_bottleneck._get_medians().detach().reshape(1, -1, 1, 1)
        return medians

    @torch.inference_mode()
    def z_symbols(self, y: torch.Tensor) -> Int32:
        """round(h_a(y) - median): (1, N, h, w) int32."""
        symbols: Int32 = torch.round(self.h_a(y) - self.medians).numpy().astype(np.int32)
        return symbols

    @torch.inference_mode()
    def entropy_parameters(self, z_symbols: Int32) -> tuple[Float32, Float32 | None]:
        """(scales_hat, means or None), float32 (1, M, H, W), as the FP32 codec computes them."""
        medians = self.medians  # on the device that the codec was moved to
        scales_hat, means = self.h_s(torch.from_numpy(z_symbols).to(medians.device, torch.float32) + medians)
        return scales_hat.cpu().numpy(), None if means is None else means.cpu().numpy()
