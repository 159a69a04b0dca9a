"""The command certify: packages, files, exit codes, what it prints; and how long a large graph takes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from exporter.graphs import clipped_convolution, graph
from onnx import TensorProto, helper, numpy_helper

from nvc_check.checker.certify import certify_package
from nvc_check.checker.cli.main import main
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.digest import canonical_json, document_digest


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def command(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["nvc-check", "certify", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return command


def altered(package: Package, folder: Path, change: Callable[[Path], None]) -> Path:
    """A copy of the package with a change that its manifest knows of."""
    copy = folder / "package"
    shutil.copytree(package.root, copy)
    change(copy)
    write_manifest(copy, package.manifest)
    return copy


def test_an_exact_package(run: Callable[..., Ran], package: Package) -> None:
    """The carrier flavour serves every target that was measured; the stored certificate is the one computed."""
    for target in ("any", "ort-cpu", "avx2", "webgpu", "openvino"):
        ran = run(package.root, "--target", target)
        assert (ran.code, ran.err) == (0, "")
        assert f"exact for {target}: int/entropy.carrier.onnx" in ran.out
        assert "stored certificate: agrees" in ran.out


def test_a_target_on_which_nobody_has_measured(run: Callable[..., Ran], package: Package) -> None:
    ran = run(package.root, "--target", "cuda")
    assert ran.code == 4
    assert "nobody has measured on this target yet" in ran.out and "exact in arithmetic for cuda" in ran.out
    assert run(package.root, "--target", "cuda", "--arithmetic").code == 0


def test_files_that_a_leg_would_load_are_in_the_manifest(
    run: Callable[..., Ran], package: Package, tmp_path: Path
) -> None:
    """Otherwise an empty certificate would be exact."""
    copy = tmp_path / "package"
    shutil.copytree(package.root, copy)
    write_manifest(copy, package.manifest)
    document = json.loads((copy / "manifest.json").read_text())
    document["files"] = {name: digest for name, digest in document["files"].items() if not name.startswith("int/")}
    document["digest"] = document_digest(document)
    (copy / "manifest.json").write_text(canonical_json(document))
    ran = run(copy)
    assert ran.code == 3 and "not in the manifest" in ran.err


def test_weights_in_another_file_are_refused(run: Callable[..., Ran], package: Package, tmp_path: Path) -> None:
    """No digest of the graph says anything of them."""

    def change(root: Path) -> None:
        file = root / "int/entropy.qdq.onnx"
        onnx.save(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)

    ran = run(altered(package, tmp_path, change))
    assert ran.code == 3 and "lie in another file" in ran.err


def test_the_json_report(run: Callable[..., Ran], package: Package, tmp_path: Path) -> None:
    ran = run(package.root, "--json", "-")
    document = json.loads(ran.out)
    assert (document["schema"], document["exact"], document["stored"]) == ("nvc-check/certificate/1", True, "agrees")
    qdq = document["graphs"]["int/entropy.qdq.onnx"]
    assert qdq["exact"] and qdq["targets"]["ort-cpu"] and not qdq["targets"]["cuda"]
    assert {"integer kernel", "float carrier"} <= {node["kernel"] for node in qdq["nodes"]}
    run(package.root, "--json", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == document


def test_ordinary_scales_end_in_4(run: Callable[..., Ran], inexact_package: Package) -> None:
    ran = run(inexact_package.root, "--target", "ort-cpu")
    assert ran.code == 4
    assert "scale is not a power of two" in ran.out and "not exact for ort-cpu" in ran.out


def test_a_certificate_that_was_edited_ends_in_3(run: Callable[..., Ran], package: Package, tmp_path: Path) -> None:
    def change(root: Path) -> None:
        document = json.loads((root / "certificate.json").read_text())
        document["int/entropy.qdq.onnx"]["nodes"][6]["bound"] = 1.0
        (root / "certificate.json").write_text(json.dumps(document))

    copy = altered(package, tmp_path, change)
    ran = run(copy)
    assert ran.code == 3
    assert "bound is 1.0, computed" in ran.out
    assert certify_package(Package.open(copy)).verdict("any") == "exact"  # the graphs themselves are


def test_a_graph_that_was_edited_ends_in_3(run: Callable[..., Ran], package: Package, tmp_path: Path) -> None:
    """Behind a manifest and a certificate of its own it would be 4: the bias breaks the bound."""

    def change(root: Path) -> None:
        model = onnx.load(root / "int/entropy.carrier.onnx")
        weight = next(i for i in model.graph.initializer if "weight" in i.name)
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.1), weight.name))
        onnx.save(model, root / "int/entropy.carrier.onnx")

    copy = altered(package, tmp_path, change)
    ran = run(copy)
    assert ran.code == 3
    assert "int/entropy.carrier.onnx: exact is True, computed False" in ran.out
    assert certify_package(Package.open(copy)).verdict("any") == "not exact"


@pytest.mark.parametrize(
    ("name", "content", "code", "expected"),
    [
        ("absent.onnx", None, 2, "not found"),
        ("text.onnx", b"no model", 3, "not a whole ONNX model"),
        ("empty.onnx", b"", 3, "without a graph"),
    ],
)
def test_files_that_are_no_model(
    run: Callable[..., Ran], tmp_path: Path, name: str, content: bytes | None, code: int, expected: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ran = run(tmp_path / name)
    assert ran.code == code and expected in ran.err


def test_an_unknown_target(run: Callable[..., Ran], package: Package) -> None:
    ran = run(package.root, "--target", "toaster")
    assert ran.code == 2 and "expected one of any, ort-cpu" in ran.err


def test_a_file_and_its_cures(run: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(clipped_convolution(np.ones((1, 1, 3, 3), np.float32), 9), file)
    assert run(file, "--target", "ort-cpu", "--arithmetic").code == 0
    assert run(file, "--target", "ort-cpu").code == 4  # nobody has measured a Conv behind a Clip in float
    ran = run(file, "--target", "cuda")
    assert ran.code == 4 and "Winograd" in ran.out and "unfold it" in ran.out


def test_float_inputs_are_refused_unless_quantized(run: Callable[..., Ran], tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"], "double")]
    two: dict[str, Any] = {"two": np.array(2, np.float32)}
    model = graph(nodes, two, {"x": (TensorProto.FLOAT, ["n", 3])}, ("y", TensorProto.FLOAT))
    onnx.save(model, tmp_path / "float.onnx")
    ran = run(tmp_path / "float.onnx")
    assert ran.code == 4 and "quantize the input" in " ".join(ran.out.split())
    first = helper.make_node("QuantizeLinear", ["x", "two", "z"], ["q"], "quantize")
    second = helper.make_node("DequantizeLinear", ["q", "two", "z"], ["y"], "dequantize")
    constants = {**two, "z": np.array(0, np.uint8)}
    model = graph([first, second], constants, {"x": (TensorProto.FLOAT, ["n", 3])}, ("y", TensorProto.FLOAT))
    assert certify(model).targets["any"]
    assert certify(model).conditions == ("float inputs hold no NaN",)


def chain(layers: int) -> onnx.ModelProto:
    """4 nodes a layer: a convolution of 16 channels, rounded and clipped."""
    rng = np.random.default_rng(0)
    nodes, constants, name = [], {}, "c"
    for layer in range(layers):
        constants[f"w{layer}"] = rng.integers(-7, 8, (16, 16, 3, 3)).astype(np.float32)
        nodes += [
            helper.make_node("Conv", [name, f"w{layer}"], [f"a{layer}"], pads=[1, 1, 1, 1]),
            helper.make_node("Mul", [f"a{layer}", "scale"], [f"b{layer}"]),
            helper.make_node("Floor", [f"b{layer}"], [f"d{layer}"]),
            helper.make_node("Clip", [f"d{layer}", "low", "high"], [f"e{layer}"]),
        ]
        name = f"e{layer}"
    first = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)]
    first.append(helper.make_node("Clip", ["f", "low", "high"], ["c"]))
    nodes.append(helper.make_node("Identity", [name], ["y"]))
    constants |= {key: np.array(v, np.float32) for key, v in (("scale", 2.0**-8), ("low", -128), ("high", 127))}
    return graph([*first, *nodes], constants, {"x": (TensorProto.INT32, [1, 16, "h", "w"])}, ("y", TensorProto.FLOAT))


def test_work_grows_with_the_number_of_nodes() -> None:
    """Calls of functions, which no other load on the machine changes."""
    calls = []
    for layers in (60, 240):
        model, counted = chain(layers), [0]

        def count(_frame: Any, event: str, _argument: Any, counted: list[int] = counted) -> None:
            counted[0] += event == "call"

        sys.setprofile(count)
        try:
            certificate = certify(model)
        finally:
            sys.setprofile(None)
        calls.append(counted[0])
        assert certificate.exact and len(certificate.nodes) == 4 * layers + 3
    assert calls[1] < 8 * calls[0]
