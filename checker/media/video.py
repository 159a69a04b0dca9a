"""Video files: frames as 8-bit RGB, in display order; a file is whole or refused.

Chroma is upsampled bilinearly. Matrix and range are what the stream declares, BT.601 and limited when it is
silent, as in FFmpeg. Deeper samples of a video are rounded to 8 bits; those of a picture that only FFmpeg reads (EXR,
DPX), and floats, are refused as in other pictures. Rotation and pixel aspect are not applied: the frame is what was
coded. Tags, in whatever encoding, do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from nvc_check.checker.media.container_size import declared_size
from nvc_check.checker.media.picture_format import first_bytes
from nvc_check.checker.media.picture_refusal import DEEP
from nvc_check.checker.media.picture_streams import stream_demuxer
from nvc_check.checker.media.size_limit import MAX_PIXELS, oversize
from nvc_check.checker.media.y4m import MAGIC, inspect_y4m
from nvc_check.models.errors import UsageError

# SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND and SWS_BITEXACT of libswscale/swscale.h, as numbers
# because PyAV before 18 has no names for them. The default takes a fast path that repeats chroma samples and
# rounds as the CPU's vector unit likes: 1.2 to 2.9 levels away per sample, on average, on four small clips.
SCALER_FLAGS = 0x2 | 0x2000 | 0x40000 | 0x80000

# No format of FFmpeg shares a chroma sample between more pixels in a row or column (yuv410p, yuv411p)
SUBSAMPLING = 4

# Demuxers of still pictures beside those whose name ends in `_pipe`
PICTURE_DEMUXERS = frozenset({"image2", "fits", "ico"})
# Draws text files as if a terminal showed them
TEXT_DEMUXERS = frozenset({"tty"})
# Covers and seek previews, which FFmpeg gives out as streams of video
NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def check_video(file: Path) -> int | None:
    """The number of frames, None when the file does not say.

    Looks at the container's structure and decodes the first frame; `video_frames` finds damage behind it.

    Raises:
        UsageError: not a video, cut off, without a video stream or without a frame.
    """
    with file.open("rb") as stream:
        is_y4m = stream.read(len(MAGIC)) == MAGIC
    counted = inspect_y4m(file).frames if is_y4m else None
    declared, found = declared_size(file), file.stat().st_size
    if declared is not None and declared > found:
        raise UsageError(f"{file}: has {found:,} bytes, expected {declared:,}; it is cut off: copy it again")
    if next(video_frames(file), None) is None:
        raise UsageError(f"{file}: a video without frames, expected at least one; copy it again")
    if counted is not None:
        return counted
    with _container(file) as container:
        return _video_stream(file, container).frames or None


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
            if file.suffix.lower() == ".y4m":
                inspect_y4m(file)
            raise UsageError(
                f"{file}: neither a picture that Pillow reads nor a video that FFmpeg reads ({first_bytes(file)}), "
                "expected PNG, JPEG, Y4M, MP4, MKV or the like; is this the right file?"
            ) from error
        raise _damaged(file, position) from error


def _container(file: Path) -> av.container.InputContainer:
    # Without the prefix, FFmpeg takes a name such as `a:b.mp4` for a network protocol. Play lists and session
    # descriptions may name other protocols, and wait for them; `%03d` in a name is no pattern; nobody reads the tags
    return av.open(
        f"file:{file}",
        format=stream_demuxer(file) or _unrecognized(file),
        options={"protocol_whitelist": "file", "pattern_type": "none"},
        metadata_errors="replace",
    )


def _unrecognized(file: Path) -> str | None:
    """The demuxer of what FFmpeg tells by its name only: PAM, which Pillow does not read."""
    with file.open("rb") as stream:
        return "pam_pipe" if stream.read(3) == b"P7\n" else None


def _video_stream(file: Path, container: av.container.InputContainer) -> av.VideoStream:
    """The only stream of frames that are meant to be seen; raises UsageError."""
    streams = [stream for stream in container.streams.video if not stream.disposition & NO_VIDEO]
    demuxer = container.format.name
    if not streams or demuxer in TEXT_DEMUXERS:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        found = "text" if demuxer in TEXT_DEMUXERS else "pictures beside no video" if kinds == "video" else kinds
        raise UsageError(f"{file}: found {found}, expected a video stream; is this the right file?")
    if len(streams) > 1:
        what = "pictures in one file" if _holds_pictures(container) else "video streams"
        raise UsageError(f"{file}: {len(streams)} {what}, expected 1; keep one: ffmpeg -i IN -map 0:v:0 -c copy OUT")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise UsageError(f"{file}: a video that FFmpeg has no decoder for, expected another; convert it to H.264")
    reason = oversize(context.width, context.height)
    if reason:
        raise UsageError(f"{file}: {reason}")
    # A stream may say another size than its container
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _decoded(file: Path, container: av.container.InputContainer) -> Iterator[npt.NDArray[np.uint8]]:
    stream = _video_stream(file, container)
    is_picture = _holds_pictures(container)
    scaler = VideoReformatter()
    position, first_size = 0, None
    for packet in container.demux(stream):
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
            if _is_lossy(frame, is_picture):
                raise UsageError(f"{file}: {DEEP}")
            yield _rgb(frame, scaler)
            position += 1


def _holds_pictures(container: av.container.InputContainer) -> bool:
    return container.format.name in PICTURE_DEMUXERS or container.format.name.endswith("_pipe")


def _is_lossy(frame: av.VideoFrame, is_picture: bool) -> bool:
    """Whether 8 bits lose what the file means: floats have no white of their own, and pictures are refused like PNG."""
    deep = any(component.bits > 8 for component in frame.format.components)
    return (is_picture and deep) or re.search("f(16|32)(le|be)?$", frame.format.name) is not None


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
