"""Ctrl-C in mid-run: exit code 130, one line, no process left, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nvc_check.models.artifacts.package import Package

NVC_CHECK = Path(sys.executable).with_name("nvc-check")


def children(process: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{process}/task").glob("*/children") for child in task.read_text().split()
    ]


def interrupted(arguments: list[str], ready: Callable[[int], object]) -> list[int]:
    """Runs a command in a process group of its own, as a shell does; SIGINT goes to the group once it is `ready`.

    Gives the processes that the command had started by then.
    """
    running = subprocess.Popen(
        [NVC_CHECK, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not ready(running.pid):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        started = children(running.pid)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert (running.returncode, out) == (130, "")
    assert err.splitlines() == ["nvc-check: interrupted; nothing was left half-written"]
    return started


def left_after(seconds: float, processes: list[int]) -> list[int]:
    """Those that still run then: a leg caught while it starts ends when it reads that its checker is gone."""
    deadline = time.monotonic() + seconds
    while True:
        left = [process for process in processes if Path(f"/proc/{process}").exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands put what is temporary."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_compare_is_interrupted(package: Package, symbols: Path, tmp_path: Path, scratch: Path) -> None:
    """Both references have been started; they end with the command."""
    out = tmp_path / "out"
    arguments = ["compare", package.root, "--symbols", symbols, "--json", out / "report.json", "--out", out / "maps"]
    started = interrupted([str(word) for word in arguments], lambda process: len(children(process)) >= 2)
    assert left_after(20, started) == []
    assert not out.exists()
    assert list(scratch.glob("nvc-check*")) == []


def test_symbols_is_interrupted(package: Package, clip: Path, tmp_path: Path, scratch: Path) -> None:
    """The file had been begun; the old one at its place is as it was."""
    header, newline, frames = clip.read_bytes().partition(b"\n")
    long = tmp_path / "long.y4m"
    long.write_bytes(header + newline + frames * 200)
    out = tmp_path / "out" / "symbols.npz"
    out.parent.mkdir()
    out.write_text("from before")
    arguments = ["symbols", str(package.root), "--input", str(long), "--out", str(out)]
    interrupted(arguments, lambda process: any(part.stat().st_size for part in out.parent.glob(".*.part")))
    assert [(file.name, file.read_text()) for file in out.parent.iterdir()] == [("symbols.npz", "from before")]
