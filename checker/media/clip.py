"""What `--input` names: a picture or an animation, a folder of them, or a video; and the padding that codecs need.

The content decides which: a PNG may be named `.mp4`, and a video `.png`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from nvc_check.checker.media.picture_format import SUFFIXES, picture_format
from nvc_check.checker.media.picture_streams import stream_demuxer
from nvc_check.checker.media.pictures import count_pictures, read_pictures
from nvc_check.checker.media.video import check_video, video_frames
from nvc_check.models.errors import UsageError


@dataclass(frozen=True)
class Frame:
    """`name`: the picture's file name, `wave.gif frame 12` or `frame 12`. `rgb`: (H, W, 3) uint8."""

    index: int
    name: str
    rgb: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """What to read, checked but not decoded.

    `files`: the pictures in order, empty for a video. `counts`: the frames of each, more than 1 for an animation.
    `known_frames`: what the file declares, or None.
    """

    path: Path
    kind: Literal["pictures", "video"]
    files: tuple[Path, ...]
    counts: tuple[int, ...]
    known_frames: int | None

    def frames(self, one_size: bool = False) -> Iterator[Frame]:
        """Decodes one frame at a time; pictures may differ in size, frames of a video do not.

        Args:
            one_size: pictures may not differ in size either, since they are successive frames.

        Raises:
            UsageError: at the first damaged frame, or frame of another size than the first.
        """
        if self.kind == "video":
            for index, rgb in enumerate(video_frames(self.path)):
                yield Frame(index, f"frame {index}", rgb)
            return
        first = None
        for index, (file, name, rgb) in enumerate(self._pictures()):
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            first = first or size
            if one_size and size != first:
                raise UsageError(
                    f"{file}: {size}, expected {first} like the first picture: a video codec predicts each frame"
                    " from the one before; put pictures of another size into another folder"
                )
            yield Frame(index, name, rgb)

    def count(self) -> int | None:
        """How many frames to expect, for a progress bar; exact for pictures and Y4M."""
        return self.known_frames

    def _pictures(self) -> Iterator[tuple[Path, str, npt.NDArray[np.uint8]]]:
        for file, count in zip(self.files, self.counts, strict=True):
            for number, rgb in enumerate(read_pictures(file)):
                yield file, file.name if count == 1 else f"{file.name} frame {number}", rgb


def open_clip(path: Path) -> Clip:
    """Looks at headers and structure only, and at the first frame of a video.

    Raises:
        UsageError: missing, empty, damaged, or neither a picture nor a folder of pictures nor a video.
    """
    try:
        if path.is_dir():
            files = _pictures_in(path)
        elif path.is_file():
            files = (path,) if picture_format(path) and not stream_demuxer(path) else ()
        else:
            found = "neither a file nor a folder" if path.exists() else "no such file or folder"
            raise UsageError(f"{path}: {found}, expected a picture, a folder or a video; check the path")
        counts = tuple(count_pictures(file) for file in files)
        if files:
            return Clip(path, "pictures", files, counts, sum(counts))
        return Clip(path, "video", (), (), check_video(path))
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise UsageError(f"{path}: {reason}, expected a readable file; check its permissions") from error


def padded(rgb: npt.NDArray[np.uint8], multiple: int = 64) -> npt.NDArray[np.float32]:
    """(H, W, 3) uint8 to (1, 3, H', W') float32 in [0, 1], H' and W' the next multiples of `multiple`.

    The last column repeats to the right and the last row downwards.
    """
    height, width = rgb.shape[:2]
    edges = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    planes = np.pad(rgb, edges, mode="edge").transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(planes, dtype=np.float32) / np.float32(255)


def cropped(frame: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """(1, 3, H', W') to the top left (3, height, width), clamped to [0, 1]."""
    return np.clip(frame[0, :, :height, :width], 0, 1)


def _belongs(file: Path) -> bool:
    """Whether a file of a folder is one of its pictures, by content; the suffix speaks for one that is damaged."""
    if file.name.startswith(".") or not file.is_file():
        return False
    if file.suffix.lower() in SUFFIXES:
        return True
    try:
        return picture_format(file) is not None
    except OSError:
        # Somebody else's notes beside the pictures
        return False


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    files = sorted((file for file in folder.iterdir() if _belongs(file)), key=_natural)
    for file in files:
        if stream_demuxer(file):
            raise UsageError(f"{file}: pictures one behind the other, expected one; give it alone, as a video")
    if not files:
        raise UsageError(
            f"{folder}: no pictures in this folder, expected at least one such as .png, .jpg, .webp or .avif; "
            "name a folder of pictures, or one video"
        )
    return tuple(files)


def _natural(file: Path) -> tuple[list[str | int], str]:
    """Sorts frame2 before frame10; equal names by spelling (`1.png`, `01.png`)."""
    parts = re.split("([0-9]+)", file.name.lower())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], file.name
