"""Integer CDF tables of a torch codec, made once at export.

As CompressAI's update() makes them, but in float64: what float32 leaves to instruction sets moves some entries by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.models.artifacts.tables import Tables, integer_thresholds, scale_table
from nvc_check.models.codecs.architectures import Codec


def freeze_tables(codec: Codec, part: str, scales_exponent: int) -> Tables:
    """Tables of a part of `codec`, thresholds on the grid 2^scales_exponent.

    CompressAI's build_indexes counts the scale table's entries but the last that are below the scale.
    """
    hyperprior = codec.hyperpriors[part]
    gaussian, factorized = hyperprior.gaussian_conditional, hyperprior.entropy_bottleneck
    scales = scale_table()
    gaussian.scale_table = torch.from_numpy(scales)
    y_cdf, y_length, y_offset = _gaussian_tables(gaussian, scales.astype(np.float64))
    factorized.double()
    try:
        factorized.update(force=True)
    finally:
        factorized.float()
    thresholds = scales[:-1]
    return Tables(
        scale_thresholds=thresholds,
        integer_thresholds=integer_thresholds(thresholds, scales_exponent),
        y_cdf=y_cdf,
        y_length=y_length,
        y_offset=y_offset,
        z_cdf=factorized._quantized_cdf.numpy().astype(np.int32),
        z_length=factorized._cdf_length.numpy().reshape(-1).astype(np.int32),
        z_offset=factorized._offset.numpy().reshape(-1).astype(np.int32),
    )


def _gaussian_tables(
    gaussian: Any, scales: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """(cdf (64, longest + 2), length (64,), offset (64,)): GaussianConditional.update(), which casts to float32."""
    reach = np.ceil(scales * -gaussian._standardized_quantile(gaussian.tail_mass / 2)).astype(np.int64)
    length = 2 * reach + 1
    samples = torch.from_numpy(np.abs(np.arange(length.max()) - reach[:, None]).astype(np.float64))
    steps = torch.from_numpy(scales[:, None])
    upper = gaussian._standardized_cumulative((0.5 - samples) / steps)
    lower = gaussian._standardized_cumulative((-0.5 - samples) / steps)
    lengths = torch.from_numpy(length.astype(np.int32))
    cdf = gaussian._pmf_to_cdf(upper - lower, 2 * lower[:, :1], lengths, int(length.max()))
    return cdf.numpy().astype(np.int32), (length + 2).astype(np.int32), -reach.astype(np.int32)
