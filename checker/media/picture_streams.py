"""Pictures one behind the other in one file, as `ffmpeg -f image2pipe` and the Netpbm formats have them.

Pillow reads the first and says nothing of the others. Such a file is a video, and FFmpeg reads all of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

from nvc_check.checker.media.container_size import PNG_SIGNATURE
from nvc_check.checker.media.picture_format import picture_format

# FFmpeg's demuxers of such files; left to itself it takes a file named `.jpeg` for one picture
DEMUXERS: Final = {"JPEG": "mjpeg", "PNG": "png_pipe", "PPM": "ppm_pipe", "BMP": "bmp_pipe"}

JPEG_START = b"\xff\xd8\xff"

# Netpbm's raw formats: width, height and, but for bits, the largest value; one white space, then the samples
_GAP: Final = rb"(?:\s|#[^\r\n]*[\r\n])+"
NETPBM: Final = re.compile(rb"P(?:(4)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)|([56])" + (_GAP + rb"(\d+)") * 3 + rb")\s")

# A marker that ends entropy-coded data: neither a stuffed byte, nor RSTn, nor a fill byte
JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
JPEG_SCAN, JPEG_END = 0xDA, 0xD9


def stream_demuxer(file: Path) -> str | None:
    """FFmpeg's demuxer for a file with another picture directly behind the first one; None for any other file.

    A camera's previews and gain maps behind a JPEG do not count: the JPEG says that they are there.

    Raises:
        OSError: the file cannot be read.
    """
    name = picture_format(file)
    if name not in DEMUXERS:
        return None
    with file.open("rb") as stream:
        continues = {"JPEG": _jpeg_continues, "PNG": _png_continues, "PPM": _netpbm_continues, "BMP": _bmp_continues}
        return DEMUXERS[name] if continues[name](stream) else None


def _jpeg_continues(stream: BinaryIO) -> bool:
    """ITU-T T.81, annex B: segments with a length, and scans whose entropy-coded data has none."""
    data, at = stream.read(), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == JPEG_END:
            return data.startswith(JPEG_START, at + 2)
        if marker == 0xFF:
            at += 1
            continue
        body = data[at + 4 : at + 2 + length]
        # CIPA DC-007, or the Container of Google's dynamic depth and motion pictures
        if body.startswith(b"MPF\0") or (body.startswith(b"http://ns.adobe.com/xap/") and b"Container:" in body):
            return False
        at += 2 + length
        if marker == JPEG_SCAN:
            following = JPEG_MARKER.search(data, at)
            if following is None:
                return False
            at = following.start()
    return False


def _png_continues(stream: BinaryIO) -> bool:
    stream.seek(len(PNG_SIGNATURE))
    while len(head := stream.read(8)) == 8:
        stream.seek(int.from_bytes(head[:4], "big") + 4, 1)
        if head[4:] == b"IEND":
            return stream.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
    return False


def _netpbm_continues(stream: BinaryIO) -> bool:
    header = NETPBM.match(stream.read(4096))
    if header is None:
        return False
    if header[1]:
        samples = -(-int(header[2]) // 8) * int(header[3])
    else:
        width, height, largest = (int(header[at]) for at in (5, 6, 7))
        samples = width * height * (3 if header[4] == b"6" else 1) * (2 if largest > 255 else 1)
    stream.seek(header.end() + samples)
    return stream.read(2) in {b"P4", b"P5", b"P6"}


def _bmp_continues(stream: BinaryIO) -> bool:
    """The file header has the size of the file, which is that of one picture."""
    length = int.from_bytes(stream.read(6)[2:], "little")
    stream.seek(length)
    return length > 14 and stream.read(2) == b"BM"
