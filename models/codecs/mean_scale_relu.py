"""A small mean-scale hyperprior image codec whose only non-linearity is ReLU.

Topology of Minnen, Ballé, Toderici, "Joint autoregressive and hierarchical priors" (NeurIPS 2018), the
mean-scale variant without context model, with GDN and LeakyReLU replaced by ReLU so that every decoder
layer has an exact integer form. Widths taper towards the pixels: a transposed convolution at half
resolution costs 16 times what the same one costs at an eighth.
"""

from __future__ import annotations

from typing import Any

import torch
from compressai.models.google import MeanScaleHyperprior
from compressai.models.utils import conv, deconv
from compressai.ops import quantize_ste
from torch import nn


class MeanScaleHyperpriorReLU(MeanScaleHyperprior):  # type: ignore[misc]
    """g_a, g_s, h_a, h_s of 5x5 stride-2 (transposed) convolutions; see the module's docstring.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the picture's resolution.
        M: channels of the latent y, at 1/16.
        N: channels of the hyper-latent z, at 1/64.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), M: int = 96, N: int = 64) -> None:
        super().__init__(N, M)
        half, quarter, eighth = widths
        self.g_a = nn.Sequential(
            conv(3, half),
            nn.ReLU(),
            conv(half, quarter),
            nn.ReLU(),
            conv(quarter, eighth),
            nn.ReLU(),
            conv(eighth, M),
        )
        self.g_s = nn.Sequential(
            deconv(M, eighth),
            nn.ReLU(),
            deconv(eighth, quarter),
            nn.ReLU(),
            deconv(quarter, half),
            nn.ReLU(),
            deconv(half, 3),
        )
        self.h_a = nn.Sequential(conv(M, N, kernel_size=3, stride=1), nn.ReLU(), conv(N, N), nn.ReLU(), conv(N, N))
        self.h_s = nn.Sequential(
            deconv(N, N),
            nn.ReLU(),
            deconv(N, N * 3 // 2),
            nn.ReLU(),
            conv(N * 3 // 2, 2 * M, kernel_size=3, stride=1),
        )

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        """x_hat and likelihoods of x: (B, 3, H, W) float32 in [0, 1], H and W multiples of 64.

        The rate sees uniform noise, the decoders see rounded values (straight-through gradients), as in
        Minnen and Singh, "Channel-wise autoregressive entropy models" (ICIP 2020), section 3.3.
        """
        y = self.g_a(x)
        z = self.h_a(y)
        _, z_likelihoods = self.entropy_bottleneck(z)
        medians = self.entropy_bottleneck._get_medians().reshape(1, -1, 1, 1)
        scales_hat, means_hat = self.h_s(quantize_ste(z - medians) + medians).chunk(2, 1)
        _, y_likelihoods = self.gaussian_conditional(y, scales_hat, means=means_hat)
        x_hat = self.g_s(quantize_ste(y - means_hat) + means_hat)
        return {"x_hat": x_hat, "likelihoods": {"y": y_likelihoods, "z": z_likelihoods}}
