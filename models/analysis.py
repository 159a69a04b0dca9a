"""The encoder's side in torch: pictures to latents, and the FP32 hyper-decoder and synthesis as trained."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.models.codecs import Codec

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


class Analysis:
    """g_a, h_a, h_s and g_s of a codec on numpy arrays, without gradients."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        medians = codec.model.entropy_bottleneck._get_medians().detach().numpy()
        self.medians: Float32 = medians.reshape(1, -1, 1, 1).astype(np.float32)

    @torch.inference_mode()
    def latents(self, frame: Float32) -> tuple[Float32, Float32]:
        """(y, z) of frame: (1, 3, H, W) float32 in [0, 1], sides multiples of 64; bmshj2018 hypers |y|."""
        y = self.codec.model.g_a(torch.from_numpy(frame))
        z = self.codec.model.h_a(y if self.codec.has_means else torch.abs(y))
        return y.numpy(), z.numpy()

    def z_symbols(self, z: Float32) -> Int32:
        """round(z - median), int32."""
        symbols: Int32 = np.rint(z - self.medians).astype(np.int32)
        return symbols

    @torch.inference_mode()
    def entropy_parameters(self, z_symbols: Int32) -> tuple[Float32, Float32 | None]:
        """(scales_hat, means or None) as the FP32 codec computes them."""
        gaussian = self.codec.model.h_s(torch.from_numpy(z_symbols).to(torch.float32) + torch.from_numpy(self.medians))
        if not self.codec.has_means:
            return gaussian.numpy(), None
        scales, means = gaussian.chunk(2, 1)
        return scales.numpy(), means.numpy()

    @torch.inference_mode()
    def synthesis(self, y_hat: Float32) -> Float32:
        """g_s(y_hat): (1, 3, H, W) float32, not clamped."""
        return self.codec.model.g_s(torch.from_numpy(y_hat)).numpy()  # type: ignore[no-any-return]
