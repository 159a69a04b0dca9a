"""Latents in two limbs of 7 bits, so that integer convolutions can read them.

The means make latents finer than 8 bits. 7 bits, not 8: see synthesis.ACTIVATION_MAX.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LOW, HIGH = -64, 63
FINE = 4  # bits of the second limb's grid below the first one's, and of its weights above
REACH = 68.0  # steps of the first limb, beyond which both limbs are saturated


def limbs(y_hat: Float64, grid: Float64) -> Float64:
    """(1, 2C, h, w) integers within [LOW, HIGH]: y_hat (1, C, h, w) in steps of 2^grid (C,), rounded half to even,
    and behind these channels what is left of it on a grid 2^FINE finer, rounded so too.
    """
    steps = y_hat / np.exp2(grid).reshape(1, -1, 1, 1)
    coarse: Float64 = np.rint(np.clip(steps, LOW, HIGH))
    fine = np.rint(np.clip((steps - coarse) * 2.0**FINE, LOW, HIGH))
    return np.concatenate([coarse, fine], axis=1)
