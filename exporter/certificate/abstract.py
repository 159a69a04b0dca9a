"""The certificate's abstract value: which grid a tensor lives on and how far it reaches, per channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.grid import finest_exponents

Float64 = NDArray[np.float64]
HIGHEST = 1023.0  # exponent of a tensor that is all zero
Shape = tuple[int | None, ...] | None  # None: unknown rank; a None inside: a size known at run time only


@dataclass(frozen=True)
class Linear:
    """A tensor as gain * base + offset with constant gain and offset, which a runtime may fold into one (A5).

    Attributes:
        steps: (C,) or (1,) bound of |gain * base| and of its partial sums, in steps of its own grid.
        bits: significant bits of the folded gain; weights of a convolution included.
        offset: (C,) or (1,) sum of the magnitudes of all offsets, real.
        octaves: lowest and highest exponent that the folded gain can have.
        products: base is a sum of products (convolution, MatMul), so the gain becomes a multiplier operand.
    """

    steps: Float64
    bits: int
    offset: Float64
    octaves: tuple[float, float] = (0.0, 0.0)
    products: bool = False


@dataclass(frozen=True)
class Abstract:
    """All values of channel c are integers x 2^exponent[c] within [low[c], high[c]].

    Attributes:
        exponent, low, high: (C,) float64 for the channels (axis 1), or (1,) for all alike; low and high are real.
        constant: the tensor itself, for initializers and what is folded from them.
        stored: the integers behind a dequantized constant.
        monotone: large values may have been rounded (monotonically): exact again behind a Clip.
        dtype: numpy name of the tensor's element type.
        shape: sizes as far as they are known.
        codes: lowest and highest integer, zero point included, behind a dequantized uint8 tensor.
        linear: the linear map that made it, where there is one.
        factors: lowest and highest octave of products of the constants behind it, as in factors.py.
    """

    exponent: Float64
    low: Float64
    high: Float64
    constant: NDArray[Any] | None = None
    stored: NDArray[Any] | None = None
    monotone: bool = False
    dtype: str = "float32"
    shape: Shape = None
    codes: tuple[float, float] | None = None
    linear: Linear | None = None
    factors: tuple[float, float] = (0.0, 0.0)

    @property
    def reach(self) -> Float64:
        """(C,) largest magnitude."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def integers(self) -> float:
        """Largest magnitude in steps of the grid, over all channels."""
        return float((self.reach / np.exp2(self.exponent)).max(initial=0))

    @property
    def bits(self) -> int:
        """Significant bits that a multiplier operand of these values can have."""
        return int(self.integers).bit_length()

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())


def of_constant(array: NDArray[Any]) -> Abstract:
    """The tightest value of a constant; infinite or NaN elements give infinite bounds."""
    values = array.astype(np.float64)
    dtype, shape = str(array.dtype), tuple(array.shape)
    if values.size == 0:
        return Abstract(np.zeros(1), np.zeros(1), np.zeros(1), array, dtype=dtype, shape=shape)
    if not np.isfinite(values).all():
        unknown = bool(np.isnan(values).any())
        low, high = (-np.inf, np.inf) if unknown else (float(values.min()), float(values.max()))
        return Abstract(np.zeros(1), np.full(1, low), np.full(1, high), array, dtype=dtype, shape=shape)
    channels = values.shape[1] if values.ndim >= 2 else 1
    rows = np.moveaxis(values, 1, 0).reshape(channels, -1) if values.ndim >= 2 else values.reshape(1, -1)
    return Abstract(finest_exponents(rows), rows.min(axis=1), rows.max(axis=1), array, dtype=dtype, shape=shape)


def bounded(low: float, high: float, dtype: str, exponent: float = 0.0) -> Abstract:
    """All values alike: multiples of 2^exponent within [low, high]."""
    return Abstract(np.full(1, exponent), np.full(1, low), np.full(1, high), dtype=dtype)


def capped(exponent: Float64) -> Float64:
    """Exponents that float64 can hold as 2^e: only zeros have a coarser grid."""
    return np.minimum(exponent, HIGHEST)


def wide(value: Abstract, channels: int) -> tuple[Float64, Float64, Float64]:
    """(exponent, low, high) for `channels` channels."""
    exponent, low, high = (np.broadcast_to(a, channels) for a in (value.exponent, value.low, value.high))
    return exponent, low, high


def uniform(value: Abstract) -> Abstract:
    """The same values with nothing known about single channels."""
    linear = value.linear
    if linear is not None:
        linear = replace(linear, steps=linear.steps.max(keepdims=True), offset=linear.offset.max(keepdims=True))
    exponent, low, high = value.exponent.min(keepdims=True), value.low.min(keepdims=True), value.high.max(keepdims=True)
    return replace(value, exponent=exponent, low=low, high=high, linear=linear)


def union(values: list[Abstract]) -> Abstract:
    """What any of `values` may be, channel by channel."""
    exponent, low, high = values[0].exponent, values[0].low, values[0].high
    for value in values[1:]:
        exponent = np.minimum(exponent, value.exponent)
        low, high = np.minimum(low, value.low), np.maximum(high, value.high)
    return Abstract(exponent, low, high, dtype=values[0].dtype)


def moved(value: Abstract, same_channels: bool) -> Abstract:
    """The same values in another order or number; what was known of single channels stays only if they do."""
    kept = value if same_channels else uniform(value)
    return replace(kept, constant=None, stored=None, linear=None, shape=None)
