"""How a residual map is laid out: title, picture, colour bar with its scale, caption."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nvc_check.checker.views.diverging import diverging

# A frame is enlarged by a whole factor until it is this wide, unless that makes it taller than the limit
LEAST_WIDTH, TALLEST = 480, 1440

INK, FAINT, RULE, PAPER = (34, 34, 34), (100, 100, 100), (150, 150, 150), (255, 255, 255)

# By how much type is drawn larger than it is shown
FINER = 3

# What Pillow's own font has beyond ASCII, and what stands for some of what it lacks
GLYPHS = frozenset("±·…")
STAND_INS = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "→": ">", "“": '"', "”": '"', "’": "'"})


def residual_sheet(
    luma: npt.NDArray[np.float64], gain: float, title: str, facts: list[str], labels: Sequence[str] = ()
) -> Image.Image:
    """An RGB picture.

    Args:
        luma: (H, W) differences in units of 1/255.
        facts: phrases of the caption.
        labels: written below the picture, each in the middle of its equal share of the width.
    """
    frame = _enlarged(Image.fromarray(diverging(luma * gain / 255)))
    width = max(LEAST_WIDTH, frame.width + 2)
    size = min(max(14, width // 48), 30)
    about = ["BT.709 luma, first minus second frame, in steps of 1/255", gain_label(gain)]
    blocks = [
        _text(title.split(" "), " ", round(1.35 * size), width, INK),
        _framed(frame, width),
        *([_labels(labels, size, width)] if labels else []),
        _colour_bar(255 / gain, size, width),
        _text(about, "  ·  ", size, width, FAINT),
        _text(facts, "  ·  ", size, width, INK),
    ]
    gaps = [round(factor * size) for factor in (0.5, *([0.2] if labels else []), 1.2, 0.6, 0.3, 0)]
    margin = round(1.6 * size)
    height = 2 * margin + sum(block.height for block in blocks) + sum(gaps)
    sheet = Image.new("RGB", (width + 2 * margin, height), PAPER)
    top = margin
    for block, gap in zip(blocks, gaps, strict=True):
        sheet.paste(block, (margin, top))
        top += block.height + gap
    return sheet


def gain_label(gain: float) -> str:
    return f"gain {gain:,.0f}" if gain == round(gain) else f"gain {gain:g}"


def scale_ticks(limit: float) -> list[float]:
    """Round numbers from -limit to limit, zero among them: steps of 1, 2 or 5 times a power of ten."""
    least = limit / 6
    power = 10.0 ** math.floor(math.log10(least))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least)
    reach = math.floor(limit / step)
    return [step * count for count in range(-reach, reach + 1)]


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = max(1, min(-(-LEAST_WIDTH // picture.width), TALLEST // picture.height))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _framed(picture: Image.Image, width: int) -> Image.Image:
    block = Image.new("RGB", (width, picture.height + 2), PAPER)
    left = (width - picture.width) // 2
    block.paste(RULE, (left - 1, 0, left + picture.width + 1, picture.height + 2))
    block.paste(picture, (left, 1))
    return block


def _labels(labels: Sequence[str], size: int, width: int) -> Image.Image:
    row = Image.new("RGB", (width, _pitch(size)), PAPER)
    for at, label in enumerate(labels):
        line = _line(label, size, FAINT)
        row.paste(line, (round((at + 0.5) * width / len(labels)) - line.width // 2, 0))
    return row


def _colour_bar(limit: float, size: int, width: int) -> Image.Image:
    """The colours from -limit to limit, with ticks and numbers below."""
    tick = size // 3
    bar = Image.new("RGB", (width, size + tick + _pitch(size)), PAPER)
    ramp = diverging(np.linspace(-1, 1, width))
    bar.paste(Image.fromarray(np.repeat(ramp[np.newaxis], size, axis=0)))
    draw = ImageDraw.Draw(bar)
    draw.rectangle((0, 0, width - 1, size - 1), outline=RULE)
    for value in scale_ticks(limit):
        x = round((value / limit + 1) / 2 * (width - 1))
        draw.line((x, size, x, size + tick), fill=RULE)
        label = _line(f"{value:+g}" if value else "0", size, INK)
        # A number at an end stays inside
        bar.paste(label, (min(max(x - label.width // 2, 0), width - label.width), size + tick))
    return bar


def _text(phrases: list[str], between: str, size: int, width: int, ink: tuple[int, int, int]) -> Image.Image:
    """The phrases with `between` in between, on as many lines as they need."""
    lines = [""]
    for phrase in map(_printable, phrases):
        longer = lines[-1] + between + phrase if lines[-1] else phrase
        if _length(longer, size) <= width:
            lines[-1] = longer
            continue
        lines.append("")
        # What alone is wider than the sheet, such as a path, is cut
        for character in phrase:
            if _length(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    drawn = [_line(line, size, ink) for line in lines if line]
    block = Image.new("RGB", (width, _pitch(size) * len(drawn)), PAPER)
    for at, line in enumerate(drawn):
        block.paste(line, (0, at * _pitch(size)))
    return block


def _line(text: str, size: int, ink: tuple[int, int, int]) -> Image.Image:
    """Drawn larger and reduced: small type has uneven gaps when each letter keeps to whole pixels."""
    line = Image.new("RGB", (FINER * math.ceil(_length(text, size)), FINER * _pitch(size)), PAPER)
    ImageDraw.Draw(line).text((0, 0), text, ink, _font(size))
    return line.reduce(FINER)


def _length(text: str, size: int) -> float:
    return _font(size).getlength(text) / FINER


def _pitch(size: int) -> int:
    return round(1.4 * size)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """FINER times `size`. Given a size, Pillow returns its scalable font or raises."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(FINER * size))


def _printable(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(STAND_INS))
    kept = (character for character in plain if not unicodedata.combining(character))
    return "".join(c if c in GLYPHS or " " <= c <= "~" else "?" for c in kept)
