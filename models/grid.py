"""Dyadic grids: value = integer x 2^e. Powers of two and the bounds that make float32 exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

FLOAT32_EXACT = 1 << 24  # integers below this are float32 values, so their sums in any order are exact
FLOAT64_EXACT = 1 << 53


def exponent_to_hold(largest: Float64, integers: int, power_of_two: bool = True) -> Float64:
    """The smallest e, per element, with largest <= integers * 2^e; for 0 it is 0.

    Whole numbers; with `power_of_two` off any real ones, which makes 2^e an ordinary quantization scale.
    """
    ratio = np.where(largest > 0, largest, integers) / integers
    if not power_of_two:
        return np.log2(ratio)  # type: ignore[no-any-return]
    mantissa, exponent = np.frexp(ratio)
    return np.where(mantissa == 0.5, exponent - 1, exponent).astype(np.float64)


def is_power_of_two(values: Float64) -> bool:
    return bool(np.all((values > 0) & (np.frexp(values)[0] == 0.5)))


def finest_exponents(values: Float64) -> Float64:
    """Along the last axis: the largest e such that every value is an integer x 2^e (1023 where all are 0)."""
    mantissa, exponent = np.frexp(values)
    integers = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.frexp((integers & -integers).astype(np.float64))[1] - 1  # position of the lowest set bit
    steps = np.where(values == 0, 1023, exponent - 53 + lowest)
    return steps.min(axis=-1).astype(np.float64)  # type: ignore[no-any-return]


def pair_sums(weight: Int64, axis: int) -> Int64:
    """(channels along `axis`,) sum of the two largest |w|: above 128, x86 without VNNI saturates int8 weights."""
    rows = np.abs(np.moveaxis(weight, axis, 0)).reshape(weight.shape[axis], -1)
    sums: Int64 = np.sort(rows, axis=1)[:, -2:].sum(axis=1)
    return sums
