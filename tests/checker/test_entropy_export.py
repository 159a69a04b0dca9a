"""A hyper-decoder of one's own, as ONNX: int32 indexes of entropy tables, the same on every leg."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporter.onnx_files import node, weights
from onnx import TensorProto, helper, numpy_helper

from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.artifacts.tables import indexes_from_scales, scale_table
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session

SIDES = (6, 7)
Command = Callable[..., tuple[int, str, str]]
Refused = Callable[[int, list[str]], str]


def hyper_decoder() -> onnx.ModelProto:
    """z (1, 4, h, w) -> scales and means (1, 5, 2h, 2w)."""
    constants = {
        "w": weights(4, 8, 4, 4, size=0.4),
        "b": weights(8, seed=2),
        "v": weights(10, 8, 3, 3, seed=1),
        "half": np.array([5, 5], np.int64),
        "least": np.array(0.02, np.float32),
    }
    nodes = [
        node("ConvTranspose", ["z", "w", "b"], ["c"], "first", strides=[2, 2], pads=[1] * 4),
        node("LeakyRelu", ["c"], ["l"], alpha=0.01),
        node("Conv", ["l", "v"], ["g"], "last", pads=[1] * 4),
        node("Split", ["g", "half"], ["s", "mu"], axis=1),
        node("Relu", ["s"], ["r"]),
        node("Add", ["r", "least"], ["sigma"]),
    ]
    graph = helper.make_graph(
        nodes,
        "hyper_decoder",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("sigma", "mu")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def symbols(seed: int) -> dict[str, np.ndarray]:
    return {"z": np.rint(np.random.default_rng(seed).laplace(0, 3, (1, 4, *SIDES))).astype(np.float32)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """entropy.onnx, calibration/, test.npz."""
    folder = tmp_path_factory.mktemp("entropy")
    onnx.save(hyper_decoder(), folder / "entropy.onnx")
    (folder / "calibration").mkdir()
    for seed in range(4):
        np.savez(folder / "calibration" / f"{seed}.npz", **symbols(seed))
    np.savez(folder / "test.npz", **symbols(9))
    return folder


def words(files: Path, out: Path, *more: str) -> list[str]:
    options = ["--scales", "sigma", "--calibration", str(files / "calibration"), "--out", str(out)]
    return ["export", str(files / "entropy.onnx"), *options, *more]


def compared(command: Command, package: Path, files: Path) -> tuple[int, dict[str, Any]]:
    legs = "exact,cpu,cpu:opt=off,cpu:flavour=carrier,openvino"
    code, out, err = command("compare", package, "--input", files / "test.npz", "--providers", legs, "--json", "-")
    assert err == ""
    return code, json.loads(out)


def test_scales_leave_as_indexes(command: Command, files: Path, tmp_path: Path) -> None:
    code, out, _ = command(*words(files, tmp_path / "package", "--means", "mu"))
    assert code == 0 and "gives indexes: int32 (1, 5, h, w)" in out and "gives mu: int32" in out
    manifest = Package.open(tmp_path / "package").manifest
    assert manifest.scales == "sigma"
    assert np.array_equal(np.asarray(manifest.thresholds, np.float32), scale_table()[:-1])
    code, report = compared(command, tmp_path / "package", files)
    assert (code, report["verdict"]["int"]) == (0, "identical")
    values = 5 * 4 * SIDES[0] * SIDES[1]
    rows = {(row["path"], row["tensor"]): row["values"] for row in report["results"]}
    for path in ("fp32", "int"):
        assert rows[path, "output/indexes"] == rows[path, "output/mu"] == values
    (noise,) = (row["snr_db"] for row in report["fidelity"] if row["tensor"] == "output/indexes")
    assert noise > 20


def test_they_are_what_the_thresholds_say(command: Command, files: Path, tmp_path: Path) -> None:
    """Nearly always those of FP32; of a table of one's own."""
    table = np.array([0.02, 0.5, 1, 2, 4])
    np.savetxt(tmp_path / "table.txt", table)
    more = ["--table", str(tmp_path / "table.txt"), "--precision", "w16a16"]
    assert command(*words(files, tmp_path / "package", *more))[0] == 0
    package = Package.open(tmp_path / "package")
    assert package.manifest.outputs["indexes"].high == len(table) - 1
    given = symbols(9)["z"]
    run = {
        path: session(package.graph(path, "decoder"), session_options({}), ["CPUExecutionProvider"])
        for path in ("fp32", "int")
    }
    expected = indexes_from_scales(run["fp32"]({"z": given})["sigma"], table[:-1].astype(np.float32))
    found = run["int"]({"z": given.astype(np.int32)})["indexes"]
    assert found.dtype == np.int32 and len(np.unique(expected)) == len(table)
    assert (found == expected).mean() > 0.98


def test_an_index_that_flips_is_called_so(command: Command, files: Path, tmp_path: Path) -> None:
    """One flavour's table of indexes altered, with new digests."""
    assert command(*words(files, tmp_path / "package"))[0] == 0
    root = shutil.copytree(tmp_path / "package", tmp_path / "altered")
    file = root / "int" / "decoder.carrier.onnx"
    model = onnx.load(file)
    (table,) = (item for item in model.graph.initializer if item.name == "index_of_scale")
    more = np.minimum(numpy_helper.to_array(table) + 1, 63).astype(np.int32)
    table.CopyFrom(numpy_helper.from_array(more, table.name))
    onnx.save(model, file)
    write_manifest(root, Package.open(tmp_path / "package").manifest)
    code, report = compared(command, root, files)
    rows = [row for row in report["results"] if row["path"] == "int" and row["mismatched"]]
    wrong = {(row["leg"], row["tensor"]): row["failure"] for row in rows}
    assert (code, wrong) == (1, {("cpu:flavour=carrier", "output/indexes"): "index flip"})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--scales", "scales"], "--scales scales: no such output; the model has sigma, mu"),
        (["--means", "means"], "--means means: no such output"),
        (["--means", "sigma"], "the same output as --scales"),
        (["--table", "none.txt"], "--table none.txt: not read"),
        (["--table", "down.txt"], "3 numbers, expected 2 to 4096, above 0 and ascending"),
        (["--table", "zero.npy"], "above 0 and ascending"),
        (["--table", "words.txt"], "not read"),
    ],
)
def test_bad_roles(
    refused: Refused, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("down.txt").write_text("1\n3\n2\n")
    Path("words.txt").write_text("one\ntwo\n")
    np.save("zero.npy", np.array([0.0, 1, 2]))
    assert says in refused(2, words(files, tmp_path / "package", *more))
    assert not (tmp_path / "package").exists()


def test_roles_are_of_hyper_decoders(refused: Refused, files: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "package")
    file = str(files / "entropy.onnx")
    assert "without --scales" in refused(2, ["export", file, "--means", "mu", "--out", out])
    assert "of an ONNX decoder" in refused(2, ["export", "ssf-small", "--scales", "s", "--out", out])
