"""Video files: frames as 8-bit RGB, in display order; a file is whole or refused.

Chroma is upsampled bilinearly. Matrix and range are what the stream declares, BT.601 and limited when it is
silent, as in FFmpeg. Deeper samples are rounded to 8 bits. Rotation and pixel aspect are not applied: the
frame is what was coded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from nvc_check.checker.container_size import declared_size
from nvc_check.checker.pictures import first_bytes
from nvc_check.checker.y4m import MAGIC, inspect_y4m
from nvc_check.models.errors import UsageError

# SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND and SWS_BITEXACT of libswscale/swscale.h, as numbers
# because PyAV before 18 has no names for them. The default takes a fast path that repeats chroma samples and
# rounds as the CPU's vector unit likes: 1.2 to 2.9 levels away per sample, on average, on four small clips.
SCALER_FLAGS = 0x2 | 0x2000 | 0x40000 | 0x80000

# No format of FFmpeg shares a chroma sample between more pixels in a row or column (yuv410p, yuv411p)
SUBSAMPLING = 4


def check_video(file: Path) -> int | None:
    """The number of frames, None when the file does not say.

    Looks at the container's structure and decodes the first frame; `video_frames` finds damage behind it.

    Raises:
        UsageError: not a video, cut off, without a video stream or without a frame.
    """
    with file.open("rb") as stream:
        is_y4m = stream.read(len(MAGIC)) == MAGIC or file.suffix.lower() == ".y4m"
    counted = inspect_y4m(file).frames if is_y4m else None
    declared, found = declared_size(file), file.stat().st_size
    if declared is not None and declared > found:
        raise UsageError(f"{file}: has {found:,} bytes, expected {declared:,}; it is cut off: copy it again")
    if next(video_frames(file), None) is None:
        raise UsageError(f"{file}: a video without frames, expected at least one; copy it again")
    if counted is not None:
        return counted
    with _container(file) as container:
        return container.streams.video[0].frames or None


def video_frames(file: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Decodes frame by frame to (H, W, 3) uint8 RGB, all of one size.

    Raises:
        UsageError: at the first frame that is damaged or of another size.
    """
    position = 0
    try:
        with _container(file) as container:
            for rgb in _decoded(file, container):
                yield rgb
                position += 1
    except (av.error.FFmpegError, OSError) as error:
        if position == 0:
            raise UsageError(
                f"{file}: not a video that FFmpeg reads ({first_bytes(file)}), expected Y4M, MP4, MKV or "
                "the like; is this the right file?"
            ) from error
        raise _damaged(file, position) from error


def _container(file: Path) -> av.container.InputContainer:
    # Without the prefix, FFmpeg takes a name such as `a:b.mp4` for a network protocol
    return av.open(f"file:{file}")


def _decoded(file: Path, container: av.container.InputContainer) -> Iterator[npt.NDArray[np.uint8]]:
    if not container.streams.video:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise UsageError(f"{file}: found {kinds}, expected a video stream; is this the right file?")
    scaler = VideoReformatter()
    position, first_size = 0, None
    for packet in container.demux(container.streams.video[0]):
        if packet.is_corrupt:
            raise _damaged(file, position)
        for frame in packet.decode():
            if frame.is_corrupt:
                raise _damaged(file, position)
            size = f"{frame.width}x{frame.height}"
            first_size = first_size or size
            if size != first_size:
                raise UsageError(
                    f"{file}: frame {position} is {size}, expected {first_size} as before; cut the video at that frame"
                )
            yield _rgb(frame, scaler)
            position += 1


def _rgb(frame: av.VideoFrame, scaler: VideoReformatter) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8.

    swscale spreads ceil(W / 2) chroma samples over W pixels instead of two pixels each, so that chroma drifts
    at odd sizes (3.1 levels off at 64x47, instead of 0.9). Such a frame is converted larger and cropped.
    """
    whole = frame
    width, height = (-(-side // SUBSAMPLING) * SUBSAMPLING for side in (frame.width, frame.height))
    if frame.format.is_planar and (width, height) != (frame.width, frame.height):
        # Scaled only for a frame of that size that keeps matrix, range and chroma siting, then overwritten
        whole = scaler.reformat(frame, width, height, interpolation=SCALER_FLAGS)
        for source, target in zip(frame.planes, whole.planes, strict=True):
            kept, room = _rows(source), _rows(target)
            shared = min(source.line_size, target.line_size)
            room[: source.height, :shared] = kept[:, :shared]
    rgb = scaler.reformat(whole, format="rgb24", interpolation=SCALER_FLAGS)
    return np.asarray(rgb.to_ndarray(), dtype=np.uint8)[: frame.height, : frame.width]


def _rows(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """(rows, bytes per row), sharing the plane's memory."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


def _damaged(file: Path, position: int) -> UsageError:
    return UsageError(f"{file}: frame {position} is damaged or cut off, expected a whole one; copy the file again")
