"""A picture's symbols: latents by the analysis graph, means by the entropy graph, what is left of them rounded.

On the integer path every step is one of integers: an encoder writes the same symbols wherever it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.package import Part

Array = NDArray[Any]


@dataclass(frozen=True)
class Rounded:
    """Symbols int32 within the limits of their part, and before they were clipped to these."""

    symbols: Array
    unlimited: Array


def z_symbols(z: Array, part: Part, path: str) -> Rounded:
    """Of what the analysis graph gives, (1, N, h, w) int32; on the path `fp32` float32, where nothing is clipped."""
    rounded = z if path == "int" else np.rint(z).astype(np.int32)
    return Rounded(np.clip(rounded, part.z_min, part.z_max) if path == "int" else rounded, rounded)


def y_symbols(y: Array, means: Array | None, part: Part, path: str) -> Rounded:
    """round(y - means): floor(. + 1/2) of integers on their grids; half to even in float32, where nothing is clipped.

    Args:
        y: (1, M, h, w) int32 in steps of 2^part.y_exponent; float32 on the path `fp32`.
        means: the same shape, int32 in steps of 2^part.means_exponent, or float32; None where the codec has none.
    """
    if path == "fp32":
        rounded = np.rint(y if means is None else y - means).astype(np.int32)
        return Rounded(rounded, rounded)
    assert part.y_exponent is not None
    finest = min(part.y_exponent, part.means_exponent or 0, 0)
    left = y.astype(np.int64) << (part.y_exponent - finest)
    if means is not None and part.means_exponent is not None:
        left = left - (means.astype(np.int64) << (part.means_exponent - finest))
    rounded = ((2 * left + (1 << -finest)) >> (1 - finest)).astype(np.int32)
    low, high = (-np.inf if part.y_min is None else part.y_min), (np.inf if part.y_max is None else part.y_max)
    return Rounded(np.clip(rounded, low, high).astype(np.int32), rounded)
