"""A moving scene out of two photographs: a pan and zoom over one, a cut-out of the other passing by.

Everything is a smooth function of time and is sampled bicubically at its exact place, so that motion neither
jumps nor keeps to whole pixels. Lengths scale with the frame: a scene looks alike at every size.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

# In frame sizes: by how much the background is larger than the frame, and how far to each side the pan goes
MARGIN, PAN = 0.4, 0.12
ZOOM = 0.14
BRIGHTNESS = 0.04


@dataclass(frozen=True)
class Swing:
    """A sine; `period` in frames, `phase` in radians."""

    period: float
    phase: float

    def at(self, time: int) -> float:
        return math.sin(2 * math.pi * time / self.period + self.phase)


@dataclass(frozen=True)
class Scene:
    """Frames of `width` x `height`; `background` is larger by MARGIN.

    The cut-out is the ellipse of `radii` pixels in the middle of `cutout`. Its centre is `start` pixels from
    the left at first and moves sideways by `velocity` pixels per frame.
    """

    width: int
    height: int
    background: Image.Image
    cutout: Image.Image
    radii: tuple[float, float]
    start: float
    velocity: float
    pan_x: Swing
    pan_y: Swing
    zoom: Swing
    bob: Swing
    light: Swing

    def frame(self, time: int) -> npt.NDArray[np.uint8]:
        """(height, width, 3) uint8 at frame number `time`, which may be any."""
        picture = self._view(time)
        self._overlay(picture, time)
        gain = np.float32(1 + BRIGHTNESS * self.light.at(time))
        return np.clip(picture * gain + np.float32(0.5), 0, 255).astype(np.uint8)

    def _view(self, time: int) -> npt.NDArray[np.float32]:
        scale = 1 - ZOOM / 2 * (1 + self.zoom.at(time))
        left = self.background.width / 2 + (PAN * self.pan_x.at(time) - scale / 2) * self.width
        top = self.background.height / 2 + (PAN * self.pan_y.at(time) - scale / 2) * self.height
        return _sampled(self.background, (self.width, self.height), scale, left, top)

    def _overlay(self, picture: npt.NDArray[np.float32], time: int) -> None:
        """Blends the cut-out into `picture` in place; its edge is one pixel soft."""
        radius_x, radius_y = self.radii
        # It leaves on one side and enters on the other, both out of sight
        hidden = radius_x + 2
        x = (self.start + self.velocity * time + hidden) % (self.width + 2 * hidden) - hidden
        y = self.height * (0.5 + 0.2 * self.bob.at(time))
        left, right = max(0, math.floor(x - hidden)), min(self.width, math.ceil(x + hidden))
        top, bottom = max(0, math.floor(y - radius_y - 2)), min(self.height, math.ceil(y + radius_y + 2))
        if left >= right:
            return
        origin = left - x + self.cutout.width / 2, top - y + self.cutout.height / 2
        texture = _sampled(self.cutout, (right - left, bottom - top), 1.0, *origin)
        columns = (np.arange(left, right) + 0.5 - x) / radius_x
        rows = (np.arange(top, bottom) + 0.5 - y) / radius_y
        distance = np.sqrt(columns[np.newaxis, :] ** 2 + rows[:, np.newaxis] ** 2)
        cover = np.clip((1 - distance) * min(self.radii) + 0.5, 0, 1).astype(np.float32)[:, :, np.newaxis]
        behind = picture[top:bottom, left:right]
        picture[top:bottom, left:right] = behind + cover * (texture - behind)


def compose(
    background: npt.NDArray[np.uint8],
    cutout: npt.NDArray[np.uint8],
    width: int,
    height: int,
    chance: random.Random,
) -> Scene:
    """A scene out of two photographs, (H, W, 3) uint8 of any size; `chance` decides on paths and speeds."""
    radii = 0.24 * width * chance.uniform(0.8, 1), 0.27 * height * chance.uniform(0.8, 1)
    # The cut-out starts in sight, with most of its way before it
    start, velocity = width * chance.uniform(0.25, 0.4), width / chance.uniform(70, 100)
    if chance.random() < 0.5:
        start, velocity = width - start, -velocity

    def swing() -> Swing:
        # Near zero a sine is fastest: the first frames of a clip move already
        return Swing(chance.uniform(130, 190), chance.choice((0, math.pi)) + chance.uniform(-0.6, 0.6))

    return Scene(
        width=width,
        height=height,
        background=_covering(background, math.ceil(width * (1 + MARGIN)), math.ceil(height * (1 + MARGIN))),
        cutout=_covering(cutout, math.ceil(2 * radii[0]) + 4, math.ceil(2 * radii[1]) + 4),
        radii=radii,
        start=start,
        velocity=velocity,
        pan_x=swing(),
        pan_y=swing(),
        zoom=swing(),
        bob=swing(),
        light=swing(),
    )


def _covering(photograph: npt.NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """The largest central part of a photograph that has the shape asked for, at that size."""
    rows, columns = photograph.shape[:2]
    scale = min(columns / width, rows / height)
    # min: the side that fits exactly must not stick out by a rounding error
    wide, high = min(scale * width, columns), min(scale * height, rows)
    box = ((columns - wide) / 2, (rows - high) / 2, (columns + wide) / 2, (rows + high) / 2)
    return Image.fromarray(photograph).resize((width, height), Image.Resampling.LANCZOS, box)


def _sampled(
    picture: Image.Image, size: tuple[int, int], scale: float, left: float, top: float
) -> npt.NDArray[np.float32]:
    """(height, width, 3) float32 in [0, 255]: `picture` from (left, top), `scale` of its pixels per pixel."""
    affine = (scale, 0.0, left, 0.0, scale, top)
    part = picture.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return np.asarray(part, dtype=np.float32)
