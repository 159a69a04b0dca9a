"""The photographs that the scikit-image wheel bundles: for calibration and samples, without a network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nvc_check.checker.media.pictures import read_picture
from nvc_check.models.errors import UsageError

# Left out: drawings, charts, masks and scanned text, microscopy and medical pictures, the second
# view of the stereo pair. The grey ones are textures: calibration without them sees mostly soft backgrounds.
COLOUR = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
    "rocket.jpg",
)
GREY = ("brick.png", "camera.png", "grass.png", "gravel.png")


def photographs() -> list[npt.NDArray[np.uint8]]:
    """Ten photographs, each (H, W, 3) uint8 RGB of 300 to 1000 pixels a side, always in the same order."""
    return [photograph(name) for name in COLOUR + GREY]


def photograph(name: str) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of one bundled file.

    Raises:
        UsageError: scikit-image is not installed, or comes without the file.
    """
    # Found, not imported: the package is slow to load, and its data module would download what is missing
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("scikit-image: not installed, expected for its photographs; pip install 'nvc-check[export]'")
    file = Path(spec.submodule_search_locations[0], "data", name)
    if not file.is_file():
        raise UsageError(
            f"{file}: no such file, expected in the scikit-image wheel; install scikit-image 0.24 or later"
        )
    return read_picture(file)
