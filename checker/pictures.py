"""Still pictures: 8-bit RGB out of PNG, JPEG, WebP, TIFF and BMP files.

Alpha is dropped (the stored colour counts, whatever its opacity), grey and palette become RGB, the EXIF
orientation is applied, colour profiles are ignored. What would lose something silently is refused: more than
8 bits per channel (Pillow cuts the low byte off), CMYK and Lab (their RGB depends on a profile), several
pictures in one file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from nvc_check.models.errors import UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})

EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})


def check_picture(file: Path) -> None:
    """Reads the header, and the checksums of a PNG; raises UsageError as `read_picture` would."""
    with _opened(file) as picture:
        picture.verify()


def read_picture(file: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright; raises UsageError."""
    with _opened(file) as picture:
        upright = ImageOps.exif_transpose(picture)
        if "transparency" in upright.info or upright.mode == "RGBa":
            # Pillow cannot convert these to RGB at once without a warning or an error
            upright = upright.convert("RGBA")
        return np.array(upright.convert("RGB"))


def first_bytes(file: Path) -> str:
    """For the message about a file that is not what it should be: `is empty`, `begins with "hello wo…"`."""
    with file.open("rb") as stream:
        head = stream.read(9)
    if not head:
        return "is empty"
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in head[:8])
    return f'begins with "{shown}{"…" if len(head) > 8 else ""}"'


@contextmanager
def _opened(file: Path) -> Iterator[ImageFile.ImageFile]:
    """A picture that may be read; what Pillow raises inside the block comes out as UsageError."""
    try:
        # Pillow warns about damage that it can read past; a file is either good or refused, in one line
        with warnings.catch_warnings(action="ignore"), Image.open(file) as picture:
            refusal = _refusal(picture)
            if refusal:
                raise UsageError(f"{file}: {refusal}")
            yield picture
    except UnidentifiedImageError:
        raise UsageError(
            f"{file}: not a picture ({first_bytes(file)}), expected PNG, JPEG, WebP, TIFF or BMP; "
            "is this the right file?"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        message = f"{file}: cannot be read ({reason}), expected a whole picture; copy it again"
        raise UsageError(message) from error


def _refusal(picture: ImageFile.ImageFile) -> str | None:
    # How Pillow spells the stored layout: "RGB;16B"; but "BGR;16" means 16 bits per pixel (5, 6 and 5)
    layouts = [tile.args if isinstance(tile.args, str) else str((tile.args or ("",))[0]) for tile in picture.tile]
    deep = any(re.search("(?<!BGR);1[0-6]", layout) for layout in layouts)
    if deep or picture.mode.startswith(("I", "F")):
        return "more than 8 bits per channel, expected 8; convert it to 8 bits first"
    if picture.mode not in EIGHT_BIT_MODES:
        return f"colours stored as {picture.mode}, expected RGB, grey or a palette; convert it to RGB first"
    # A camera's MPO file is a JPEG with previews behind it
    pictures = getattr(picture, "n_frames", 1)
    if pictures > 1 and picture.format != "MPO":
        return f"{pictures} pictures in one file, expected 1; save them as separate files in a folder"
    return None
