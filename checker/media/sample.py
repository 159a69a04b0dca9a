"""The clip of `nvc-check sample`: moving pictures, the same bytes for the same arguments."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nvc_check.checker.media.photographs import photograph
from nvc_check.checker.media.scene import compose
from nvc_check.checker.media.y4m import y4m_frame, y4m_header
from nvc_check.models.atomic import whole_file, whole_folder
from nvc_check.models.errors import UsageError

# PNG only: JPEG decoders may differ in the last bit
SUBJECTS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")

SMALLEST = 16


def render_sample(width: int, height: int, frames: int, seed: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Renders frame by frame, (height, width, 3) uint8 RGB; a shorter clip is the beginning of a longer one.

    Raises:
        UsageError: at once, when an argument is out of range.
    """
    for name, value, least in (
        ("width", width, SMALLEST),
        ("height", height, SMALLEST),
        ("frames", frames, 1),
    ):
        if value < least:
            raise UsageError(f"{name} {value}: too small, expected at least {least}; ask for more")
    if seed < 0:
        raise UsageError(f"seed {seed}: negative, expected 0 or more; drop the sign")
    # The standard library promises the same numbers for a seed in every version, numpy's generators do not
    chance = random.Random(seed)
    background, cutout = chance.sample(SUBJECTS, 2)
    scene = compose(photograph(background), photograph(cutout), width, height, chance)
    return (scene.frame(time) for time in range(frames))


def write_sample(
    path: Path,
    width: int,
    height: int,
    frames: int,
    seed: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes a Y4M stream (`.y4m`), or PNG files into a new folder (no suffix); all of it or nothing.

    `progress` hears the number of frames written so far. A Y4M file at `path` is replaced.

    Raises:
        UsageError: another suffix, a folder with files in it, a place that cannot be written, bad arguments.
    """
    rendered = render_sample(width, height, frames, seed)
    if path.suffix.lower() == ".y4m":
        with whole_file(path) as part, part.open("wb") as stream:
            stream.write(y4m_header(width, height))
            for done, rgb in enumerate(rendered, start=1):
                stream.write(y4m_frame(rgb))
                if progress:
                    progress(done)
    elif not path.suffix:
        with whole_folder(path) as part:
            for done, rgb in enumerate(rendered, start=1):
                Image.fromarray(rgb).save(part / f"{done - 1:04}.png")
                if progress:
                    progress(done)
    else:
        raise UsageError(
            f'{path}: suffix "{path.suffix}", expected ".y4m" for a video or none for a folder of PNG files; '
            "choose one of these"
        )
