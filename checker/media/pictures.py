"""Pictures, and animations that are kept as pictures: 8-bit RGB out of what Pillow reads.

Alpha is dropped (the stored colour counts, whatever its opacity), grey and palette become RGB, the orientation is
applied, colour profiles are ignored. An animation (GIF, APNG, WebP, AVIF) gives all its frames, each composed with
those before it as its format says. What would lose something silently is refused: more than 8 bits per channel
or floats, CMYK and Lab (their RGB depends on a profile), several pictures in one file that are no animation.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, features

from nvc_check.checker.media.container_size import declared_size
from nvc_check.checker.media.picture_format import first_bytes, picture_format
from nvc_check.checker.media.picture_refusal import DEEP, refusal
from nvc_check.checker.media.size_limit import MAX_PIXELS, oversize
from nvc_check.models.errors import UsageError

ANIMATIONS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})

# TIFF and EXIF, tag 274: what to do with the stored picture
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow and its plug-ins raise over damaged files, beside OSError
DAMAGE = (SyntaxError, ValueError, EOFError, RuntimeError, ArithmeticError, LookupError, TypeError, struct.error)


def count_pictures(file: Path) -> int:
    """1, or the number of frames of an animation. Reads the structure, and the checksums of a PNG.

    Raises:
        UsageError: as `read_pictures` would, as far as the structure tells.
    """
    with _opened(file) as picture:
        count = len(_frames(picture))
        picture.verify()
        return count


def read_pictures(file: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Decodes one frame at a time, each (H, W, 3) uint8 RGB, upright and of one size; raises UsageError."""
    with _opened(file) as picture:
        turn = None
        for number, frame in enumerate(_frames(picture)):
            picture.seek(frame)
            picture.load()
            if number == 0:
                turn = UPRIGHT.get(_orientation(picture))
            yield _rgb(picture, turn)


def read_picture(file: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright, of the first frame; raises UsageError."""
    return next(read_pictures(file))


def _frames(picture: ImageFile.ImageFile) -> range:
    """Which of Pillow's frames to show."""
    count = getattr(picture, "n_frames", 1)
    if picture.format not in ANIMATIONS:
        # The one that the file opens with: HEIC may have its tiles in front
        return range(picture.tell(), picture.tell() + 1)
    # The still picture in front of an APNG may be no frame of it, for readers that know no animation
    return range(1 if picture.info.get("default_image") and count > 1 else 0, count)


def _orientation(picture: ImageFile.ImageFile) -> int:
    """1, the usual one, when the tags are too damaged to tell."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, *DAMAGE):
        return 1


def _rgb(picture: Image.Image, turn: Image.Transpose | None) -> npt.NDArray[np.uint8]:
    if picture.has_transparency_data or picture.mode == "RGBa":
        # Pillow cannot convert these to RGB at once without a warning or an error
        picture = picture.convert("RGBA")
    picture = picture.convert("RGB")
    return np.array(picture if turn is None else picture.transpose(turn))


@contextmanager
def _opened(file: Path) -> Iterator[ImageFile.ImageFile]:
    """A picture that may be read; what Pillow raises inside the block comes out as UsageError."""
    name = picture_format(file)
    if name is None:
        raise UsageError(
            f"{file}: not a picture ({first_bytes(file)}), expected PNG, JPEG, WebP, AVIF, HEIC, GIF, TIFF, BMP, JPEG"
            " 2000 or Netpbm; is this the right file?"
        )
    _prepare(file, name)
    declared, found = declared_size(file), file.stat().st_size
    if declared is not None and declared > found:
        raise UsageError(f"{file}: has {found:,} bytes, expected {declared:,}; it is cut off: copy it again")
    try:
        # Pillow warns about damage that it can read past; a file is either good or refused, in one line
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=(name,)) as picture:
            reason = oversize(*picture.size) or refusal(file, picture)
            if reason:
                raise UsageError(f"{file}: {reason}")
            yield picture
    except UnidentifiedImageError:
        raise UsageError(
            f"{file}: {name}, but damaged or in a coding that Pillow does not know, expected a whole picture; copy it"
            " again, or convert it to PNG"
        ) from None
    except Image.DecompressionBombError as error:
        raise UsageError(f"{file}: more than {MAX_PIXELS:,} pixels, expected fewer; scale it down or cut it") from error
    except (OSError, MemoryError, *DAMAGE) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        message = f"{file}: cannot be read ({reason}), expected a whole picture; copy it again"
        raise UsageError(message) from error


def _prepare(file: Path, name: str) -> None:
    """Makes Pillow able to read the format `name`; raises UsageError where a part of it is not installed.

    Floats are refused here, before Pillow finds the colours of a PFM too much for it.
    """
    if name == "PFM":
        raise UsageError(f"{file}: {DEEP}")
    if name == "AVIF" and not features.check("avif"):
        raise UsageError(f"{file}: AVIF, which this Pillow cannot read; pip install -U 'pillow>=11.3'")
    if name == "HEIF":
        try:
            plugin = import_module("pi_heif")
        except ImportError:
            raise UsageError(
                f"{file}: HEIC, expected pi-heif for it; pip install pi-heif, or convert it to PNG"
            ) from None
        plugin.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
