"""Animations that are kept as pictures give all their frames, each as it is shown."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.media.clip import open_clip
from nvc_check.models.errors import UsageError

# Few colours, so that GIF keeps them
PAPER, INK = (250, 240, 230), (10, 20, 200)


def moving_square(frames: int = 3) -> list[npt.NDArray[np.uint8]]:
    """A square that moves: writers store of the later frames only what changes."""
    shown = []
    for at in range(frames):
        rgb = np.full((32, 48, 3), PAPER, np.uint8)
        rgb[8:16, 4 + 10 * at : 12 + 10 * at] = INK
        shown.append(rgb)
    return shown


def save(file: Path, frames: list[npt.NDArray[np.uint8]], **options: Any) -> None:
    first, *others = [Image.fromarray(rgb) for rgb in frames]
    first.save(file, save_all=True, append_images=others, duration=40, **options)


def read(path: Path) -> list[npt.NDArray[np.uint8]]:
    return [frame.rgb for frame in open_clip(path).frames()]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_every_frame_is_composed(tmp_path: Path, suffix: str) -> None:
    """Lossless formats give the frames back, each named by its number."""
    frames = moving_square()
    file = tmp_path / f"square{suffix}"
    save(file, frames, **({"lossless": True} if suffix == ".webp" else {}))
    clip = open_clip(file)
    assert (clip.kind, clip.count()) == ("pictures", 3)
    found = list(clip.frames(one_size=True))
    assert [(frame.index, frame.name) for frame in found] == [(at, f"{file.name} frame {at}") for at in range(3)]
    for frame, wanted in zip(found, frames, strict=True):
        np.testing.assert_array_equal(frame.rgb, wanted)


def test_an_animated_avif_gives_every_frame(tmp_path: Path) -> None:
    """Not the still picture in front of the sequence."""
    frames = moving_square()
    save(tmp_path / "square.avif", frames, quality=95)
    found = read(tmp_path / "square.avif")
    assert len(found) == open_clip(tmp_path / "square.avif").count() == 3
    for at, rgb in enumerate(found):
        distances = [np.abs(rgb.astype(int) - other).mean() for other in frames]
        assert int(np.argmin(distances)) == at
        assert distances[at] < 4


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_one_frame_is_a_picture(tmp_path: Path, suffix: str) -> None:
    """It goes by the file's name."""
    Image.fromarray(moving_square(1)[0]).save(tmp_path / f"still{suffix}")
    (frame,) = open_clip(tmp_path / f"still{suffix}").frames()
    assert frame.name == f"still{suffix}"


def test_the_still_of_an_apng_is_no_frame(tmp_path: Path) -> None:
    """The picture for readers without animation does not belong to it."""
    still = np.full((32, 48, 3), 99, np.uint8)
    save(tmp_path / "still.png", [still, *moving_square()], default_image=True)
    for rgb, wanted in zip(read(tmp_path / "still.png"), moving_square(), strict=True):
        np.testing.assert_array_equal(rgb, wanted)


def test_orientation_turns_every_frame(tmp_path: Path) -> None:
    """EXIF speaks for the whole animation."""
    exif = Image.Exif()
    exif[0x0112] = 8
    save(tmp_path / "turned.webp", moving_square(), lossless=True, exif=exif)
    for rgb, wanted in zip(read(tmp_path / "turned.webp"), moving_square(), strict=True):
        np.testing.assert_array_equal(rgb, np.rot90(wanted))


def test_pictures_and_animations_share_a_folder(tmp_path: Path) -> None:
    """All frames of all files, in the order of the names."""
    save(tmp_path / "2.gif", moving_square(2))
    for name in ("1.png", "10.png"):
        Image.fromarray(moving_square(1)[0]).save(tmp_path / name)
    clip = open_clip(tmp_path)
    assert clip.count() == 4
    assert [frame.name for frame in clip.frames()] == ["1.png", "2.gif frame 0", "2.gif frame 1", "10.png"]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("missing", [1, 40, 120])
def test_a_truncated_animation_is_refused_at_once(tmp_path: Path, suffix: str, missing: int) -> None:
    """Readers would show the frames up to the cut."""
    save(tmp_path / f"whole{suffix}", moving_square())
    data = (tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[:-missing])
    with pytest.raises(UsageError, match="expected"):
        open_clip(tmp_path / f"cut{suffix}")


def test_what_stands_behind_a_gif_does_not_matter(tmp_path: Path) -> None:
    """Its trailer ends it; padding is common."""
    save(tmp_path / "padded.gif", moving_square())
    (tmp_path / "padded.gif").write_bytes((tmp_path / "padded.gif").read_bytes() + bytes(7))
    assert len(read(tmp_path / "padded.gif")) == 3


def test_a_comment_in_latin_1_does_not_matter(tmp_path: Path) -> None:
    """In a GIF, and in a PNG whose text is no UTF-8."""
    save(tmp_path / "note.gif", moving_square(), comment="café".encode("latin-1"))
    assert len(read(tmp_path / "note.gif")) == 3
    Image.fromarray(moving_square(1)[0]).save(tmp_path / "plain.png")
    data = (tmp_path / "plain.png").read_bytes()
    body = b"Title\0\0\0\0\0caf\xe9\xff"
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    (tmp_path / "noted.png").write_bytes(data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(read(tmp_path / "noted.png")[0], moving_square(1)[0])
