"""Which pictures are refused although they can be read: what reading them would lose without a word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nvc_check.checker.media.heif_structure import heif_structure

EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})

DEEP = "more than 8 bits per channel, expected 8; convert it to 8 bits first"
SEVERAL = "{} pictures in one file, expected 1; save them as separate files in a folder"

# TIFF 6.0, section 8, and Adobe's DNG: a reduced picture; a sensor's colour filter array
SUBFILE_TYPE, PHOTOMETRIC, DNG_VERSION = 254, 262, 50706
COLOUR_FILTER_ARRAY = 32803

# CIPA DC-007, table 4, in Pillow's words: panoramas, views of one scene and angles; the others are previews
MPF_ENTRIES, MPF_VIEW = 0xB002, "Multi-Frame Image"


def refusal(file: Path, picture: Any) -> str | None:
    """Why the picture, opened and not yet decoded, is refused: without its name; None for one that may be read."""
    if _is_deep(file, picture):
        return DEEP
    if picture.mode not in EIGHT_BIT_MODES:
        return f"colours stored as {picture.mode}, expected RGB, grey or a palette; convert it to RGB first"
    if picture.format == "TIFF":
        return _tiff_refusal(file, picture)
    if picture.format in {"AVIF", "HEIF"}:
        return _heif_refusal(file, picture)
    if picture.format == "MPO":
        # A camera's previews and gain maps go with the first picture; views of equal rank do not
        entries = picture.mpinfo[MPF_ENTRIES]
        views = sum(str(entry["Attribute"]["MPType"]).startswith(MPF_VIEW) for entry in entries)
        return SEVERAL.format(views) if views > 1 else None
    return None


def _is_deep(file: Path, picture: Any) -> bool:
    if picture.format == "AVIF":
        return heif_structure(file).bits > 8
    if picture.format == "HEIF":
        return int(picture.info.get("bit_depth", 8)) > 8
    if picture.format == "JPEG2000":
        return _jpeg2000_bits(file) > 8
    return picture.mode.startswith(("I", "F")) or any(_is_deep_tile(tile, picture.format) for tile in picture.tile)


def _is_deep_tile(tile: Any, picture_format: str | None) -> bool:
    arguments: tuple[Any, ...] = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    # How Pillow spells the stored layout: "RGB;16B"; but "BGR;16" means 16 bits per pixel (5, 6 and 5)
    if re.search("(?<!BGR);1[0-6]", str(arguments[0] if arguments else "")):
        return True
    # Netpbm's decoders scale to 8 bits from any largest value
    return picture_format == "PPM" and tile.codec_name in {"ppm", "ppm_plain"} and int(arguments[1]) > 255


def _jpeg2000_bits(file: Path) -> int:
    """ITU-T T.800, annex A.5.1: the SIZ segment has a byte per component, its bits less one, signed or not."""
    data = file.read_bytes()
    at = data.find(b"\xff\x4f\xff\x51") + 4
    components = int.from_bytes(data[at + 36 : at + 38], "big")
    return max(((data[at + 38 + 3 * index] & 0x7F) + 1 for index in range(components)), default=0)


def _tiff_refusal(file: Path, picture: Any) -> str | None:
    """Pages are documents, resolutions or stacks of slices; IFDs of raw files begin with previews."""
    tags = picture.tag_v2
    with file.open("rb") as stream:
        is_canon = stream.read(11)[8:10] == b"CR"
    is_raw = is_canon or DNG_VERSION in tags or tags.get(PHOTOMETRIC) == COLOUR_FILTER_ARRAY
    if is_raw or tags.get(SUBFILE_TYPE, 0) & 1:
        return "a preview in a camera's raw file or pyramid, expected a picture; develop it and save it as PNG"
    if picture.n_frames > 1:
        return SEVERAL.format(picture.n_frames)
    return None


def _heif_refusal(file: Path, picture: Any) -> str | None:
    """Collections, and what stands beside the picture or the animation that is shown; tiles of a grid are parts."""
    structure, frames = heif_structure(file), int(picture.n_frames)
    if picture.format == "HEIF" and frames - structure.parts > 1:
        return SEVERAL.format(frames - structure.parts)
    if structure.sequence > 1 and (picture.format == "HEIF" or frames == 1):
        return f"a picture and a sequence of {structure.sequence} in one file, expected one of them; convert it to MP4"
    return None
