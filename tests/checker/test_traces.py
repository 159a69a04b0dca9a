"""Traces: what they hold, what their merge says, and that nothing less than a whole one passes for one."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from nvc_check.checker.compare.live import compare
from nvc_check.checker.compare.merge import compare_traces
from nvc_check.checker.traces.file import DOCUMENT, TraceFile
from nvc_check.checker.traces.record import record
from nvc_check.checker.traces.schema import schema_text
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.digest import canonical_json, document_digest
from nvc_check.models.errors import BadArtifactError
from nvc_check.runtimes.leg import LegSpec, split_providers

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "trace.schema.json"
LEGS = ("exact", "torch", "cpu", "cpu:opt=off")
# all that the tool uses elsewhere; a machine that only records has none of it
NOT_NEEDED = ["torch", "torchvision", "compressai", "safetensors", "onnx_ir", "onnxscript", "av", "PIL", "skimage"]
NOT_NEEDED += ["matplotlib", "scipy", "openvino"]
HIDING = f"""
import sys
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_NEEDED}:
            raise ImportError(name + " is refused by this test")
sys.meta_path.insert(0, Refusal())
"""


@pytest.fixture(scope="module")
def traces(package: Package, symbols: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One trace with tensors per leg; `cpu without` has digests only."""
    folder = tmp_path_factory.mktemp("traces")
    made = {}
    with Symbols(symbols, package.manifest.digest) as read:
        for leg in (*LEGS, "cpu without"):
            made[leg] = folder / f"{leg}.trace"
            record(package, read, LegSpec.parse(leg.split()[0]), made[leg], tensors=leg in LEGS, label="a machine")
    return made


def document_of(file: Path) -> dict[str, Any]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return dict(json.loads(archive.read(DOCUMENT)))
    return dict(json.loads(file.read_text()))


def test_the_schema_file_is_up_to_date() -> None:
    """docs/trace.schema.json is what the code reads and writes."""
    expected = schema_text()
    assert SCHEMA_FILE.read_text() == expected, "python -m nvc_check.checker.traces.schema > docs/trace.schema.json"


def test_traces_keep_the_schema(traces: dict[str, Path]) -> None:
    """Each validates; with an entry more, one less, or of another type it does not."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    for file in traces.values():
        validator.validate(document_of(file))
    good = document_of(traces["cpu"])
    for wrong in (
        {**good, "more": 1},
        {key: value for key, value in good.items() if key != "schema"},
        {**good, "symbols": "not a digest"},
        {**good, "stored": "yes"},
    ):
        assert not validator.is_valid(wrong)


def test_what_a_trace_holds(traces: dict[str, Path], package: Package, symbols: Path) -> None:
    """Whose it is, on what it ran, and every frame's tensors as its digests say."""
    with TraceFile(traces["cpu"]) as opened, Symbols(symbols, package.manifest.digest) as read:
        trace = opened.trace
        assert (trace.package.digest, trace.symbols) == (package.manifest.digest, read.digest)
        assert [(frame.height, frame.width) for frame in trace.frames] == [(120, 200)] * 3
        assert (trace.leg.name, trace.leg.label, trace.leg.engine) == ("cpu", "a machine", "onnxruntime")
        expected = {"cpu", "machine", "cores", "flags", "os", "python", "numpy", "onnx", "opt", "threads", "flavour"}
        assert expected <= trace.leg.fingerprint.keys()
        assert set(trace.paths) == {"fp32", "int"}
        indexes = opened.read("int", 2, "indexes")
        assert indexes is not None and indexes.dtype == np.int32 and indexes.shape == (1, 96, 8, 16)
        frame = opened.read("fp32", 0, "frame")
        assert frame is not None and frame.dtype == np.float32 and frame.shape == (1, 3, 128, 256)
    with TraceFile(traces["cpu without"]) as without:
        assert without.read("int", 2, "indexes") is None
        assert {p: t.frames for p, t in without.trace.paths.items()} == {p: t.frames for p, t in trace.paths.items()}


def test_a_merge_says_what_a_live_comparison_says(traces: dict[str, Path], package: Package, symbols: Path) -> None:
    """All figures, of all frames, on both paths; FP32 legs differ, so that there is something to say."""
    with Symbols(symbols, package.manifest.digest) as read:
        live = compare(package, read, split_providers(",".join(LEGS)))
    merged = compare_traces([traces[leg] for leg in LEGS])
    renamed = [
        row.model_copy(update={name: getattr(row, name).removesuffix(" (a machine)") for name in ("leg", "reference")})
        for row in merged.results
    ]

    def order(row: Any) -> tuple[str, ...]:
        return row.path, row.leg, row.tensor

    assert sorted(renamed, key=order) == sorted(live.results, key=order)
    assert merged.verdict == live.verdict
    assert live.verdict.fp32 == "different"
    ours = {(leg.name.removesuffix(" (a machine)"), leg.path): leg for leg in merged.legs}
    for leg in live.legs:
        assert (ours[leg.name, leg.path].placement, ours[leg.name, leg.path].compared) == (leg.placement, leg.compared)


def test_digests_alone_say_that_it_differs(
    command: Callable[..., tuple[int, str, str]], traces: dict[str, Path]
) -> None:
    """Not by how much; the way to know is named. Where digests agree, nothing is missing."""
    report = compare_traces([traces["cpu:opt=off"], traces["cpu without"], traces["exact"]])
    rows = {(row.path, row.tensor): row for row in report.results if row.reference != "exact (a machine)"}
    means = rows["fp32", "means"]
    assert (means.frames_different, means.mismatched, means.max_abs, means.failure) == (3, None, None, "drift")
    assert means.values == 3 * 96 * 8 * 16
    assert (rows["int", "frame"].mismatched, rows["int", "frame"].max_abs) == (0, 0.0)
    code, out, _ = command("compare", traces["cpu:opt=off"], traces["cpu without"])
    assert code == 0
    assert "fp32: different on cpu (a machine); record with --tensors to see by how much" in out


def test_nothing_compared_is_not_identical(
    command: Callable[..., tuple[int, str, str]], traces: dict[str, Path]
) -> None:
    """Traces without a path in common, or a third that nothing is compared with: exit code 5."""
    code, out, _ = command("compare", traces["exact"], traces["torch"])
    assert code == 5 and "int: not compared" in out and "identical" not in out


def test_one_digit_of_a_tensor(traces: dict[str, Path], tmp_path: Path) -> None:
    """A stored tensor that is another than its digest says is refused as soon as it is read."""
    altered = tmp_path / "altered.trace"
    with zipfile.ZipFile(traces["cpu"]) as source, zipfile.ZipFile(altered, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "000001/fp32/means.npy":
                data = data[:-1] + bytes([data[-1] ^ 1])
            target.writestr(entry.filename, data)
    with TraceFile(altered) as opened, pytest.raises(BadArtifactError, match=r"000001/fp32/means.npy is not what its"):
        opened.read("fp32", 1, "means")
    with pytest.raises(BadArtifactError, match="record it again"):
        compare_traces([traces["torch"], altered])


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "frame dropped": (lambda trace: trace["paths"]["int"]["frames"].pop(), "path int has 2 frames, expected 3"),
    "count": (lambda t: t["paths"]["int"]["frames"][0]["means"].update(values=7), "7 values in a tensor of shape"),
    "says stored": (lambda trace: trace.update(stored=True), "says that it has tensors and has none"),
    "other path": (lambda trace: trace["paths"].update(int8=trace["paths"]["int"]), "Input should be 'fp32' or 'int'"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_forged_trace(case: str, traces: dict[str, Path], tmp_path: Path) -> None:
    """Also under a digest that fits, a document must agree with itself."""
    change, says = CHANGES[case]
    document = document_of(traces["cpu without"])
    change(document)
    document["digest"] = document_digest(document)
    (tmp_path / "forged.trace").write_text(canonical_json(document))
    with pytest.raises(BadArtifactError, match=says):
        TraceFile(tmp_path / "forged.trace")


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_cut_archive(kept: float, traces: dict[str, Path], tmp_path: Path) -> None:
    """Wherever it was cut, it is no trace: the document is its end."""
    data = traces["cpu"].read_bytes()
    (tmp_path / "cut.trace").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(BadArtifactError, match="not a whole trace"):
        TraceFile(tmp_path / "cut.trace")


def test_recording_needs_numpy_onnx_and_one_engine(
    package: Package, symbols: Path, traces: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And merging no more than that: in processes that refuse torch, compressai and all else; the trace is the same."""
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    nvc_check, out = Path(sys.executable).with_name("nvc-check"), tmp_path / "hidden.trace"

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([nvc_check, *map(str, words)], capture_output=True, text=True, check=False)

    refused = run(
        "record", package.root, "--symbols", symbols, "--provider", "torch", "--out", tmp_path / "torch.trace"
    )
    assert refused.returncode == 5 and "refused by this test" in refused.stderr
    done = run("record", package.root, "--symbols", symbols, "--provider", "cpu", "--out", out, "--tensors")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("compare", out, traces["cpu"], traces["exact"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "int: identical: 0 of" in done.stdout
    swept = ["--sweep", "AzureExecutionProvider", "--allow-fallback"]
    done = run("compare", package.root, "--symbols", symbols, *swept)
    assert (done.returncode, done.stderr) == (0, "")
    assert "int: no change with flavour" in done.stdout
