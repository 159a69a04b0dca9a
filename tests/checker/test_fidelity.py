"""What a comparison says of fidelity: legs that agree on nonsense are identical, and the report says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.coding.examples import write_examples
from nvc_check.checker.compare.live import compare
from nvc_check.checker.media.sample import render_sample
from nvc_check.checker.traces.fidelity import clipped_rows
from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.artifacts.symbols import PATHS, FrameInfo, Symbols, SymbolsWriter
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.leg import split_providers

Command = Callable[..., Any]
LEGS = "cpu,cpu:opt=off"


def model(int32: bool) -> onnx.ModelProto:
    """x (1, 3, h, w) float32 and q (1, 3, h, w), int32 where asked, -> their sum through two convolutions."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.2, shape).astype(np.float32) for shape in ((8, 3, 3, 3), (2, 8, 3, 3))]
    kind = TensorProto.INT32 if int32 else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["q"], ["whole"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "whole"], ["sum"], "sum"),
        helper.make_node("Conv", ["sum", "w0"], ["c0"], "first", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c0"], ["r0"], "relu"),
        helper.make_node("Conv", ["r0", "w1"], ["y"], "last", kernel_shape=[3, 3], pads=[1] * 4),
    ]
    graph = helper.make_graph(
        nodes if int32 else [helper.make_node("Identity", ["q"], ["whole"], "cast"), *nodes[1:]],
        "decoder",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"]),
            helper.make_tensor_value_info("q", kind, [1, 3, "h", "w"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, "h", "w"])],
        [numpy_helper.from_array(weight, f"w{number}") for number, weight in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def example(seed: int, spread: float) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    whole = np.rint(rng.laplace(0, 3 * spread, (1, 3, 12, 9))).astype(np.float32)
    return {"x": rng.normal(0, spread, (1, 3, 12, 9)).astype(np.float32), "q": whole}


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "int32"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """decoder.onnx; calibration/*.npz of small values; large.npz of values twenty times as large."""
    folder = tmp_path_factory.mktemp("fidelity")
    onnx.save(model(request.param), folder / "decoder.onnx")
    (folder / "calibration").mkdir()
    for seed in range(3):
        np.savez(folder / "calibration" / f"{seed}.npz", **example(seed, 1))
    np.savez(folder / "large.npz", **example(7, 20))
    return folder


@pytest.fixture
def exported(folder: Path, tmp_path: Path, command: Command) -> Package:
    out = tmp_path / "package"
    arguments = ("export", folder / "decoder.onnx", "--calibration", folder / "calibration", "--out", out)
    assert command(*arguments).code == 0
    return Package.open(out)


def calibrated_to(package: Package, decibels: dict[str, float]) -> Package:
    """The package with another `fidelity` in its manifest."""
    write_manifest(package.root, replace(package.manifest, fidelity=decibels))
    return Package.open(package.root)


def by_hand(package: Package, given: Path) -> tuple[float, dict[str, tuple[int, int]]]:
    """(dB of output y, input -> (values, clipped)): by ONNX Runtime on both graphs and NumPy."""
    arrays = dict(np.load(given))
    steps, counts = {}, {}
    for name, grid in package.manifest.inputs.items():
        on_grid = np.rint(arrays[name] / 2.0**grid.exponent)
        steps[name] = np.clip(on_grid, grid.low, grid.high).astype(np.int32)
        counts[name] = (on_grid.size, int((on_grid != steps[name]).sum()))
    cast = {name: arrays[name].astype(grid.dtype) for name, grid in package.manifest.inputs.items()}
    real, integers = (
        np.asarray(onnxruntime.InferenceSession(package.graph(path, "decoder")).run(["y"], inputs)[0], np.float64)
        for path, inputs in (("fp32", cast), ("int", steps))
    )
    error = integers * 2.0 ** package.manifest.outputs["y"].exponent - real
    return float(10 * np.log10(real.var() / np.mean(error**2))), counts


def compared(command: Command, package: Package, given: Path, file: Path) -> tuple[dict[str, Any], str]:
    """(JSON report, table) of a comparison that ends with 0: fidelity is no verdict."""
    ran = command("compare", package.root, "--input", given, "--providers", LEGS, "--json", file)
    assert (ran.code, ran.err) == (0, ""), ran.out
    return json.loads(file.read_text()), ran.out


def test_large_values_on_a_grid_of_small_ones(
    folder: Path, exported: Package, tmp_path: Path, command: Command
) -> None:
    """Identical, and a warning for each input and the output; FP32 saw what was given, not what was clipped."""
    package = calibrated_to(exported, {"y": 35.0})
    report, table = compared(command, package, folder / "large.npz", tmp_path / "report.json")
    expected, counts = by_hand(package, folder / "large.npz")
    assert report["verdict"]["int"] == "identical"
    (row,) = report["fidelity"]
    assert row["snr_db"] == pytest.approx(expected, abs=1e-3) and expected < 10
    assert {key: row[key] for key in ("tensor", "leg", "reference", "values", "calibration_db")} == {
        "tensor": "output/y", "leg": "exact", "reference": "cpu", "values": 2 * 12 * 9, "calibration_db": 35.0,
    }  # fmt: skip
    assert {entry["input"]: (entry["values"], entry["clipped"]) for entry in report["clipped"]} == counts
    warned = [line.split(":")[0] for line in report["warnings"]]
    assert "y" in warned and "x" in warned and counts["x"][1] > 0.5 * counts["x"][0]
    flat = " ".join(table.split())
    assert all(f"! {' '.join(line.split())}" in flat for line in report["warnings"])
    assert f"{expected:.1f} 35.0" in flat and "Fidelity" in flat


def test_the_calibration_itself(folder: Path, exported: Package, tmp_path: Path, command: Command) -> None:
    """Nothing is clipped, and no line warns, with the package's own figure or without one."""
    report, table = compared(command, exported, folder / "calibration", tmp_path / "report.json")
    (row,) = report["fidelity"]
    assert row["snr_db"] > 25 and report["warnings"] == [] and "\n! " not in table
    assert [entry["clipped"] for entry in report["clipped"]] == [0, 0]
    assert all(entry["values"] == 3 * 3 * 12 * 9 for entry in report["clipped"])
    near = calibrated_to(exported, {"y": row["snr_db"] + 2.9})
    assert compared(command, near, folder / "calibration", tmp_path / "near.json")[0]["warnings"] == []
    far = calibrated_to(exported, {"y": row["snr_db"] + 3.1})
    (line,) = compared(command, far, folder / "calibration", tmp_path / "far.json")[0]["warnings"]
    assert line.startswith("y: signal to noise against FP32 is ")


def test_a_merge_of_traces_says_the_same(folder: Path, exported: Package, tmp_path: Path, command: Command) -> None:
    """Recorded with digests alone: counts come with the symbols, sums with a leg that has both paths."""
    package = calibrated_to(exported, {"y": 35.0})
    live, _ = compared(command, package, folder / "large.npz", tmp_path / "live.json")
    assert command("symbols", package.root, "--input", folder / "large.npz", "--out", tmp_path / "symbols").code == 0
    for leg in ("exact", "cpu", "cpu:opt=off"):
        words = ("record", package.root, "--symbols", tmp_path / "symbols", "--provider", leg)
        assert command(*words, "--out", tmp_path / f"{leg}.trace").code == 0
    merged = tmp_path / "merged.json"
    assert command("compare", tmp_path / "exact.trace", tmp_path / "cpu.trace", "--json", merged).code == 0
    report = json.loads(merged.read_text())
    assert (report["clipped"], report["warnings"]) == (live["clipped"], live["warnings"])
    (row,), (expected,) = report["fidelity"], live["fidelity"]
    assert (row["leg"], row["reference"]) == ("cpu", "cpu")
    assert row == {**expected, "leg": "cpu", "snr_db": row["snr_db"]}
    assert row["snr_db"] == pytest.approx(expected["snr_db"], abs=1e-9)


def test_each_path_gets_its_own_input(folder: Path, exported: Package, tmp_path: Path) -> None:
    """FP32 what was given, of any size; integers the nearest step of the grid, at its end on the right side."""
    arrays = example(1, 5)
    arrays["x"][0, 0, 0, :3] = 3e38, -1e30, 1 / 3
    np.savez(tmp_path / "given.npz", **arrays)
    write_examples(exported, tmp_path / "given.npz", tmp_path / "symbols")
    grids = exported.manifest.inputs
    with Symbols(tmp_path / "symbols", exported.manifest.digest) as symbols:
        given, steps = (symbols.read(0, path) for path in PATHS)
        assert clipped_rows(symbols.frames)[0].input in grids
    for name, array in arrays.items():
        assert given[name].dtype == grids[name].dtype and steps[name].dtype == np.int32
        np.testing.assert_array_equal(given[name], array)
    third = round(1 / 3 / 2.0 ** grids["x"].exponent)
    assert steps["x"][0, 0, 0, :3].tolist() == [grids["x"].high, grids["x"].low, third]


BAD = {
    "doubles": ("x", np.full((1, 3, 4, 4), 1e39), r"given.npz: x reaches 1e\+39, expected values that float32 holds"),
    "whole": ("q", np.full((1, 3, 4, 4), 2.0**31), r"given.npz: q reaches 2.15e\+09, expected values that int32 holds"),
    "empty": ("x", np.zeros((1, 3, 0, 4)), r"given.npz: x is \(1, 3, 0, 4\), expected \(1, 3, height, width\)"),
}


@pytest.mark.parametrize(
    ("shape", "fits"), [((1, 3, 4, 5), True), ((1, 3, 4, None), True), ((1, 3, 4, 6), False), ((1, 3), False)]
)
def test_a_size_that_the_decoder_is_fixed_to(
    shape: tuple[int | None, ...], fits: bool, folder: Path, exported: Package, tmp_path: Path
) -> None:
    """The manifest's shape of an input is the only one that is taken; what is missing in it goes in any size."""
    grids = {name: replace(grid, shape=shape) for name, grid in exported.manifest.inputs.items()}
    package = Package(exported.root, replace(exported.manifest, inputs=grids))
    np.savez(tmp_path / "given.npz", **{name: np.ones((1, 3, 4, 5), np.float32) for name in grids})
    if fits:
        write_examples(package, tmp_path / "given.npz", tmp_path / "symbols")
        return
    said = {6: r"expected \(1, 3, 4, 6\)", 3: r"expected \(1, 3\)"}
    with pytest.raises(UsageError, match=r"is \(1, 3, 4, 5\), " + said[shape[-1] or 0]):
        write_examples(package, tmp_path / "given.npz", tmp_path / "symbols")


@pytest.mark.parametrize("case", BAD)
def test_what_no_path_can_take(case: str, folder: Path, exported: Package, tmp_path: Path) -> None:
    """Values beyond the float graph's own type are refused, and so are inputs without values."""
    name, array, says = BAD[case]
    np.savez(tmp_path / "given.npz", **{**example(1, 1), name: array})
    if case == "whole" and exported.manifest.inputs["q"].dtype == "float32":
        says = "."  # which float32 holds
        write_examples(exported, tmp_path / "given.npz", tmp_path / "symbols")
        return
    with pytest.raises(UsageError, match=says):
        write_examples(exported, tmp_path / "given.npz", tmp_path / "symbols")
    assert not (tmp_path / "symbols").exists()


def test_steps_are_no_values(folder: Path, exported: Package, tmp_path: Path, command: Command) -> None:
    """Symbols that give the FP32 path steps, as an engine that casts would accept: the leg fails."""
    steps = {name: np.ones((1, 3, 4, 4), np.int32) for name in exported.manifest.inputs}
    writer = SymbolsWriter(tmp_path / "symbols", exported.manifest.digest, {"source": "steps"})
    writer.add(FrameInfo("steps", 4, 4, {}, {}), dict.fromkeys(PATHS, steps))
    writer.finish()
    ran = command("compare", exported.root, "--symbols", tmp_path / "symbols")
    assert ran.code == 6 and "is int32, expected float32" in ran.out and "identical" not in ran.out


def test_a_codec_s_symbols(package: Package, symbols: Path, tmp_path: Path) -> None:
    """Pictures clip next to nothing; with ranges too narrow for them the encoder counts what it clamps."""
    with Symbols(symbols, package.manifest.digest) as read:
        report = compare(package, read, split_providers("exact,cpu"))
    (row,) = report.clipped
    assert (row.input, row.clipped, report.warnings, report.fidelity) == ("image.z", 0, [], [])
    part = replace(package.manifest.parts["image"], z_min=-1, z_max=0, y_min=0, y_max=2)
    narrow = Package(package.root, replace(package.manifest, parts={"image": part}))
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(200, 120, 2, seed=1)))
    write_symbols(narrow, frames, {"source": "sample"}, tmp_path / "narrow.npz")
    with Symbols(tmp_path / "narrow.npz", package.manifest.digest) as read:
        report = compare(package, read, split_providers("exact,cpu"))
        for number in range(2):
            found = read.read(number, "int")
            assert found["image.z"].min() == -1 and found["image.y"].max() == 2
    assert {row.input: row.values for row in report.clipped} == {
        "image.z": 2 * part.z_channels * 2 * 4,
        "image.y": 2 * part.y_channels * 8 * 16,
    }
    assert all(0.01 * row.values < row.clipped < row.values for row in report.clipped)
    assert {line.split(":")[0] for line in report.warnings} >= {"image.z", "image.y"}
    assert json.loads(report.to_json())["warnings"] == report.warnings
