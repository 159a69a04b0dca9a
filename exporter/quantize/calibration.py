"""The latents and hyper-latents that calibration pictures give, for every part of a codec.

Computed in float64 and snapped to a grid: what instruction sets and thread counts change is some 10^-14 of a step, so
that they lead to the same integers, and from these to the same package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray

from nvc_check.exporter.parallel import on_all_cores
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.errors import UsageError
from nvc_check.models.motion import block_flow

Seen = dict[str, NDArray[np.int32]]
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
        seen: analysis graph -> its inputs, by name, (1, C, h, w) int32 each; empty where nobody asked.
    """

    symbols: dict[str, list[NDArray[np.int64]]]
    latents: dict[str, list[NDArray[np.float64]]]
    seen: dict[str, list[Seen]]


def calibrate(codec: Codec, pictures: Iterable[NDArray[np.float32]], *, analysis: bool = False) -> Calibration:
    """Codes `pictures`.

    Args:
        analysis: keep what the encoder saw.
        pictures: (1, 3, H, W) float32 in [0, 1], sides multiples of `codec.multiple`. A video codec codes each as a
            keyframe, and the picture moved by a few pixels as the frame after it.

    Raises:
        UsageError: no pictures.
    """
    graphs = {name: module.inputs for name, module in codec.analysis_graphs().items()} if analysis else {}
    symbols: dict[str, list[NDArray[np.int64]]] = {part: [] for part in codec.hyperpriors}
    latents: dict[str, list[NDArray[np.float64]]] = {part: [] for part in codec.hyperpriors}
    found = Calibration(symbols, latents, {name: [] for name in graphs})
    codec.model.double()
    try:
        pairs = zip(pictures, cycle(SHIFTS), strict=False)
        for seen, coded in on_all_cores(lambda pair: _coded(codec, graphs, *pair), pairs):
            for name, inputs in seen.items():
                found.seen[name].append(inputs)
            for part, z, y_hat in coded:
                found.symbols[part].append(z)
                found.latents[part].append(y_hat)
    finally:
        codec.model.float()  # as it was, bit for bit
    if not next(iter(found.symbols.values())):
        raise UsageError("calibration: no pictures, expected at least one; name a folder or clip that has some")
    return found


def _coded(
    codec: Codec, graphs: Mapping[str, Sequence[str]], picture: NDArray[np.float32], shift: tuple[int, int]
) -> tuple[dict[str, Seen], list[Coded]]:
    """Of one picture: (what each of the analysis graphs `graphs` saw, (part, z, y_hat) in the order of coding)."""
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

    shown: dict[str, Seen] = {}

    def see(name: str, inputs: dict[str, torch.Tensor]) -> None:
        if name in graphs:
            shown[name] = {key: torch.round(value).numpy().astype(np.int32) for key, value in inputs.items()}
            if "flow" in graphs[name]:
                shown[name]["flow"] = block_flow(shown[name]["picture"], shown[name]["reference"])

    frame = torch.from_numpy(_middle(picture)).double()
    reference = torch.round(codec.encode(frame, None, code, see) * STEPS) / STEPS
    if codec.kind == "video":
        codec.encode(torch.roll(frame, shift, dims=(2, 3)), reference, code, see)
    return shown, found


def _middle(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max(0, (side - SIDE) // 2) for side in picture.shape[2:])
    return np.ascontiguousarray(picture[:, :, top : top + SIDE, left : left + SIDE])
