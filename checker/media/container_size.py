"""How long a video or picture says it is: tells a file that was cut off while it was copied.

FFmpeg reads a Matroska file that ends early without an error, and an MP4 up to the cut; Pillow shows the frames
of a GIF up to the cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

EBML_HEADER, MATROSKA_SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def declared_size(file: Path) -> int | None:
    """Bytes up to the end of the last structure that the file announces; None where nothing is announced."""
    with file.open("rb") as stream:
        head = stream.read(8)
        if head.startswith(b"RIFF"):
            length = int.from_bytes(head[4:8], "little")
            # A writer that could not seek back leaves one of these
            return None if length in {0, 0xFFFFFFFF} else 8 + length
        if head.startswith(EBML_HEADER):
            return _matroska_size(stream)
        if head[4:8] == b"ftyp":
            return _boxes_size(stream)
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _gif_size(stream)
        if head.startswith(PNG_SIGNATURE):
            return _png_size(stream)
    return None


def _matroska_size(stream: BinaryIO) -> int | None:
    """RFC 8794, section 4: an EBML header, then one Segment, each an identifier, a length and a body."""
    stream.seek(len(EBML_HEADER))
    header_length = _vint(stream)
    if header_length is None:
        return None
    stream.seek(header_length, 1)
    if stream.read(4) != MATROSKA_SEGMENT:
        return None
    length = _vint(stream)
    return None if length is None else stream.tell() + length


def _vint(stream: BinaryIO) -> int | None:
    """An EBML length: as many leading zero bits as bytes follow; all ones means unknown."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return None
    following = 8 - first[0].bit_length()
    bits = 7 * (following + 1)
    value = int.from_bytes(first + stream.read(following), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _boxes_size(stream: BinaryIO) -> int | None:
    """ISO/IEC 14496-12, section 4.2: boxes in a row, each a 32-bit length and a type.

    Length 1 means that 64 bits follow the type, 0 that the box lasts to the end of the file.
    """
    start = 0
    while True:
        stream.seek(start)
        head = stream.read(16)
        if len(head) < 8:
            return start
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return None
        start += length


def _png_size(stream: BinaryIO) -> int:
    """PNG, section 5.3: chunks, each a length, a type, a body and a checksum, up to IEND."""
    end = len(PNG_SIGNATURE)
    while True:
        stream.seek(end)
        head = stream.read(8)
        if len(head) < 8:
            return end + 12
        end += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return end


def _gif_size(stream: BinaryIO) -> int | None:
    """GIF89a: blocks up to a trailer; a file that ends before it is longer than it is by what its last block lacks."""
    at = 13 + _colour_table(stream, 10)
    while True:
        stream.seek(at)
        kind = stream.read(1)
        if kind in {b"", b";"}:
            return at + 1
        if kind == b",":
            at += 11 + _colour_table(stream, at + 9)
        elif kind == b"!":
            at += 2
        else:
            return None
        # Sub-blocks, each a length and its bytes, up to one of no length
        while True:
            stream.seek(at)
            length = stream.read(1)
            if not length:
                return at + 1
            at += 1 + length[0]
            if not length[0]:
                break


def _colour_table(stream: BinaryIO, at: int) -> int:
    """Bytes of the colour table that the packed field at `at` announces."""
    stream.seek(at)
    packed = stream.read(1)
    return 3 << (packed[0] & 7) + 1 if packed and packed[0] & 0x80 else 0
