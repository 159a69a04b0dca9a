"""Legs that cannot start or fail: exit codes 5 and 6, one line, and the other legs' results stand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.media.sample import render_sample
from nvc_check.models.artifacts.package import Package, write_manifest


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without OpenVINO and without a GPU, as the legs' processes see it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "__init__.py").write_text("raise ImportError('hidden by this test')\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("NVC_CHECK_HOME", str(folder))


@pytest.mark.usefixtures("bare")
def test_unavailable_legs_do_not_hide_the_others(
    command: Callable[..., tuple[int, str, str]], package: Package, symbols: Path
) -> None:
    """Exit code 5 with the reasons; with `--json -` the report alone is on standard output."""
    legs = "openvino,cpu,cuda"
    code, out, err = command("compare", package.root, "--symbols", symbols, "--providers", legs, "--json", "-")
    report = json.loads(out)
    assert (code, err, report["schema"]) == (5, "", "nvc-check/report/1")
    rows = {leg["name"]: leg for leg in report["legs"] if leg["path"] == "int"}
    assert {name: leg["status"] for name, leg in rows.items()} == {
        "exact": "ok",
        "openvino": "unavailable",
        "cpu": "ok",
        "cuda": "unavailable",
    }
    assert (
        "openvino is not installed (hidden by this test); pip install 'nvc-check[openvino]'"
        in rows["openvino"]["reason"]
    )
    assert rows["cuda"]["reason"].startswith("cuda: ")
    assert report["verdict"]["int"] == "identical"
    counted = {(row["path"], row["tensor"]) for row in report["results"] if row["leg"] == "cpu" and row["frames"] == 3}
    assert counted == {(path, tensor) for path in ("fp32", "int") for tensor in ("indexes", "means", "frame")} - {
        ("int", "frame")  # at scope hyperprior there is no other leg to compare it with
    }


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("leg", "says"),
    [("openvino", "pip install 'nvc-check[openvino]'"), ("cuda", "CUDA"), ("cuda:tf32=off", "CUDA")],
)
def test_a_trace_of_an_unavailable_leg(
    leg: str, says: str, refused: Callable[[int, list[str]], str], package: Package, symbols: Path, tmp_path: Path
) -> None:
    """Exit code 5, the leg's name, the reason, and no file."""
    spelled = ["record", package.root, "--symbols", symbols, "--provider", leg, "--out", tmp_path / "trace.json"]
    line = refused(5, [str(word) for word in spelled])
    assert line.startswith(f"nvc-check: {leg}: ") and says in line


@pytest.fixture(scope="module")
def cut_graphs(package: Package, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Path -> a package with half an ONNX file of it under correct digests, and symbols made while it was whole."""
    made = {}
    for path, name in (("fp32", "fp32/entropy.onnx"), ("int", "int/entropy.qdq.onnx")):
        folder = tmp_path_factory.mktemp("cut")
        root, file = shutil.copytree(package.root, folder / "package"), folder / "symbols.npz"
        graph = root / name
        whole = graph.read_bytes()
        graph.write_bytes(whole[: len(whole) // 2])
        cut = write_manifest(root, package.manifest)
        graph.write_bytes(whole)
        frames = (("frame 0", rgb) for rgb in render_sample(64, 64, 1, seed=1))
        write_symbols(Package(root, cut), frames, {"source": "sample"}, file)
        graph.write_bytes(whole[: len(whole) // 2])
        made[path] = root, file
    return made


@pytest.mark.parametrize(
    ("path", "verb", "code"),
    [
        ("fp32", "cpu", 6),
        ("fp32", "openvino", 6),
        ("int", "symbols", 6),
        ("int", "exact", 3),  # the certificate is computed from the integer graphs before a leg starts
    ],
)
def test_a_graph_that_no_engine_reads(
    path: str,
    verb: str,
    code: int,
    refused: Callable[[int, list[str]], str],
    cut_graphs: dict[str, tuple[Path, Path]],
    clip: Path,
    tmp_path: Path,
) -> None:
    """The digests fit, so the package opens; the leg, or the encoder, fails, and the graph is named."""
    root, file = cut_graphs[path]
    spelled = ["record", root, "--symbols", file, "--provider", verb, "--out", tmp_path / "trace.json"]
    if verb == "symbols":
        spelled = ["symbols", root, "--input", clip, "--out", tmp_path / "symbols.npz"]
    line = refused(code, [str(word) for word in spelled])
    assert ("entropy.onnx" if path == "fp32" else "entropy.qdq.onnx") in line
