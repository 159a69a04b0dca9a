"""Engines that crash, hang or start what hangs: each is its own leg's failure, and the others' results stand.

The engines are a third party's, found by its entry points, so that nothing of nvc-check is replaced.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checker.third_party import install_engines

from nvc_check.models.artifacts.package import Package

ENGINE = """
import os, signal, subprocess, sys, time
from nvc_check.runtimes.leg import EngineInfo

def open_engine(spec, package):
    return Engine()

class Engine:
    paths, flavour = ("int",), "qdq"
    info = EngineInfo("third party", "1.0", "cpu", {})

    def load(self, model, graph):
        return run

def run(inputs):
    ACTION
"""
ACTIONS = {
    "crashing": "os.abort()",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hanging": "subprocess.run([sys.executable, '-c', 'import time; time.sleep(3600)', 'left behind by a leg'])",
    "raising": "raise ValueError('out of ideas')",
    "leaving": "sys.exit(3)",
}
TIME_LIMIT = (
    40  # seconds: torch and the oracle, which are not to be ended, start and answer within it on a busy machine
)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with an engine for each of ACTIONS."""
    install_engines(
        tmp_path / "site", {name: ENGINE.replace("ACTION", action) for name, action in ACTIONS.items()}, monkeypatch
    )
    monkeypatch.setenv("NVC_CHECK_TIME_LIMIT", str(TIME_LIMIT))


def processes_with(argument: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.usefixtures("third_party")
def test_failing_engines_fail_alone(
    command: Callable[..., tuple[int, str, str]], package: Package, symbols: Path
) -> None:
    """Exit code 6, each with its reason; `cpu` before and `openvino` after them are compared whole."""
    legs = ["cpu", *ACTIONS, "openvino"]
    code, out, err = command(
        "compare", package.root, "--symbols", symbols, "--providers", ",".join(legs), "--json", "-"
    )
    report = json.loads(out)
    rows = {leg["name"]: leg for leg in report["legs"] if leg["path"] == "int"}
    assert (code, err, report["exit_code"], report["verdict"]["int"]) == (6, "", 6, "identical")
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {"exact", "cpu", "openvino"}
    reasons = {name: rows[name]["reason"] for name in ACTIONS}
    assert reasons.pop("crashing").startswith("crashing: its process was killed by signal 6")
    assert reasons == {
        "killed": "killed: its process was killed by signal 9",
        "hanging": f"hanging: no answer within {TIME_LIMIT} s",
        "raising": "raising: inference failed (out of ideas)",
        "leaving": "leaving: its process ended with exit code 3",
    }
    frames = {row["leg"]: row["frames"] for row in report["results"] if row["reference"] == "exact"}
    assert frames == {"cpu": 3, "openvino": 3}
    waited_until = time.monotonic() + 30
    while processes_with("left behind by a leg") and time.monotonic() < waited_until:
        time.sleep(0.05)
    assert processes_with("left behind by a leg") == []


@pytest.mark.usefixtures("third_party")
def test_no_trace_of_a_failing_engine(
    refused: Callable[[int, list[str]], str], package: Package, symbols: Path, tmp_path: Path
) -> None:
    """One line, exit code 6, and no file."""
    out = tmp_path / "trace"
    spelled = ["record", package.root, "--symbols", symbols, "--provider", "killed", "--out", out]
    line = refused(6, [str(word) for word in spelled])
    assert line == "nvc-check: killed: its process was killed by signal 9"
