"""AVIF and HEIC: grids of tiles, rotation, depth, collections and sequences."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from media.heif_writer import movie, picture

from nvc_check.checker.media.clip import open_clip
from nvc_check.checker.media.heif_structure import heif_structure
from nvc_check.models.errors import UsageError

Coding = Literal["heic", "avif"]
CODINGS: tuple[Coding, Coding] = ("heic", "avif")


def tiles(count: int) -> list[npt.NDArray[np.uint8]]:
    """Smooth tiles of 64x96 that differ."""
    rows, columns = np.mgrid[:64, :96]
    return [
        np.stack([columns + 20 * at, rows * 2, 255 - columns - 30 * at], axis=2).clip(0, 255).astype(np.uint8)
        for at in range(count)
    ]


def write(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


def read(file: Path) -> list[npt.NDArray[np.uint8]]:
    return [frame.rgb for frame in open_clip(file).frames()]


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(file)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{file}: ")
    return message


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("coding", CODINGS)
def test_writing_and_reading_leave_no_real_time_thread(tmp_path: Path, coding: Coding) -> None:
    """An encoder's real-time threads made later tests of the same process wait for ever."""
    policies = [{os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}]
    read(write(tmp_path / f"grid.{coding}", picture(tiles(2), coding)))
    policies.append({os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()})
    assert policies[1] <= policies[0]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_tile_of_a_grid_is_read(tmp_path: Path, coding: Coding, count: int) -> None:
    """The picture is all of them, in their order, whatever the file's name says."""
    wanted = np.concatenate(tiles(count))
    for name in (f"grid.{coding}", "grid.png", "grid.mp4"):
        (rgb,) = read(write(tmp_path / name, picture(tiles(count), coding)))
        assert rgb.shape == wanted.shape
        assert np.abs(rgb.astype(int) - wanted).mean() < 3


def test_tiles_that_are_not_hidden_are_still_tiles(tmp_path: Path) -> None:
    """A collection is refused; a grid beside its own tiles is none."""
    (rgb,) = read(write(tmp_path / "grid.heic", picture(tiles(3), "heic", hidden=False)))
    assert np.abs(rgb.astype(int) - np.concatenate(tiles(3))).mean() < 3


def test_several_pictures_in_one_heic_are_refused(tmp_path: Path) -> None:
    """A grid of two tiles, and two pictures beside it."""
    data = picture(tiles(4), "heic", hidden=False, loose=2)
    assert "3 pictures in one file, expected 1" in refusal(write(tmp_path / "album.heic", data))


@pytest.mark.parametrize("coding", CODINGS)
def test_rotation_is_applied_once(tmp_path: Path, coding: Coding) -> None:
    """A quarter against the clock, by the container's own property."""
    (rgb,) = read(write(tmp_path / f"turned.{coding}", picture(tiles(2), coding, turned=1)))
    wanted = np.rot90(np.concatenate(tiles(2)))
    assert rgb.shape == wanted.shape
    assert np.abs(rgb.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("coding", CODINGS)
def test_ten_bits_are_refused(tmp_path: Path, coding: Coding) -> None:
    """Readers round them to 8 without a word; in a grid too."""
    for count in (1, 2):
        file = write(tmp_path / f"deep{count}.{coding}", picture(tiles(count), coding, "yuv420p10le"))
        assert heif_structure(file).bits == 10
        assert "more than 8 bits per channel" in refusal(file)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_truncated_file_is_refused_at_once(tmp_path: Path, coding: Coding) -> None:
    """Cut in the tiles or in the boxes in front of them."""
    data = picture(tiles(2), coding)
    for kept in (len(data) - 1, len(data) // 2, 100, 40):
        with pytest.raises(UsageError, match="expected"):
            open_clip(write(tmp_path / f"cut{kept}.{coding}", data[:kept]))


@pytest.mark.parametrize("coding", CODINGS)
def test_a_picture_beside_a_sequence_is_refused(tmp_path: Path, coding: Coding) -> None:
    """The major brand says picture, the file has a track of frames as well: which is meant?"""
    track = movie(tiles(3), coding)
    boxes = track[track.index(b"moov") - 4 :]
    length = int.from_bytes(boxes[:4], "big")
    data = picture(tiles(1), coding) + boxes[:length]
    assert heif_structure(write(tmp_path / f"both.{coding}", data)).sequence == 3
    # libheif already takes offence at the track that is not what its own sequences are
    found = "a picture and a sequence of 3" if coding == "avif" else "HEIF, but damaged or in a coding"
    assert found in refusal(tmp_path / f"both.{coding}")


def test_a_sequence_in_heic_is_a_video(tmp_path: Path) -> None:
    """A track of HEVC under the brands of HEIF: FFmpeg reads it."""
    data = movie(tiles(3), "heic")
    length = int.from_bytes(data[:4], "big")
    brands = b"ftyp" + b"msf1" + bytes(4) + b"hevc" * ((length - 16) // 4)
    file = write(tmp_path / "sequence.heics", data[:4] + brands + data[length:])
    clip = open_clip(file)
    assert (clip.kind, len(list(clip.frames()))) == ("video", 3)


def test_heic_without_its_reader_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert "pip install pi-heif" in refusal(write(tmp_path / "one.heic", picture(tiles(1), "heic")))
