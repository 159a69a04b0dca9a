from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.media.clip import cropped, open_clip, padded
from nvc_check.models.errors import UsageError


def picture(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def refusal(path: Path) -> str:
    """The message with which reading `path` ends; it is one line that begins with the name."""
    with pytest.raises(UsageError) as caught:
        list(open_clip(path).frames())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}")
    return message


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".PNG"])
def test_one_picture_is_read_without_loss(tmp_path: Path, suffix: str) -> None:
    """A lossless file gives back its pixels."""
    rgb = picture(7, 9)
    file = tmp_path / f"one{suffix}"
    Image.fromarray(rgb).save(file, lossless=True)
    clip = open_clip(file)
    (frame,) = clip.frames()
    assert (clip.kind, clip.count(), frame.index, frame.name) == ("pictures", 1, 0, file.name)
    assert frame.rgb.dtype == np.uint8
    np.testing.assert_array_equal(frame.rgb, rgb)


def test_a_jpeg_is_close(tmp_path: Path) -> None:
    """A smooth picture survives JPEG within a few levels."""
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None] * 2, 3, axis=2).repeat(40, axis=1)
    Image.fromarray(ramp).save(tmp_path / "ramp.jpg", quality=95)
    (frame,) = open_clip(tmp_path / "ramp.jpg").frames()
    assert np.abs(frame.rgb.astype(int) - ramp).max() <= 4


def test_a_folder_is_sorted_by_number(tmp_path: Path) -> None:
    """frame2 comes before frame10; other files, hidden ones and folders are left alone."""
    for number in (10, 2, 1):
        Image.fromarray(picture(4, 4 + number, number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    clip = open_clip(tmp_path)
    frames = list(clip.frames())
    assert clip.count() == 3
    assert [frame.name for frame in frames] == ["frame1.png", "frame2.png", "frame10.png"]
    assert [frame.rgb.shape for frame in frames] == [(4, 5, 3), (4, 6, 3), (4, 14, 3)]


def test_grey_and_palette_become_rgb(tmp_path: Path) -> None:
    """A grey value stands in all channels; a palette gives its colours."""
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "1.png")
    indexed = Image.fromarray(grey % 2)
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.save(tmp_path / "2.png", transparency=b"\x00\x80")
    first, second = (frame.rgb for frame in open_clip(tmp_path).frames())
    np.testing.assert_array_equal(first, np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(second, np.array([(10, 20, 30), (40, 50, 60)], np.uint8)[grey % 2])


def test_alpha_is_dropped(tmp_path: Path) -> None:
    """The stored colour counts even where it is transparent."""
    rgba = np.dstack([picture(5, 6), np.tile(np.array([0, 255], np.uint8), (5, 3))])
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    (frame,) = open_clip(tmp_path / "alpha.png").frames()
    np.testing.assert_array_equal(frame.rgb, rgba[:, :, :3])


def test_orientation_is_applied(tmp_path: Path) -> None:
    """EXIF orientation 6: the camera was turned, the stored top is the right side."""
    rgb, exif = picture(3, 8), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "turned.png", exif=exif)
    (frame,) = open_clip(tmp_path / "turned.png").frames()
    np.testing.assert_array_equal(frame.rgb, np.rot90(rgb, -1))


def png16(file: Path, colour_type: int, channels: int) -> None:
    """A valid 16-bit PNG of 2x2 pixels, written by hand because Pillow writes none in colour."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 2, 2, 16, colour_type, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(range(4 * channels))) * 2)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_refused(tmp_path: Path, colour_type: int, channels: int) -> None:
    """Grey, RGB and both with alpha: cutting the low byte off would be a silent loss."""
    png16(tmp_path / "deep.png", colour_type, channels)
    assert "more than 8 bits per channel" in refusal(tmp_path / "deep.png")


def test_cmyk_is_refused(tmp_path: Path) -> None:
    """Ink has no RGB without a profile."""
    Image.new("CMYK", (4, 4)).save(tmp_path / "ink.tif")
    assert "CMYK" in refusal(tmp_path / "ink.tif")


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    """Reading the first of three would look like success."""
    pages = [Image.fromarray(picture(4, 4, seed)) for seed in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert "3 pictures in one file" in refusal(tmp_path / "pages.tif")


@pytest.mark.parametrize("kept", [0, 5, 40, 100, -20])
def test_a_broken_png_is_refused_at_once(tmp_path: Path, kept: int) -> None:
    """Opening finds the damage, before a long run begins."""
    Image.fromarray(picture(16, 16)).save(tmp_path / "whole.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "whole.png").read_bytes()[:kept])
    with pytest.raises(UsageError, match="expected"):
        open_clip(tmp_path / "broken.png")


def test_a_png_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    """The checksum tells."""
    Image.fromarray(picture(16, 16)).save(tmp_path / "flipped.png")
    data = bytearray((tmp_path / "flipped.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "flipped.png").write_bytes(data)
    assert "cannot be read" in refusal(tmp_path / "flipped.png")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".bmp"])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    """Half a file gives no frame, in any format."""
    Image.fromarray(picture(32, 32)).save(tmp_path / f"whole{suffix}")
    data = (tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(data[: len(data) // 2])
    assert "expected" in refusal(tmp_path / f"half{suffix}")


def test_a_text_named_png_is_refused(tmp_path: Path) -> None:
    """The message shows how it begins."""
    (tmp_path / "text.png").write_text("hello world")
    assert 'begins with "hello wo…"' in refusal(tmp_path / "text.png")


def test_a_broken_picture_is_named_in_its_folder(tmp_path: Path) -> None:
    """The message is about the file, not the folder."""
    Image.fromarray(picture(4, 4)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    assert refusal(tmp_path).startswith(f"{tmp_path / '2.png'}: not a picture (is empty)")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A folder of other things is probably a slip."""
    (tmp_path / "notes.txt").write_text("none here")
    assert "no pictures in this folder" in refusal(tmp_path)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    """Nothing is there."""
    assert "no such file or folder" in refusal(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("height", "width", "padded_to"), [(1, 1, (64, 64)), (64, 128, (64, 128)), (65, 127, (128, 128))]
)
def test_padding_keeps_the_picture(height: int, width: int, padded_to: tuple[int, int]) -> None:
    """Cropping gives the same values back; what is added repeats the edge."""
    rgb = picture(height, width)
    frame = padded(rgb)
    assert frame.shape == (1, 3, *padded_to)
    assert frame.dtype == np.float32
    assert frame.flags.c_contiguous
    back = cropped(frame, height, width)
    np.testing.assert_array_equal(np.round(back * 255).astype(np.uint8).transpose(1, 2, 0), rgb)
    right = np.repeat(back[:, :, -1:], padded_to[1] - width, 2)
    np.testing.assert_array_equal(frame[0, :, :height, width:], right)
    bottom = np.repeat(frame[0, :, height - 1 : height], padded_to[0] - height, 1)
    np.testing.assert_array_equal(frame[0, :, height:], bottom)


def test_padding_divides_by_255() -> None:
    """Each level is the float32 nearest to level / 255, 0 and 1 included."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = padded(np.repeat(levels[:, :, None], 3, axis=2), multiple=16)[0, 1].ravel()
    np.testing.assert_array_equal(found, (np.arange(256) / 255).astype(np.float32))


def test_cropping_clamps() -> None:
    """Decoders overshoot; pictures end at 0 and 1."""
    frame = np.linspace(-1, 2, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
    back = cropped(frame, 50, 60)
    assert back.shape == (3, 50, 60)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, np.clip(frame[0, :, :50, :60], 0, 1))
    assert (back.min(), back.max()) == (0, 1)
