"""A sweep turns every knob that the engine declares, one at a time, and says which change bits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checker.third_party import install_engines

from nvc_check.checker.compare.sweep import variants
from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.engines.cpu import KNOBS
from nvc_check.runtimes.leg import LegSpec

Command = Callable[..., tuple[int, str, str]]


def test_every_value_but_the_leg_s_own() -> None:
    """Of knobs with values all but the one set or in force; numbers are tried small and at the machine's size."""
    base = LegSpec.parse("cpu:b=2,threads=1")
    found = variants(base, {"a": ("x", "y"), "b": ("1", "2", "3"), "threads": None}, {"a": "y", "b": "2"})
    names = [variant.spec.name for variant in found]
    assert names[:4] == ["cpu:b=2,threads=1,a=x", "cpu:b=1,threads=1", "cpu:b=3,threads=1", "cpu:b=2,threads=2"]
    assert all("threads=1," not in name for name in names[3:])
    assert [(v.knob, v.value) for v in found][:3] == [("a", "x"), ("b", "1"), ("b", "3")]


def test_a_sweep_of_the_cpu(command: Command, package: Package, symbols: Path) -> None:
    """FP32 bits change with the optimisation level, integer bits with nothing; all knobs are there, all compared."""
    code, out, err = command("compare", package.root, "--symbols", symbols, "--sweep", "cpu", "--json", "-")
    report = json.loads(out)
    assert (code, err, report["verdict"]["int"]) == (0, "", "identical")
    rows = report["sweep"]
    assert {row["knob"] for row in rows} == set(KNOBS)
    assert {row["int"]["verdict"] for row in rows} == {"identical"}
    assert {row["int"]["values"] for row in rows} == {2 * 3 * 96 * 8 * 16}  # indexes and means of three frames
    assert all(row["fp32"]["values"] and not row["reason"] for row in rows)
    changing = {row["knob"] for row in rows if row["fp32"]["verdict"] == "different"}
    assert "opt" in changing and "prepacking" not in changing
    assert {row["reference"] for row in report["results"]} == {"cpu"}


def test_a_sweep_of_a_leg_that_falls_back(command: Command, package: Package, symbols: Path) -> None:
    """No knob of it counts as compared: exit code 5 and the reason; allowed to, it is swept."""
    words = ["compare", package.root, "--symbols", symbols, "--sweep", "AzureExecutionProvider"]
    code, out, _ = command(*words)
    assert code == 5 and "not run" in out and "nodes fell back" in out and "identical" not in out
    code, out, _ = command(*words, "--allow-fallback")
    assert code == 0 and "int: no change with flavour" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sweep", "cpu,openvino"], "one leg at a time"),
        (["--sweep", "cpu", "--providers", "cpu:opt=off"], "without --providers"),
        (["--sweep", "cpu", "--out", "maps"], "without residual maps"),
        (["--sweep", "nothing"], "unknown"),
        (["--sweep", "cpu:opt=fast"], "expected one of"),
    ],
)
def test_refused(
    words: list[str], says: str, refused: Callable[[int, list[str]], str], package: Package, symbols: Path
) -> None:
    """Exit code 2 and one line."""
    assert says in refused(2, ["compare", str(package.root), "--symbols", str(symbols), *words])


FAILS_LATER = """
import os
from pathlib import Path
from nvc_check.runtimes.leg import EngineInfo
from nvc_check.runtimes.oracle import engine as oracle

KNOBS = {"way": ("a", "b", "c", "d", "e")}

def open_engine(spec, package):
    way = spec.options.get("way", "a")
    opened = Path(os.environ["OPENED"]) / way
    opened.mkdir(exist_ok=True)
    (opened / str(os.getpid())).touch()
    return Engine(oracle.open_engine(type(spec).parse("exact"), package), way, len(list(opened.iterdir())))

class Engine:
    paths, flavour = ("int",), "qdq"

    def __init__(self, exact, way, times):
        self.exact, self.fails = exact, way == "a" and times > 2
        self.info = EngineInfo("third party", "1.0", "cpu", {"way": way})

    def load(self, model, graph):
        runnable = self.exact.load(model, graph)
        def run(inputs):
            if self.fails:
                raise ValueError("out of ideas")
            return runnable(inputs)
        return run
"""


def test_a_base_that_fails_later_has_failed(
    command: Command, package: Package, symbols: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened to be asked for its knobs, then beside three variants, then beside the fourth: there it fails."""
    install_engines(tmp_path / "site", {"later": FAILS_LATER}, monkeypatch)
    (tmp_path / "opened").mkdir()
    monkeypatch.setenv("OPENED", str(tmp_path / "opened"))
    words = ["compare", package.root, "--symbols", symbols, "--sweep", "later", "--json", "-"]
    code, out, _ = command(*words)
    report = json.loads(out)
    assert len(list((tmp_path / "opened" / "a").iterdir())) == 3
    base = next(leg for leg in report["legs"] if leg["name"] == "later")
    assert (code, base["status"], base["reason"]) == (6, "failed", "later: inference failed (out of ideas)")
    verdicts = {row["value"]: row["int"]["verdict"] for row in report["sweep"]}
    assert verdicts == {"b": "identical", "c": "identical", "d": "identical", "e": "not compared"}
