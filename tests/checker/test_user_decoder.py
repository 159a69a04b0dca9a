"""`export MODEL.onnx`, and what can be done with its package: compare, record, symbols, certify."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from property.random_decoders import RandomDecoder

from nvc_check.models.artifacts.package import Package

SEED = 4  # two inputs, layers, a sum and a pixel shuffle
LEGS = "cpu,cpu:opt=off,cpu:flavour=carrier,openvino,reference"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.onnx, calibration/*.npz, given.npz with inputs of another size."""
    folder = tmp_path_factory.mktemp("user")
    decoder = RandomDecoder(SEED)
    onnx.save(decoder.model, folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    (folder / "calibration").mkdir()
    for number, example in enumerate(decoder.examples):
        np.savez(folder / "calibration" / f"{number}.npz", **example)
    rng = np.random.default_rng(5)
    given = {name: rng.laplace(0, 30, (1, width, 21, 34)).astype(np.float32) for name, width in decoder.inputs.items()}
    np.savez(folder / "given.npz", **given)
    return folder


@pytest.fixture
def exported(folder: Path, tmp_path: Path, command: Command) -> Path:
    out = tmp_path / "package"
    code, printed, err = command("export", folder / "model.onnx", "--calibration", folder / "calibration", "--out", out)
    assert (code, err) == (0, ""), err
    assert "exact" in printed and "signal to noise against float" in printed
    return out


def test_every_leg_gives_the_same_bits(folder: Path, exported: Path, tmp_path: Path, command: Command) -> None:
    package = Package.open(exported)
    assert package.manifest.kind == "graph"
    assert not [name for name in package.manifest.files if name.endswith(".data")]  # weights are inside
    assert command("certify", exported)[0] == 0
    code, out, _ = command(
        "compare", exported, "--input", folder / "given.npz", "--providers", LEGS, "--json", tmp_path / "report.json"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert (code, report["verdict"]) == (0, {"fp32": "different", "int": "identical"}), out
    names = {f"output/{name}" for name in package.manifest.outputs}
    assert {row["tensor"] for row in report["results"]} == names
    assert {row["reference"] for row in report["results"] if row["path"] == "int"} == {"exact"}
    assert all(leg["compared"] for leg in report["legs"]) and report["rate"] == []


def test_an_output_that_differs_decides(folder: Path, exported: Path, tmp_path: Path, command: Command) -> None:
    """Traces of the integer path whose tensors are not the same: exit 1."""
    assert command("symbols", exported, "--input", folder / "given.npz", "--out", tmp_path / "symbols")[0] == 0
    for leg in ("cpu", "openvino"):
        recorded = ("record", exported, "--symbols", tmp_path / "symbols", "--provider", leg)
        assert command(*recorded, "--tensors", "--out", tmp_path / f"{leg}.trace")[0] == 0
    assert command("compare", tmp_path / "cpu.trace", tmp_path / "openvino.trace")[0] == 0
    # another model of the same name and grids: its outputs are other integers
    (tmp_path / "other").mkdir()
    shutil.copytree(folder / "calibration", tmp_path / "calibration")
    model = onnx.load(folder / "model.onnx")
    weight = next(item for item in model.graph.initializer if len(item.dims) == 4)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    onnx.save(model, tmp_path / "other" / "model.onnx")
    package = tmp_path / "other" / "package"
    exports = ("export", tmp_path / "other" / "model.onnx", "--calibration", tmp_path / "calibration")
    assert command(*exports, "--out", package)[0] == 0
    assert command("symbols", package, "--input", folder / "given.npz", "--out", tmp_path / "others")[0] == 0
    others = ("record", package, "--symbols", tmp_path / "others", "--provider", "cpu", "--tensors")
    assert command(*others, "--out", tmp_path / "other.trace")[0] == 0
    code, out, _ = command("compare", tmp_path / "cpu.trace", tmp_path / "other.trace", "--across-packages")
    assert code == 1 and "int: different" in out


BAD = {
    "no calibration": (("export", "{model}", "--out", "{out}"), "--calibration: missing"),
    "inexact": (
        ("export", "{model}", "--calibration", "{cal}", "--allow-inexact", "--out", "{out}"),
        "--allow-inexact: for codecs",
    ),
    "other inputs": (("export", "{model}", "--calibration", "{other}", "--out", "{out}"), "name the arrays as the"),
    "empty folder": (("export", "{model}", "--calibration", "{empty}", "--out", "{out}"), "no .npz files"),
    "no model": (("export", "{empty}/none.onnx", "--calibration", "{cal}", "--out", "{out}"), "not found, expected an"),
    "no ONNX": (("export", "{wrong}", "--calibration", "{cal}", "--out", "{out}"), "not a whole ONNX model"),
    "doubles": (("export", "{double}", "--calibration", "{cal}", "--out", "{out}"), "expected FLOAT or INT32"),
    "no input": (("compare", "{package}"), "--input: missing"),
    "a picture": (("compare", "{package}", "--input", "{wrong}"), "not a .npz file"),
    "maps": (("compare", "{package}", "--input", "{given}", "--out", "{out}"), "--out: residual maps are of pictures"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case: str, folder: Path, exported: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.onnx").write_text("no model")
    np.savez(tmp_path / "other.npz", other=np.zeros((1, 2, 3, 3), np.float32))
    value = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [1, 2, None, None])
    result = helper.make_tensor_value_info("y", TensorProto.DOUBLE, [1, 2, None, None])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "doubles", [value], [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "double.onnx")
    places = {
        "model": folder / "model.onnx", "cal": folder / "calibration", "other": tmp_path / "other.npz",
        "empty": tmp_path / "empty", "wrong": tmp_path / "wrong.onnx", "double": tmp_path / "double.onnx",
        "package": exported, "given": folder / "given.npz", "out": tmp_path / "new",
    }  # fmt: skip
    arguments, says = BAD[case]
    code, out, err = command(*(argument.format(**places) for argument in arguments))
    expected = 4 if case == "doubles" else 2  # a whole model without exact form is refused, as by any operator
    assert (code, out) == (expected, "") and says in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_torch_has_no_such_model(folder: Path, exported: Path, command: Command) -> None:
    code, out, _ = command("compare", exported, "--input", folder / "given.npz", "--providers", "torch,cpu")
    assert code == 5 and "torch: runs torch codecs" in out
