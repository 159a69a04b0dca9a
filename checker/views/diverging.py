"""The colours of residual maps: blue below zero, white at zero, orange above.

Blue against orange is the axis that people with a red-green deficiency (about 8 % of men) keep. Lightness
falls alike from white to both ends, so that size can be read without seeing any hue.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# sRGB at -1, -2/3, ..., 1; CIELAB lightness 21, 50, 76, 100, 78, 52, 22
ANCHORS = np.array(
    [
        (8, 48, 107),
        (44, 122, 190),
        (143, 194, 230),
        (255, 255, 255),
        (255, 177, 98),
        (196, 94, 9),
        (94, 36, 0),
    ],
    dtype=np.float64,
)


def diverging(value: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Any shape, -1 to 1, to that shape and 3: sRGB; what lies outside gets the colour of the end."""
    at = np.linspace(-1, 1, len(ANCHORS))
    channels = [np.interp(value, at, ANCHORS[:, channel]) for channel in range(3)]
    colours: npt.NDArray[np.uint8] = np.round(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours
