"""Pictures as inputs of an ONNX decoder: `export` without --calibration, `compare` without --input, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nvc_check.checker.coding.examples import calibration, write_examples
from nvc_check.checker.coding.picture_examples import MOST, SIDE, PictureInput, chosen_pictures
from nvc_check.checker.media.photographs import photographs
from nvc_check.checker.media.sample import write_sample
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import UsageError

Command = Callable[..., Any]
Sizes = tuple[int | str, int | str]
OPEN: Sizes = ("h", "w")


def net(channels: int = 3, sizes: Sizes = OPEN, kind: int = TensorProto.FLOAT, inputs: int = 1) -> onnx.ModelProto:
    """A picture twice as large: x0 (and x1 ..., summed) -> y, by two convolutions and a pixel shuffle."""
    rng = np.random.default_rng(0)
    shapes = ((8, channels, 3, 3), (4 * channels, 8, 3, 3))
    weights = [rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32) for shape in shapes]
    names = [f"x{number}" for number in range(inputs)]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x0"], ["c0"], to=TensorProto.FLOAT),
            *(helper.make_node("Add", [f"c{n}", f"x{n + 1}"], [f"c{n + 1}"]) for n in range(inputs - 1)),
            helper.make_node("Conv", [f"c{inputs - 1}", "w0"], ["a"], pads=[1] * 4),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1] * 4),
            helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD"),
        ],
        "net",
        [helper.make_tensor_value_info(name, kind, [1, channels, *sizes]) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, None, None])],
        [numpy_helper.from_array(weight, f"w{number}") for number, weight in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Writes such a net."""

    def write(**varied: Any) -> Path:
        onnx.save(net(**varied), tmp_path / "net.onnx")
        return tmp_path / "net.onnx"

    return write


@pytest.fixture
def rgb(tmp_path: Path) -> NDArray[np.uint8]:
    """The picture photo.png, 41 rows, 50 columns."""
    found = np.random.default_rng(3).integers(0, 256, (41, 50, 3), dtype=np.uint8)
    Image.fromarray(found).save(tmp_path / "photo.png")
    return found


def symbols(package: Path, given: Path) -> list[dict[str, NDArray[Any]]]:
    """What the FP32 graph gets, per picture."""
    file = package.parent / "symbols"
    write_examples(Package.open(package), given, file)
    with Symbols(file, None) as read:
        return [read.read(number, "fp32") for number in range(len(read.frames))]


@pytest.mark.parametrize(("channels", "sizes"), [(3, OPEN), (1, OPEN), (3, (24, 33)), (1, (28, "w")), (1, (8, 800))])
def test_two_commands_to_a_verdict(
    channels: int, sizes: Sizes, model: Callable[..., Path], tmp_path: Path, command: Command
) -> None:
    code, out, err = command("export", model(channels=channels, sizes=sizes), "--out", tmp_path / "pkg")
    assert (code, err) == (0, ""), err
    colours = {3: "RGB", 1: "luma"}[channels]
    assert f"calibrated on 8 photographs as {colours} in [0, 1]; --peak 255 if the model takes 0 to 255\n" in out
    assert Package.open(tmp_path / "pkg").manifest.inputs["x0"].peak == 1.0
    code, out, err = command("compare", tmp_path / "pkg", "--providers", "cpu", "--json", tmp_path / "report.json")
    assert (code, err) == (0, ""), out
    report = json.loads((tmp_path / "report.json").read_text())
    height, width = (size if isinstance(size, int) else side for size, side in zip(sizes, (128, 160), strict=True))
    assert report["verdict"]["int"] == "identical" and report["clipped"][0]["clipped"] == 0
    assert report["results"][0]["values"] == 10 * channels * 4 * height * width


def test_calibration_is_the_middle_of_photographs() -> None:
    found = calibration(None, {"x": (1, 3, None, None)}, True, None).examples
    assert len(found) == MOST
    for example, photograph in zip(found, photographs(), strict=False):
        top, left = ((side - SIDE) // 2 for side in photograph.shape[:2])
        middle = photograph[top : top + SIDE, left : left + SIDE]
        expected = middle.transpose(2, 0, 1)[np.newaxis].astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(example["x"], expected, strict=True)


@pytest.mark.parametrize(("sizes", "count"), [((720, 1280), 2), ((256, 256), 4), ((1500, 20), MOST), ((2, 2), MOST)])
def test_any_fixed_size_has_photographs(sizes: tuple[int, int], count: int) -> None:
    """Larger ones than are bundled are mirrored; of large ones there are fewer."""
    found = calibration(None, {"x": (1, 1, *sizes)}, True, None)
    assert {example["x"].shape for example in found.examples} == {(1, 1, *sizes)}
    assert len(found.examples) == count
    assert f"calibrated on {count} photographs as luma" in found.note


def test_pictures_are_rgb_from_0_to_peak(
    rgb: NDArray[np.uint8], model: Callable[..., Path], tmp_path: Path, command: Command
) -> None:
    """[0, 1] and [0, 255]; the whole picture where any size goes, its middle otherwise."""
    for peak, sizes in ((None, OPEN), (255, (30, 21)), (2, (41, 50))):
        package = tmp_path / f"peak{peak}"
        said = () if peak is None else ("--peak", peak)
        assert command("export", model(sizes=sizes), "--calibration", tmp_path / "photo.png", *said, "--out", package)
        assert Package.open(package).manifest.inputs["x0"].peak == (peak or 1)
        shown = rgb[5:35, 14:35] if sizes == (30, 21) else rgb
        expected = (shown.transpose(2, 0, 1)[np.newaxis] * np.float64(peak or 1) / 255).astype(np.float32)
        (found,) = symbols(package, tmp_path / "photo.png")
        np.testing.assert_array_equal(found["x0"], expected, strict=True)


def test_luma_is_pillows(rgb: NDArray[np.uint8]) -> None:
    takes = PictureInput("x", 1, None, None, 255.0)
    red, green, blue = rgb.astype(np.int64).transpose(2, 0, 1)
    expected = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16  # BT.601, in 16-bit fractions
    np.testing.assert_array_equal(takes.array("photo", rgb)[0, 0], expected.astype(np.float32), strict=True)


def test_a_few_pictures_evenly_over_all(tmp_path: Path) -> None:
    """At most 8, at most 192 a side, in multiples of 8 where that is possible."""
    for number in range(20):
        Image.new("RGB", (300, 90), (number, 0, 0)).save(tmp_path / f"{number}.png")
    Image.new("RGB", (5, 4), (20, 0, 0)).save(tmp_path / "20.png")
    shapes = {"x": (1, 3, None, None)}
    found = calibration(tmp_path, shapes, True, 255.0)
    assert [int(example["x"][0, 0, 0, 0]) for example in found.examples] == [0, 2, 5, 7, 10, 13, 15, 18]
    assert {example["x"].shape for example in found.examples} == {(1, 3, 88, SIDE)}
    assert found.note == "calibrated on 8 pictures as RGB in [0, 255]"
    (tiny,) = calibration(tmp_path / "20.png", shapes, True, 255.0).examples
    assert tiny["x"].shape == (1, 3, 4, 5)


def test_a_clip_is_frames(model: Callable[..., Path], tmp_path: Path, command: Command) -> None:
    write_sample(tmp_path / "clip.y4m", 64, 48, 11, seed=1)
    arguments = ("export", model(), "--calibration", tmp_path / "clip.y4m", "--out", tmp_path / "pkg")
    code, out, _ = command(*arguments)
    assert code == 0 and "calibrated on 8 pictures as RGB" in out
    found = symbols(tmp_path / "pkg", tmp_path / "clip.y4m")
    assert [frame["x0"].shape for frame in found] == [(1, 3, 48, 64)] * 11
    takes = PictureInput("x0", 3, None, None, 1.0)
    chosen = list(chosen_pictures(tmp_path / "clip.y4m", takes, 4, 256))
    for array, number in zip(chosen, (0, 2, 5, 8), strict=True):
        np.testing.assert_array_equal(array, found[number]["x0"])


def test_arrays_still_go(rgb: NDArray[np.uint8], model: Callable[..., Path], tmp_path: Path, command: Command) -> None:
    """Into a package that was calibrated on pictures, and to calibrate on: pictures then need a --peak."""
    array = np.random.default_rng(1).normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "given.npz", x0=array)
    for name, options in {
        "pictures": ["--calibration", tmp_path / "photo.png"],
        "arrays": ["--calibration", tmp_path / "given.npz"],
        "said": ["--calibration", tmp_path / "given.npz", "--peak", 1],
    }.items():
        code, out, _ = command("export", model(), *options, "--out", tmp_path / name)
        assert code == 0 and ("calibrated on" in out) == (name == "pictures")
        (found,) = symbols(tmp_path / name, tmp_path / "given.npz")
        np.testing.assert_array_equal(found["x0"], array, strict=True)
        if name != "arrays":
            (found,) = symbols(tmp_path / name, tmp_path / "photo.png")
            assert found["x0"].shape == (1, 3, 41, 50)
    for given in (["--input", tmp_path / "photo.png"], []):
        code, out, err = command("compare", tmp_path / "arrays", *given)
        assert (code, out) == (2, "") and "calibrated on .npz files" in err and "--peak 1, or 255" in err


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "two inputs": ({"inputs": 2}, (), "with x0 (1, 3, height, width), x1 (1, 3, height, width)"),
    "four channels": ({"channels": 4}, ("--calibration", "photo.png"), "not a .npz file; expected a .npz file with x0"),
    "whole numbers": ({"kind": TensorProto.INT32}, ("--calibration", "photo.png"), "pictures go into one float input"),
    "none of arrays": ({"channels": 2}, ("--calibration", "folder"), "folder: no .npz files"),
    "no such arrays": ({"channels": 2}, ("--calibration", "none"), "none: no such file or folder"),
    "no such picture": ({}, ("--calibration", "none.png"), "none.png: no such file or folder"),
    "no picture": ({}, ("--calibration", "net.onnx"), "net.onnx: "),
    "no pictures": ({}, ("--calibration", "folder"), "no pictures in this folder"),
    "small": ({"sizes": (42, 20)}, ("--calibration", "photo.png"), "photo.png: 50x41 pixels, expected at least 20x42"),
    "narrow": ({"sizes": ("h", 51)}, ("--calibration", "photo.png"), "50x41 pixels, expected at least 51x40"),
    "black white": ({}, ("--peak", "0"), "--peak 0: expected above 0"),
    "not a peak": ({}, ("--peak", "nan"), "--peak nan: expected above 0"),
    "peak of arrays": ({"channels": 2}, ("--peak", "1"), "--peak 1: the model takes no pictures"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.usefixtures("rgb")
def test_refused_in_one_line(
    case: str, model: Callable[..., Path], tmp_path: Path, refused: Callable[[int, list[str]], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    varied, options, says = REFUSED[case]
    (tmp_path / "folder").mkdir()
    file = model(**varied)
    monkeypatch.chdir(tmp_path)
    assert says in refused(2, ["export", str(file), *options, "--out", str(tmp_path / "pkg")])


def test_smaller_pictures_are_refused_by_compare(
    rgb: NDArray[np.uint8], model: Callable[..., Path], tmp_path: Path, command: Command,
    refused: Callable[[int, list[str]], str],
) -> None:  # fmt: skip
    assert command("export", model(sizes=(20, 60)), "--out", tmp_path / "pkg").code == 0
    line = refused(2, ["compare", str(tmp_path / "pkg"), "--input", str(tmp_path / "photo.png")])
    assert f"{tmp_path / 'photo.png'}: 50x41 pixels, expected at least 60x20, the size of input x0" in line
    write_sample(tmp_path / "clip.y4m", 40, 48, 1, seed=1)
    line = refused(2, ["compare", str(tmp_path / "pkg"), "--input", str(tmp_path / "clip.y4m")])
    assert "clip.y4m: frame 0: 40x48 pixels" in line
    with pytest.raises(UsageError, match="at least 60x20"):
        write_examples(Package.open(tmp_path / "pkg"), tmp_path / "clip.y4m", tmp_path / "symbols")


def test_a_codec_has_no_peak(refused: Callable[[int, list[str]], str], tmp_path: Path) -> None:
    line = refused(2, ["export", "mbt2018-mean-relu-small", "--peak", "255", "--out", str(tmp_path / "pkg")])
    assert "--peak" in line and "of an ONNX decoder" in line
