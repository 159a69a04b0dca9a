"""How large a picture or frame may be: what declares more is refused before anything is decoded.

A PNG of a few kilobytes can declare 65535x65535 pixels, 12 GiB once decoded.
"""

from __future__ import annotations

# Where Pillow begins to warn (Image.MAX_IMAGE_PIXELS): a quarter of a GiB of 24-bit pixels
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3


def oversize(width: int, height: int) -> str | None:
    """The refusal of a picture of `width` x `height` pixels, without its name; None when it is small enough."""
    if width * height <= MAX_PIXELS:
        return None
    return f"{width}x{height} pixels, expected at most {MAX_PIXELS:,} in all; scale it down or cut it"
