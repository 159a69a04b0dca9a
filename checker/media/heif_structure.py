"""What an AVIF or HEIC file's boxes say that its readers do not: bits per channel, and sequences of frames.

libavif gives 10 and 12 bits as 8, and what it shows of a file with both a picture and a sequence depends on the
major brand; libheif's binding shows pictures only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

# ISO/IEC 14496-12: boxes that hold boxes, and how many bytes of their own stand in front
CONTAINERS: Final = {
    b"meta": 4,
    # The forms with 16-bit numbers of items
    b"iinf": 6,
    b"iref": 4,
    b"iprp": 0,
    b"ipco": 0,
    b"moov": 0,
    b"trak": 0,
    b"mdia": 0,
    b"minf": 0,
    b"stbl": 0,
    b"stsd": 8,
    # Sample entries of pictures: 78 bytes of VisualSampleEntry
    b"av01": 78,
    b"hvc1": 78,
    b"hev1": 78,
}
DEEPEST = 12
# A file of a camera has some dozens of boxes; this many are damage
MOST_BOXES = 100_000
LONGEST_BODY = 4096


@dataclass(frozen=True)
class HeifStructure:
    """`bits`: the most per channel of any picture in the file, 0 if none says. `sequence`: frames of its longest track
    of pictures, 0 without one. `parts`: pictures of which another is made, tiles for one, that are not hidden."""

    bits: int
    sequence: int
    parts: int


def heif_structure(file: Path) -> HeifStructure:
    """Reads the boxes, not the pictures; damage ends the walk, since whoever decodes the file reports it.

    Raises:
        OSError: the file cannot be read.
    """
    bits = sequence = 0
    is_picture_track = False
    visible: set[bytes] = set()
    derived_from: set[bytes] = set()
    with file.open("rb") as stream:
        for kind, body in _boxes(stream, 0, file.stat().st_size, 0):
            if kind == b"av1C" and len(body) >= 3:
                # AV1 in ISO base media, section 2.3.3: high_bitdepth, twelve_bit
                bits = max(bits, 8 + (body[2] >> 6 & 1) * (2 + (body[2] >> 5 & 1) * 2))
            elif kind == b"hvcC" and len(body) >= 19:
                # ISO/IEC 14496-15, section 8.3.2.1: bit_depth_luma_minus8, bit_depth_chroma_minus8
                bits = max(bits, 8 + (body[17] & 7), 8 + (body[18] & 7))
            elif kind == b"hdlr":
                # Of pictures in a track, or of a video; `auxv` is the alpha of either
                is_picture_track = body[8:12] in {b"pict", b"vide"}
            elif kind in {b"stsz", b"stz2"} and is_picture_track:
                sequence = max(sequence, int.from_bytes(body[8:12], "big"))
            elif kind == b"infe" and len(body) >= 6 and not body[3] & 1:
                visible.add(body[4:6])
            elif kind == b"dimg":
                derived_from.update(body[at : at + 2] for at in range(4, len(body) - 1, 2))
    return HeifStructure(bits, sequence, len(visible & derived_from))


def _boxes(stream: BinaryIO, start: int, end: int, depth: int) -> Iterator[tuple[bytes, bytes]]:
    """(type, the first bytes of the body) of every box from `start` to `end`, depth first."""
    seen = 0
    while start + 8 <= end and seen < MOST_BOXES:
        seen += 1
        stream.seek(start)
        head = stream.read(16)
        length, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, header = int.from_bytes(head[8:16], "big"), 16
        if length == 0:
            length = end - start
        if length < header or start + length > end:
            return
        inner = CONTAINERS.get(kind)
        if inner is None:
            stream.seek(start + header)
            yield kind, stream.read(min(length - header, LONGEST_BODY))
        elif depth < DEEPEST:
            yield from _boxes(stream, start + header + inner, start + length, depth + 1)
        start += length
