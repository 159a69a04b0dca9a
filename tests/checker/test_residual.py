from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.views.diverging import diverging
from nvc_check.checker.views.residual import automatic_gain, residual, residual_map, write_residual_map
from nvc_check.checker.views.residual_sheet import LEAST_WIDTH, gain_label, scale_ticks
from nvc_check.models.errors import UsageError

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
DEFICIENCIES = {
    "protan": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "deutan": [
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ],
    "tritan": [
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ],
}


def grey(height: int, width: int, level: float = 0.5) -> npt.NDArray[np.float32]:
    return np.full((3, height, width), level, np.float32)


def linear(srgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    value = srgb / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """CIELAB (D65) of linear sRGB, (n, 3)."""
    to_xyz = np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
    ratio = np.clip(light, 0, 1) @ to_xyz.T / to_xyz.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def picture_of(sheet: Image.Image, height: int, width: int) -> npt.NDArray[np.uint8]:
    """The enlarged frame on a sheet, found by its outline."""
    pixels = np.asarray(sheet)
    rule = (pixels == 150).all(axis=2)
    # The upper side of the outline is the first long rule
    top = int(np.flatnonzero(rule.sum(axis=1) > 60)[0])
    left, right = np.flatnonzero(rule[top])[[0, -1]]
    factor = (right - left - 1) // width
    return pixels[top + 1 : top + 1 + height * factor, left + 1 : right]


def test_the_difference_is_signed_luma() -> None:
    """First minus second, BT.709 weights, in units of 1/255."""
    first, second = grey(4, 5), grey(4, 5)
    first[1, 2, 3] += 0.25
    second[2, 0, 1] += 0.125
    found = residual(first, second)
    assert found.luma[2, 3] == pytest.approx(0.25 * 0.7152 * 255)
    assert found.luma[0, 1] == pytest.approx(-0.125 * 0.0722 * 255)
    assert np.count_nonzero(found.luma) == found.differing == 2
    assert found.peak == (2, 3)


def test_pixels_that_differ_without_luma_are_counted() -> None:
    """Red up and blue down: the luma is nearly the same, the pixel is not."""
    first, second = grey(4, 4), grey(4, 4)
    first[0, 1, 1] += np.float32(0.0722 / 2)
    first[2, 1, 1] -= np.float32(0.2126 / 2)
    found = residual(first, second)
    assert found.differing == 1
    assert np.abs(found.luma).max() < 1e-4


def test_the_last_bit_counts() -> None:
    """One unit in the last place of a float32 is a difference."""
    first = grey(4, 4)
    second = first.copy()
    second[1, 3, 3] = np.nextafter(np.float32(0.5), np.float32(1))
    found = residual(first, second)
    assert found.differing == 1
    assert found.luma[3, 3] < 0


def test_colours_tell_the_sign() -> None:
    """Where the first frame is brighter the map is orange, where darker blue, elsewhere white."""
    first = grey(40, 60)
    first[:, :, :20] += 0.1
    first[:, :, 40:] -= 0.1
    picture = picture_of(residual_map(first, grey(40, 60), "signs"), 40, 60).astype(int)
    assert picture.shape == (320, 480, 3)
    brighter, equal, darker = picture[:, :160], picture[:, 160:320], picture[:, 320:]
    assert np.all(brighter[..., 0] > brighter[..., 2] + 60)
    assert np.all(darker[..., 2] > darker[..., 0] + 60)
    assert np.all(equal == 255)


def test_equal_frames_are_white() -> None:
    """Neutral everywhere, and the caption says identical."""
    frame = np.random.default_rng(0).random((3, 30, 50), np.float32)
    sheet = residual_map(frame, frame.copy(), "same")
    assert np.all(picture_of(sheet, 30, 50) == 255)
    other = residual_map(frame, np.nextafter(frame, np.float32(2)), "same", gain=1)
    assert np.all(picture_of(other, 30, 50) == 255)
    assert sheet.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    ("reach", "gain"),
    [(255, 1), (128, 1), (127, 2), (50.9, 5), (25, 10), (5.2, 20), (5, 50), (0.001, 200_000)],
)
def test_the_automatic_gain_fills_the_scale(reach: float, gain: float) -> None:
    """The largest of 1, 2, 5, 10, ... that keeps the 99.9th percentile on the scale."""
    luma = np.linspace(-reach, reach, 100_001).reshape(1, -1) / 0.999
    luma[0, 50] = -255
    assert automatic_gain(luma) == gain


def test_the_automatic_gain_of_few_pixels() -> None:
    """Where less than 0.1 % differ, the largest difference counts; where none does, 1."""
    luma = np.zeros((100, 100))
    assert automatic_gain(luma) == 1
    luma[3, 4] = -2.0
    assert automatic_gain(luma) == 100


def test_the_gain_scales_the_colours() -> None:
    """A difference of 5/255 at gain 17 has the colour of a third of the scale."""
    first = grey(30, 60)
    first += np.float32(5 / 255)
    picture = picture_of(residual_map(first, grey(30, 60), "gain", gain=17), 30, 60)
    wanted = diverging(np.array([5 * 17 / 255]))[0].astype(int)
    assert np.abs(picture.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(
    ("gain", "label"), [(1, "gain 1"), (50, "gain 50"), (200_000, "gain 200,000"), (2.5, "gain 2.5")]
)
def test_the_gain_is_written_out(gain: float, label: str) -> None:
    """As a plain number."""
    assert gain_label(gain) == label


@pytest.mark.parametrize(
    ("limit", "step", "reach"),
    [(255, 50, 250), (127.5, 50, 100), (51, 10, 50), (5.1, 1, 5), (0.00255, 0.0005, 0.0025)],
)
def test_ticks_are_round_numbers(limit: float, step: float, reach: float) -> None:
    """From -reach to reach, zero in the middle."""
    ticks = scale_ticks(limit)
    np.testing.assert_allclose(ticks, np.arange(-round(reach / step), round(reach / step) + 1) * step, rtol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (17, 31), (9, 479), (48, 700), (300, 16)])
def test_a_sheet_is_wide_enough(height: int, width: int) -> None:
    """Small frames are enlarged by a whole factor, the tallest excepted."""
    first = np.random.default_rng(0).random((3, height, width), np.float32)
    sheet = residual_map(first, 1 - first, "size")
    assert sheet.mode == "RGB"
    assert sheet.width > LEAST_WIDTH
    assert sheet.height < 1700
    picture = picture_of(sheet, height, width)
    factor = picture.shape[1] // width
    assert picture.shape == (height * factor, width * factor, 3)
    assert picture.shape[1] >= min(LEAST_WIDTH, 64)
    small = picture[::factor, ::factor]
    np.testing.assert_array_equal(picture, small.repeat(factor, axis=0).repeat(factor, axis=1))


@pytest.mark.parametrize("title", ["", "word " * 60, "/a/path/" * 60, "cuda − cpu, größer × 2, 画面"])
def test_any_title_fits(title: str) -> None:
    """Nothing is drawn on the margins, whatever the words; the picture stays."""
    sheet = np.asarray(residual_map(grey(16, 16), grey(16, 16), title))
    margin = 22
    assert np.all(sheet[:, :margin] == 255)
    assert np.all(sheet[:, -margin:] == 255)
    assert np.all(picture_of(Image.fromarray(sheet), 16, 16) == 255)


def test_a_title_without_spaces_is_broken_into_lines() -> None:
    """None of it is lost: it makes the sheet taller."""
    short, long = (residual_map(grey(16, 16), grey(16, 16), "/a/path" * times) for times in (1, 30))
    assert long.height > short.height + 40


def test_lightness_falls_on_both_sides() -> None:
    """Without any colour vision the magnitude stays readable, alike on both sides."""
    lightness = lab(linear(diverging(np.linspace(-1, 1, 201))))[:, 0]
    assert lightness[100] == pytest.approx(100, abs=0.1)
    assert np.all(np.diff(lightness[:101]) > 0.2)
    assert np.all(np.diff(lightness[100:]) < -0.2)
    assert np.abs(lightness - lightness[::-1]).max() < 5


@pytest.mark.parametrize("name", DEFICIENCIES)
def test_the_sign_stays_readable_without_one_kind_of_cone(name: str) -> None:
    """Colours of +v and -v keep a distance of 10 in CIELAB for v from 0.2 on; 2.3 is just noticeable."""
    value = np.linspace(0.2, 1, 50)
    seen = np.array(DEFICIENCIES[name])
    above, below = (lab(linear(diverging(side)) @ seen.T) for side in (value, -value))
    assert np.linalg.norm(above - below, axis=1).min() > 10


def test_the_file_is_the_picture(tmp_path: Path) -> None:
    """A PNG, the same pixels, nothing else in the folder."""
    first, second = grey(16, 16), grey(16, 16, 0.25)
    write_residual_map(tmp_path / "map.png", first, second, "file")
    with Image.open(tmp_path / "map.png") as written:
        assert written.format == "PNG"
        assert written.tobytes() == residual_map(first, second, "file").tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    """The name would promise another format."""
    with pytest.raises(UsageError, match=r'suffix ".jpg", expected ".png"'):
        write_residual_map(tmp_path / "map.jpg", grey(4, 4), grey(4, 4), "suffix")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gain", [0.0, -1.0, float("nan"), float("inf")])
def test_a_gain_that_shows_nothing_is_refused(gain: float) -> None:
    """Zero, negative, not a number, infinite."""
    with pytest.raises(UsageError, match="expected a positive number"):
        residual_map(grey(4, 4), grey(4, 4), "gain", gain)


def test_frames_of_two_sizes_are_an_error() -> None:
    """They are a mistake of the caller."""
    with pytest.raises(ValueError, match="expected the same"):
        residual(grey(4, 4), grey(4, 5))
