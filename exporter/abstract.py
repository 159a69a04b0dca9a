"""The certificate's abstract value: which grid a tensor lives on and how far it reaches, per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.grid import finest_exponents

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Abstract:
    """All values of channel c are integers x 2^exponent[c] within [low[c], high[c]].

    Attributes:
        exponent, low, high: (C,) float64 for the channels (axis 1), or (1,) for all alike; low and high are real.
        constant: the tensor itself, for initializers and what is folded from them.
        stored: the integers behind a dequantized constant.
        monotone: large values may have been rounded (monotonically): exact again behind a Clip.
        dtype: numpy name of the tensor's element type.
    """

    exponent: Float64
    low: Float64
    high: Float64
    constant: NDArray[Any] | None = None
    stored: NDArray[Any] | None = None
    monotone: bool = False
    dtype: str = "float32"

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


def of_constant(array: NDArray[Any]) -> Abstract:
    values = array.astype(np.float64)
    channels = values.shape[1] if values.ndim >= 2 else 1
    rows = np.moveaxis(values, 1, 0).reshape(channels, -1) if values.ndim >= 2 else values.reshape(1, -1)
    return Abstract(finest_exponents(rows), rows.min(axis=1), rows.max(axis=1), array, dtype=str(array.dtype))


def wide(value: Abstract, channels: int) -> tuple[Float64, Float64, Float64]:
    """(exponent, low, high) for `channels` channels."""
    exponent, low, high = (np.broadcast_to(a, channels) for a in (value.exponent, value.low, value.high))
    return exponent, low, high
