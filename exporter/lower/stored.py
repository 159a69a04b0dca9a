"""Integer weights as they are stored in front of a DequantizeLinear."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.grid import pair_sums

PAIR_MAX = 32767


def stored_weights(weight: NDArray[np.int64], reach: int, axis: int) -> tuple[NDArray[Any], np.integer[Any]]:
    """(the weights, the integer that stands for 0): int8 of zero point 0, or uint8 of 128, which takes twice the time.

    x86 without VNNI multiplies uint8 by int8 in pairs whose sums saturate at 16 bits: int8 where an output channel's
    two largest weights (channels along `axis`) times inputs of magnitude `reach` stay below.
    """
    pairs_fit = reach * int(pair_sums(weight, axis).max()) <= PAIR_MAX
    zero: np.integer[Any] = np.int8(0) if pairs_fit else np.uint8(128)
    return (weight + int(zero)).astype(zero.dtype), zero
