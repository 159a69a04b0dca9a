"""Integer CDF tables of a torch codec, made once at export."""

from __future__ import annotations

import numpy as np

from nvc_check.models.architectures import Codec
from nvc_check.models.tables import Tables


def freeze_tables(codec: Codec, part: str, scales_exponent: int) -> Tables:
    """Tables of a part of `codec` (CompressAI's update() is called), thresholds on the grid 2^scales_exponent.

    CompressAI's build_indexes counts the scale table's entries but the last that are below the scale.
    """
    codec.model.update(force=True)
    hyperprior = codec.hyperpriors[part]
    gaussian, factorized = hyperprior.gaussian_conditional, hyperprior.entropy_bottleneck
    thresholds = gaussian.scale_table.numpy()[:-1].astype(np.float32)
    return Tables(
        scale_thresholds=thresholds,
        integer_thresholds=np.floor(np.ldexp(thresholds.astype(np.float64), -scales_exponent)).astype(np.int32),
        y_cdf=gaussian._quantized_cdf.numpy().astype(np.int32),
        y_length=gaussian._cdf_length.numpy().reshape(-1).astype(np.int32),
        y_offset=gaussian._offset.numpy().reshape(-1).astype(np.int32),
        z_cdf=factorized._quantized_cdf.numpy().astype(np.int32),
        z_length=factorized._cdf_length.numpy().reshape(-1).astype(np.int32),
        z_offset=factorized._offset.numpy().reshape(-1).astype(np.int32),
    )
