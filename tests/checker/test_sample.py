from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nvc_check.checker.media.clip import open_clip
from nvc_check.checker.media.photographs import photograph, photographs
from nvc_check.checker.media.sample import render_sample, write_sample
from nvc_check.checker.media.scene import compose
from nvc_check.models.errors import UsageError


def digest(frames: list[npt.NDArray[np.uint8]]) -> str:
    return hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()


def distance(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(float) - second).mean())


@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (17, 16), (16, 17), (63, 47), (16, 300), (300, 16), (352, 288)]
)
def test_every_size_moves(width: int, height: int) -> None:
    """Each frame is of the size asked for, differs from the one before, and is not a flat field."""
    frames = list(render_sample(width, height, 4, seed=2))
    assert [(frame.shape, frame.dtype) for frame in frames] == [((height, width, 3), np.dtype(np.uint8))] * 4
    assert all(distance(frame, after) > 0.2 for frame, after in pairwise(frames))
    assert all(frame.std() > 20 for frame in frames)


def test_the_largest_size_renders() -> None:
    """1920x1088, one frame."""
    (frame,) = render_sample(1920, 1088, 1, seed=0)
    assert frame.shape == (1088, 1920, 3)


@pytest.mark.parametrize("seed", range(6))
def test_motion_is_continuous(seed: int) -> None:
    """Over a whole period no step between frames stands out, wherever the cut-out leaves and comes back."""
    frames = list(render_sample(64, 48, 200, seed))
    steps = np.array([distance(frame, after) for frame, after in pairwise(frames)])
    assert steps.min() > 0.05
    # Around each step, its neighbours are of its size: nothing jumps
    assert np.all(steps[1:-1] < 1.6 * np.maximum(steps[:-2], steps[2:]) + 0.3)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_out_passes_and_comes_back_out_of_sight(seed: int) -> None:
    """White before black: the share of white never jumps, by what an ellipse can cover in one frame."""
    black, white = np.zeros((300, 400, 3), np.uint8), np.full((300, 400, 3), 255, np.uint8)
    scene = compose(black, white, 80, 60, random.Random(seed))
    share = np.array([scene.frame(time).mean() / 255 for time in range(200)])
    assert share.min() == 0
    assert share.max() > 0.1
    # Height at most 0.54 of the frame, speed at most 1/70 of its width, light by at most 4 % in 20 frames
    assert np.abs(np.diff(share)).max() < 0.54 / 70 + 0.001


def test_motion_is_finer_than_a_pixel() -> None:
    """No shift by whole pixels turns one frame into the next: what is left is more than rounding."""
    first, second = (frame.astype(float) for frame in render_sample(96, 96, 2, seed=1))
    corner = (slice(8, 32), slice(8, 32))
    shifts = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]
    left_over = [np.abs(np.roll(first, shift, (0, 1))[corner] - second[corner]).mean() for shift in shifts]
    assert min(left_over) > 1
    assert min(left_over) < np.abs(first[8:32, 60:84] - second[corner]).mean() / 3


def test_the_same_arguments_give_the_same_frames() -> None:
    """Another seed gives others."""
    assert digest(list(render_sample(48, 32, 3, 5))) == digest(list(render_sample(48, 32, 3, 5)))
    assert digest(list(render_sample(48, 32, 3, 5))) != digest(list(render_sample(48, 32, 3, 6)))


def test_a_short_clip_begins_a_long_one() -> None:
    """The number of frames does not change the frames."""
    assert digest(list(render_sample(48, 32, 9, 5))[:4]) == digest(list(render_sample(48, 32, 4, 5)))


@pytest.mark.parametrize(("width", "height"), [(32, 16), (33, 19)])
def test_a_folder_holds_the_frames(tmp_path: Path, width: int, height: int) -> None:
    """PNG files 0000.png, 0001.png, ..., without loss; progress counts them."""
    heard: list[int] = []
    write_sample(tmp_path / "clip", width, height, 3, 1, progress=heard.append)
    frames = list(open_clip(tmp_path / "clip").frames())
    assert [frame.name for frame in frames] == ["0000.png", "0001.png", "0002.png"]
    for frame, rendered in zip(frames, render_sample(width, height, 3, 1), strict=True):
        np.testing.assert_array_equal(frame.rgb, rendered)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 48), (64, 47), (63, 47)])
def test_a_y4m_holds_the_frames(tmp_path: Path, width: int, height: int) -> None:
    """Odd sizes come back in the right size and place: luma is within rounding, chroma within 4:2:0."""
    heard: list[int] = []
    write_sample(tmp_path / "clip.y4m", width, height, 3, 1, progress=heard.append)
    clip = open_clip(tmp_path / "clip.y4m")
    assert clip.count() == 3
    for frame, rendered in zip(clip.frames(), render_sample(width, height, 3, 1), strict=True):
        error = frame.rgb.astype(float) - rendered
        assert np.sqrt(np.mean((error @ (0.299, 0.587, 0.114)) ** 2)) < 1
        assert np.sqrt(np.mean(error**2)) < 8
    assert heard == [1, 2, 3]


def test_y4m_files_are_the_same_bytes(tmp_path: Path) -> None:
    """Twice, and over a file that was there."""
    (tmp_path / "b.y4m").write_text("old")
    for name in ("a.y4m", "b.y4m"):
        write_sample(tmp_path / name, 33, 17, 2, 3)
    assert (tmp_path / "a.y4m").read_bytes() == (tmp_path / "b.y4m").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.y4m", "b.y4m"]


@pytest.mark.parametrize("name", ["clip", "clip.y4m"])
def test_an_interruption_leaves_nothing(tmp_path: Path, name: str) -> None:
    """Ctrl-C in the middle: neither the target nor a temporary name stays."""

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / name, 16, 16, 4, 0, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """Nothing in it can be lost."""
    (tmp_path / "clip").mkdir()
    write_sample(tmp_path / "clip", 16, 16, 1, 0)
    assert [file.name for file in (tmp_path / "clip").iterdir()] == ["0000.png"]


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    """And left as it was."""
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="holds files that nvc-check did not write there"):
        write_sample(tmp_path / "clip", 16, 16, 1, 0)
    assert (tmp_path / "clip" / "mine.txt").read_text() == "keep"


def test_a_folder_named_like_a_video_is_refused(tmp_path: Path) -> None:
    """Before anything is rendered."""
    (tmp_path / "clip.y4m").mkdir()
    with pytest.raises(UsageError, match="found a folder, expected a file name"):
        write_sample(tmp_path / "clip.y4m", 16, 16, 1, 0)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    """The message lists what works."""
    with pytest.raises(UsageError, match=r'suffix ".mp4", expected ".y4m" .* or none') as caught:
        write_sample(tmp_path / "clip.mp4", 16, 16, 1, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((15, 16, 1, 0), "width 15"),
        ((16, 0, 1, 0), "height 0"),
        ((16, 16, 0, 0), "frames 0"),
        ((16, 16, 1, -1), "seed -1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[int, int, int, int], found: str) -> None:
    """At the call, not at the first frame."""
    with pytest.raises(UsageError, match=found):
        render_sample(*arguments)


def test_the_photographs_are_pictures() -> None:
    """Ten of them, each with detail, no two alike."""
    found = photographs()
    assert len(found) == 10
    assert all(rgb.ndim == 3 and rgb.shape[2] == 3 and min(rgb.shape[:2]) >= 300 for rgb in found)
    assert all(rgb.dtype == np.uint8 and rgb.std() > 15 for rgb in found)
    assert len({digest([rgb]) for rgb in found}) == 10


def test_a_missing_photograph_is_reported() -> None:
    """Nothing is downloaded."""
    with pytest.raises(UsageError, match="no such file, expected in the scikit-image wheel"):
        photograph("skin.jpg")
