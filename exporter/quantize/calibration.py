"""The latents and hyper-latents that calibration pictures give, for every part of a codec.

Computed in float64 and snapped to a grid: what instruction sets and thread counts change is some 10^-14 of a step, so
that they lead to the same integers, and from these to the same package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.exporter.parallel import on_all_cores
from nvc_check.models.artifacts.package import FRAME_PEAK
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.errors import UsageError

Coded = tuple[str, NDArray[np.int64], NDArray[np.float64]]

SIDE = 384  # pixels: the middle of a picture that is coded, at most; float64 is slow
STEPS = 1 << 10  # per unit, of means and pictures; the integer path's are no finer
# pixels down and right between the two frames that a single picture makes for a video codec, one after the other: the
# grids of the motion decoder must hold slow and fast motion
SHIFTS = ((4, -4), (-1, 2), (16, 9), (-24, 0), (0, -40), (7, -7), (-3, 28), (0, 1), (48, 32), (-12, -20))


@dataclass(frozen=True)
class Calibration:
    """Of coding every picture with the FP32 codec, per part.

    Attributes:
        symbols: z, (1, N, h, w) int64 each.
        latents: y_hat, (1, M, H, W) float64 each.
        pictures: that were coded, (1, 3, h, w) int32 in [0, 255].
    """

    symbols: dict[str, list[NDArray[np.int64]]]
    latents: dict[str, list[NDArray[np.float64]]]
    pictures: list[NDArray[np.int32]]


def calibrate(codec: Codec, pictures: Iterable[NDArray[np.float32]]) -> Calibration:
    """Codes `pictures`.

    Args:
        pictures: (1, 3, H, W) float32 in [0, 1], sides multiples of `codec.multiple`. A video codec codes each as a
            keyframe, and the picture moved by a few pixels as the frame after it.

    Raises:
        UsageError: no pictures.
    """
    found = Calibration({part: [] for part in codec.hyperpriors}, {part: [] for part in codec.hyperpriors}, [])
    codec.model.double()
    try:
        pairs = zip(pictures, cycle(SHIFTS), strict=False)
        for picture, coded in on_all_cores(lambda pair: _coded(codec, *pair), pairs):
            found.pictures.append(picture)
            for part, symbols, y_hat in coded:
                found.symbols[part].append(symbols)
                found.latents[part].append(y_hat)
    finally:
        codec.model.float()  # as it was, bit for bit
    if not next(iter(found.symbols.values())):
        raise UsageError("calibration: no pictures, expected at least one; name a folder or clip that has some")
    return found


def _coded(codec: Codec, picture: NDArray[np.float32], shift: tuple[int, int]) -> tuple[NDArray[np.int32], list[Coded]]:
    """(what was coded of the picture, (part, z, y_hat) in the order of coding)."""
    found: list[Coded] = []

    def code(part: str, y: torch.Tensor) -> torch.Tensor:
        hyperprior = codec.hyperpriors[part]
        symbols = hyperprior.z_symbols(y)
        means = hyperprior.entropy_parameters(symbols)[1]
        known = torch.zeros_like(y) if means is None else torch.from_numpy(means)
        known = torch.round(known * STEPS) / STEPS
        y_hat = torch.round(y - known) + known
        found.append((part, symbols.astype(np.int64), y_hat.numpy()))
        return y_hat

    middle = _middle(picture)
    frame = torch.from_numpy(middle).double()
    reference = torch.round(codec.encode(frame, None, code) * STEPS) / STEPS
    if codec.kind == "video":
        codec.encode(torch.roll(frame, shift, dims=(2, 3)), reference, code)
    return np.rint(middle * FRAME_PEAK).astype(np.int32), found


def _middle(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max(0, (side - SIDE) // 2) for side in picture.shape[2:])
    return np.ascontiguousarray(picture[:, :, top : top + SIDE, left : left + SIDE])
