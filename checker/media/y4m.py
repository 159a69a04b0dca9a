"""YUV4MPEG2: what a stream's structure says, and writing 8-bit 4:2:0.

A stream is a header line, then for each frame a line `FRAME` (parameters may follow) and the planes. FFmpeg
drops an incomplete last frame without a word, so the structure is checked here before it decodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nvc_check.checker.media.picture_format import first_bytes
from nvc_check.checker.media.size_limit import oversize
from nvc_check.models.errors import UsageError

MAGIC = b"YUV4MPEG2"

# Lines longer than these are damage: FFmpeg's demuxer stops at 96 and 80 bytes
HEADER_LIMIT, FRAME_LIMIT = 1024, 256


@dataclass(frozen=True)
class Y4mStream:
    """`frame_bytes`: the planes of one frame, without its FRAME line."""

    width: int
    height: int
    colour: str
    frame_bytes: int
    frames: int


def inspect_y4m(file: Path) -> Y4mStream:
    """Reads the header and every FRAME line, not the planes; raises UsageError unless the stream is whole."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = stream.readline(HEADER_LIMIT)
        if not header.startswith(MAGIC):
            raise UsageError(
                f'{file}: not a Y4M stream ({first_bytes(file)}), expected "{MAGIC.decode()}"; is this the right file?'
            )
        width, height, colour = _parameters(file, header)
        reason = oversize(width, height)
        if reason:
            raise UsageError(f"{file}: {reason}")
        frame_bytes = _frame_bytes(file, width, height, colour)
        frames, position = 0, len(header)
        while position < size:
            stream.seek(position)
            line = stream.readline(FRAME_LIMIT)
            if not line.startswith(b"FRAME"[: len(line)]):
                shown = line[:8].decode("latin-1").encode("unicode_escape").decode()
                message = f'{file}: frame {frames} begins with "{shown}", expected "FRAME"; copy it again'
                raise UsageError(message)
            position += len(line) + frame_bytes
            if position > size:
                found = size - (position - frame_bytes)
                raise UsageError(
                    f"{file}: frame {frames} has {max(found, 0):,} bytes, expected {frame_bytes:,}; "
                    "it is cut off: copy it again"
                )
            frames += 1
    if frames == 0:
        raise UsageError(f"{file}: a Y4M header without frames, expected at least one; copy it again")
    return Y4mStream(width, height, colour, frame_bytes, frames)


def y4m_header(width: int, height: int) -> bytes:
    """8-bit 4:2:0, 30 frames per second, square pixels, chroma sited amid its 2x2 luma samples."""
    return f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode()


def y4m_frame(rgb: npt.NDArray[np.uint8]) -> bytes:
    """One frame, its FRAME line included, of (H, W, 3) uint8: BT.601 Y'CbCr of limited range, 4:2:0.

    Y' = 16 + 219 E / 255 with E = 0.299 R + 0.587 G + 0.114 B, Cb = 128 + 224 (B - E) / (1.772 * 255) and
    Cr = 128 + 224 (R - E) / (1.402 * 255) (BT.601-7, section 2.5), in integers with 16 fractional bits,
    rounded half up: the same bytes on every machine. Chroma is the mean of 2x2 pixels; where the size is odd,
    the last row or column stands for its missing neighbour too.
    """
    height, width = rgb.shape[:2]
    red, green, blue = np.moveaxis(rgb.astype(np.int32), 2, 0)
    luma = (16829 * red + 33039 * green + 6416 * blue + (16 << 16) + (1 << 15)) >> 16
    even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(np.int32)
    rows = even[0::2] + even[1::2]
    # Sums of four pixels: two fractional bits more
    red, green, blue = np.moveaxis(rows[:, 0::2] + rows[:, 1::2], 2, 0)
    cb = (-9714 * red - 19071 * green + 28785 * blue + (128 << 18) + (1 << 17)) >> 18
    cr = (28785 * red - 24104 * green - 4681 * blue + (128 << 18) + (1 << 17)) >> 18
    return b"FRAME\n" + b"".join(plane.astype(np.uint8).tobytes() for plane in (luma, cb, cr))


def _parameters(file: Path, header: bytes) -> tuple[int, int, str]:
    """Width, height and colour space of the header line; raises UsageError."""
    if not header.endswith(b"\n"):
        raise UsageError(f"{file}: a Y4M header without an end, expected a line; copy it again")
    tokens = header.decode("latin-1").split()[1:]
    values = {token[0]: token[1:] for token in tokens if token[0] in "WHC"}
    for name, meaning in (("W", "width"), ("H", "height")):
        if not re.fullmatch("[1-9][0-9]{0,5}", values.get(name, "")):
            found = f'"{name}{values[name]}"' if name in values else "nothing"
            raise UsageError(
                f"{file}: {found} for the {meaning} in the Y4M header, expected {name} and a number; copy it again"
            )
    # Old writers give the colour space only as an extension, XYSCSS=420JPEG; none at all means 4:2:0
    extension = next((token[7:].lower() for token in tokens if token.startswith("XYSCSS=")), "420")
    return int(values["W"]), int(values["H"]), values.get("C", extension)


def _frame_bytes(file: Path, width: int, height: int, colour: str) -> int:
    layout = re.fullmatch(r"(420|422|444|411|mono)(?:jpeg|mpeg2|paldv|(alpha)|p?([0-9]+))?", colour)
    if layout is None:
        raise UsageError(
            f"{file}: Y4M colour space C{colour}, expected 420, 422, 444, 411 or mono; convert it to C420jpeg"
        )
    half, quarter = -(-width // 2), -(-width // 4)
    chroma = {
        "420": 2 * half * -(-height // 2),
        "422": 2 * half * height,
        "444": 2 * width * height,
        "411": 2 * quarter * height,
        "mono": 0,
    }[layout[1]]
    alpha = width * height if layout[2] else 0
    bytes_per_sample = 2 if layout[3] and int(layout[3]) > 8 else 1
    return (width * height + chroma + alpha) * bytes_per_sample
