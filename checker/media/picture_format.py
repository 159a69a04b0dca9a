"""Which kind of picture a file is, by its first bytes: names and suffixes say nothing.

What is no picture here is left to FFmpeg, which knows several hundred formats of video.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

# For messages, and for pictures of a folder that are too damaged to be told by their bytes
SUFFIXES: Final = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"}
    | {".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm"}
)

# Pillow's name of the format, and the bytes with which its files begin
SIGNATURES: Final = (
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("JPEG", rb"\xff\xd8\xff"),
    ("GIF", rb"GIF8[79]a"),
    ("WEBP", rb"RIFF....WEBP"),
    # A file header of 14 bytes, then the size of the next header, by which its versions are told apart
    ("BMP", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    ("TIFF", rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"),
    # Netpbm: bits, grey and colour, plain (1 to 3) and raw
    ("PPM", rb"P[1-6][ \t-\r#]"),
    # Its relative with floats, which Pillow reads in grey only
    ("PFM", rb"P[fF][ \t-\r]"),
    ("JPEG2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n....ftypj(?:p2|px|pm) "),
)

# ISO/IEC 23008-12, annex B, and the AVIF specification, section 8: pictures in ISO base media files
AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis"})
# Any coding: the compatible brands tell which
OPEN_BRANDS: Final = frozenset({b"mif1", b"mif2", b"mif3", b"msf1"})
# Sequences of HEVC are tracks, as in MP4: FFmpeg reads those, libheif's binding does not
SEQUENCE_BRANDS: Final = frozenset({b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"})


def picture_format(file: Path) -> str | None:
    """Pillow's name of the picture's format, such as `PNG`; None when the file is no picture that Pillow reads.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(512)
    for name, signature in SIGNATURES:
        if re.match(signature, head, re.DOTALL):
            return name
    return _of_boxes(head) if head[4:8] == b"ftyp" else None


def first_bytes(file: Path) -> str:
    """For the message about a file that is not what it should be: `is empty`, `begins with "hello wo…"`."""
    with file.open("rb") as stream:
        head = stream.read(9)
    if not head:
        return "is empty"
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in head[:8])
    return f'begins with "{shown}{"…" if len(head) > 8 else ""}"'


def _of_boxes(head: bytes) -> str | None:
    """ISO/IEC 14496-12, section 4.3: the major brand, a version, then the compatible brands of an `ftyp` box."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = frozenset(head[at : at + 4] for at in range(16, length - 3, 4))
    brands = compatible if major in OPEN_BRANDS else {major}
    if brands & AVIF_BRANDS:
        return "AVIF"
    if major in SEQUENCE_BRANDS:
        return None
    # A picture of another coding (JPEG, VVC) still is a picture, and libheif says that it cannot decode it
    return "HEIF" if brands & HEIC_BRANDS or major in OPEN_BRANDS else None
