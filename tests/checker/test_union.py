"""Compared is the union of what both sides give: "identical" is said of no less, and of no leg against itself."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checker.third_party import install_engines
from rich.console import Console

from nvc_check.checker.compare.live import compare
from nvc_check.checker.compare.merge import compare_traces
from nvc_check.checker.report import Report
from nvc_check.checker.traces.record import record
from nvc_check.checker.views.drift_plot import write_drift_plot
from nvc_check.checker.views.table import print_report
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.digest import canonical_json, document_digest, tensor_digest
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.leg import LegSpec, split_providers

ENGINE = """
import numpy as np
import onnxruntime
from nvc_check.runtimes.leg import EngineInfo

def open_engine(spec, package):
    return Engine()

class Engine:
    paths, flavour = ("int",), "carrier"
    info = EngineInfo("forgetful", "1.0", "cpu", {})

    def load(self, model, graph):
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        calls = []

        def run(inputs):
            calls.append(1)
            outputs = dict(zip(names, session.run(None, inputs)))
            CHANGE
            return outputs

        return run
"""
CHANGES = {
    "forgets": 'outputs.pop("means", None)',
    "forgets_later": 'if len(calls) > 1: outputs.pop("means", None)',
    "cuts": 'outputs["means"] = outputs["means"][..., :-1]',
    "wraps": 'outputs["indexes"] = outputs["indexes"].astype(np.int64) + 2**32 if "indexes" in outputs else None',
    "faithful": "",
}


@pytest.fixture
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with an engine for each of CHANGES, found by its entry points."""
    install_engines(
        tmp_path / "site",
        {name: ENGINE.replace("CHANGE", change or "pass") for name, change in CHANGES.items()},
        monkeypatch,
    )


def rows_of(report: Report | dict[str, Any], leg: str) -> dict[str, tuple[int, str]]:
    found = report if isinstance(report, dict) else report.model_dump()
    rows = [row for row in found["results"] if row["leg"] == leg and row["path"] == "int"]
    return {row["tensor"]: (row["frames_different"], row["failure"]) for row in rows}


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("order", ["cpu,{}", "{},cpu"])
def test_an_engine_that_leaves_a_tensor_out(
    command: Callable[..., Any], package: Package, symbols: Path, order: str
) -> None:
    """Wherever it stands among the legs, and whether it leaves it out always or once."""
    legs = order.format(",".join(CHANGES))
    ran = command("compare", package.root, "--symbols", symbols, "--providers", legs, "--json", "-")
    report = json.loads(ran.out)
    assert (ran.code, report["verdict"]["int"]) == (1, "different")
    found = {name: rows_of(report, name) for name in (*CHANGES, "cpu")}
    assert found.pop("wraps") == {"indexes": (3, "index flip"), "means": (0, "")}  # 2^32 + n is not n
    assert all(rows["indexes"] == (0, "") for rows in found.values())
    assert {name: rows["means"] for name, rows in found.items()} == {
        "forgets": (3, "tensor missing"),
        "forgets_later": (2, "tensor missing"),
        "cuts": (3, "latent flip"),
        "faithful": (0, ""),
        "cpu": (0, ""),
    }


@pytest.fixture(scope="module")
def traces(package: Package, symbols: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("traces")
    with Symbols(symbols, package.manifest.digest) as read:
        for leg in ("exact", "cpu", "cpu:opt=off"):
            record(package, read, LegSpec.parse(leg), folder / f"{leg}.trace")
    return {file.stem: file for file in folder.iterdir()}


def forged(trace: Path, out: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Signed anew, so that only what it holds can give it away."""
    document = json.loads(trace.read_text())
    change(document)
    document["digest"] = document_digest(document)
    out.write_text(canonical_json(document))
    return out


@pytest.mark.parametrize("frames", [(0, 1, 2), (1,)])
@pytest.mark.parametrize("tensor", ["means", "indexes"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_trace_that_leaves_a_tensor_out(
    traces: dict[str, Path], tmp_path: Path, frames: tuple[int, ...], tensor: str, turned: bool
) -> None:
    def drop(document: dict[str, Any]) -> None:
        for number in frames:
            del document["paths"]["int"]["frames"][number][tensor]

    given = [traces["exact"], forged(traces["cpu"], tmp_path / "cpu.trace", drop)]
    report = compare_traces(given[::-1] if turned else given)
    assert (report.verdict.int, report.exit_code) == ("different", 1)
    assert rows_of(report, "cpu")[tensor] == (len(frames), "tensor missing")


def test_a_trace_with_a_tensor_more(traces: dict[str, Path], tmp_path: Path) -> None:
    """Also where it is the reference's."""

    def add(document: dict[str, Any]) -> None:
        for frame in document["paths"]["int"]["frames"]:
            frame["residual/means"] = frame["means"]

    report = compare_traces([forged(traces["exact"], tmp_path / "exact.trace", add), traces["cpu"]])
    assert report.exit_code == 1 and rows_of(report, "cpu")["residual/means"] == (3, "tensor missing")
    assert compare_traces([traces["exact"], traces["cpu"]]).exit_code == 0


def test_a_reference_that_leaves_a_tensor_out_once(traces: dict[str, Path], tmp_path: Path) -> None:
    """In that frame the next one that has it stands in, and the reference is what differs."""

    def drop(document: dict[str, Any]) -> None:
        del document["paths"]["int"]["frames"][1]["means"]

    forgetful = forged(traces["exact"], tmp_path / "exact.trace", drop)
    report = compare_traces([forgetful, traces["cpu"], traces["cpu:opt=off"]])
    assert (report.verdict.int, report.exit_code) == ("different", 1)
    means = [row for row in report.results if (row.path, row.tensor) == ("int", "means")]
    assert {(row.leg, row.reference): (row.frames, row.frames_different, row.failure) for row in means} == {
        ("cpu", "exact"): (2, 0, ""),
        ("cpu:opt=off", "exact"): (2, 0, ""),
        ("exact", "cpu"): (1, 1, "tensor missing"),
        ("cpu:opt=off", "cpu"): (1, 0, ""),
    }


def test_digests_that_differ_beside_a_tensor_that_is_missing(traces: dict[str, Path], tmp_path: Path) -> None:
    """Nobody knows how many values differ; that two of the three frames do is known."""

    def change(document: dict[str, Any]) -> None:
        frames = document["paths"]["int"]["frames"]
        frames[0]["indexes"]["sha256"] = "0" * 64
        del frames[1]["indexes"]

    report = compare_traces([traces["exact"], forged(traces["cpu"], tmp_path / "cpu.trace", change)])
    (row,) = (row for row in report.results if (row.path, row.tensor) == ("int", "indexes"))
    assert (row.frames, row.frames_different, row.failure) == (3, 2, "tensor missing")
    assert (row.mismatched, row.max_abs, row.first, row.by_frame) == (None, None, None, [])
    assert report.exit_code == 1


def test_a_trace_without_an_integer_path(traces: dict[str, Path], tmp_path: Path) -> None:
    without = forged(traces["cpu"], tmp_path / "cpu.trace", lambda document: document["paths"].pop("int"))
    report = compare_traces([traces["exact"], without])
    assert (report.verdict.int, report.exit_code) == ("not compared", 5)


@pytest.mark.parametrize("frames", [(1,), (0, 1, 2)])
def test_a_frame_that_is_missing_is_shown(traces: dict[str, Path], tmp_path: Path, frames: tuple[int, ...]) -> None:
    """By the table, by the drift of a video, and by its plot, whose lines have a gap."""

    def drop(document: dict[str, Any]) -> None:
        document["leg"]["label"] = "there"
        for number in frames:
            del document["paths"]["fp32"]["frames"][number]["frame"]

    report = compare_traces([traces["cpu"], forged(traces["cpu"], tmp_path / "there.trace", drop)])
    (row,) = (row for row in report.results if (row.path, row.tensor) == ("fp32", "frame"))
    assert (row.frames_different, row.failure) == (len(frames), "tensor missing")
    assert [frame.frame for frame in row.by_frame if frame.psnr is None] == list(frames)
    video = report.model_copy(update={"package": report.package.model_copy(update={"kind": "video"})})
    console = Console(record=True, width=200, file=io.StringIO())
    print_report(console, video)
    assert "tensor missing" in (said := console.export_text())
    assert said.count("missing, or of another size") == len(frames)
    write_drift_plot(tmp_path / "drift.png", video)
    assert (tmp_path / "drift.png").stat().st_size


def test_one_leg_twice(traces: dict[str, Path], package: Package, symbols: Path, tmp_path: Path) -> None:
    """By its name, by another order of its options, by defaults said aloud; a trace by any file name."""
    copy = Path(shutil.copy(traces["cpu"], tmp_path / "other.trace"))
    stored = forged(traces["cpu"], tmp_path / "stored.trace", lambda d: d["frames"][0].update(name="another name"))
    for other in (traces["cpu"], copy, stored):
        with pytest.raises(UsageError, match="the same leg on the same machine"):
            compare_traces([traces["cpu"], other])
    labelled = forged(traces["cpu"], tmp_path / "there.trace", lambda d: d["leg"].update(label="there"))
    assert compare_traces([traces["cpu"], labelled, traces["cpu:opt=off"]]).exit_code == 0
    with Symbols(symbols, package.manifest.digest) as read:
        for legs in ("exact,cpu,cpu:opt=all", "exact,cpu:opt=off,threads=1,cpu:opt=off,threads=1,flavour=qdq"):
            with pytest.raises(UsageError, match="the same settings as"):
                compare(package, read, split_providers(legs))


@pytest.mark.parametrize("legs", ["exact,exact", "cpu,cpu", "cpu:opt=off,threads=1,cpu:threads=1,opt=off", "exact"])
def test_nothing_to_compare(
    refused: Callable[[int, list[str]], str], package: Package, symbols: Path, legs: str
) -> None:
    words = ["compare", str(package.root), "--symbols", str(symbols), "--providers", legs]
    assert "named twice" in (line := refused(2, words)) or "nothing to compare" in line


def test_a_digest_takes_no_value_for_another() -> None:
    """2^32 + 1 is not 1, nor is 1 + 2^-40; what 32 bits hold has one digest in any type."""
    ones = [np.array([1], dtype) for dtype in (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64)]
    assert len({tensor_digest(one) for one in ones}) == 1
    wide = [np.array([2**32 + 1]), np.array([2**31], np.uint32), np.array([-(2**31)]), np.array([2**63], np.uint64)]
    assert len({tensor_digest(x) for x in (*wide, ones[0])}) == 5
    reals = [np.array([x]) for x in (1.0, 1 + 2**-40, 2.0**200, np.inf)]
    assert len({tensor_digest(x) for x in reals}) == 4
    assert tensor_digest(reals[0]) == tensor_digest(np.array([1], np.float32))
    assert tensor_digest(np.array([-0.0])) == tensor_digest(np.array([0], np.float32))
