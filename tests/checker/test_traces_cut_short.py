"""A full disk, Ctrl-C or a kill in the middle of a recording leave no trace that passes for a whole one."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nvc_check.checker.traces.file import TraceFile
from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import BadArtifactError

NVC_CHECK = Path(sys.executable).with_name("nvc-check")


@pytest.mark.parametrize(("leg", "limit", "tensors"), [("cpu", 300_000, True), ("exact", 2_000, False)])
def test_a_full_disk(leg: str, limit: int, tensors: bool, package: Package, symbols: Path, tmp_path: Path) -> None:
    """Exit code 6, one line that says so, and nothing at the place of the trace."""
    out = tmp_path / "out" / "leg.trace"
    words = ["record", package.root, "--symbols", symbols, "--provider", leg, "--out", out]
    done = subprocess.run(
        [NVC_CHECK, *map(str, words), *(["--tensors"] if tensors else [])],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (6, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"nvc-check: {out}: cannot write the trace (File too large); make room")
    assert list(out.parent.iterdir()) == []


def begun(package: Package, symbols: Path, out: Path) -> subprocess.Popen[str]:
    """A recording that has written its first tensors and has far to go: the reference evaluator is slow."""
    words = ["record", package.root, "--symbols", symbols, "--provider", "reference", "--out", out, "--tensors"]
    running = subprocess.Popen(
        [NVC_CHECK, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not any(part.stat().st_size for part in out.parent.glob(".*.part")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return running


def children(process: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{process}/task").glob("*/children") for child in task.read_text().split()
    ]


def ended(processes: list[int]) -> bool:
    """Within the time that a leg takes to see that its checker is gone; it may be in the middle of a frame."""
    deadline = time.monotonic() + 300
    while any(Path(f"/proc/{process}").exists() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(Path(f"/proc/{process}").exists() for process in processes)


def test_an_interrupted_recording(package: Package, symbols: Path, tmp_path: Path) -> None:
    """Exit code 130; the old trace at its place is as it was, and nothing lies beside it."""
    out = tmp_path / "out" / "leg.trace"
    out.parent.mkdir()
    out.write_text("from before")
    running = begun(package, symbols, out)
    legs = children(running.pid)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (130, "nvc-check: interrupted; nothing was left half-written\n")
    assert [(file.name, file.read_text()) for file in out.parent.iterdir()] == [("leg.trace", "from before")]
    assert ended(legs)


def test_a_killed_recording(package: Package, symbols: Path, tmp_path: Path) -> None:
    """Nothing at the place of the trace; what lies beside it is refused as one. Its leg ends too."""
    out = tmp_path / "out" / "leg.trace"
    running = begun(package, symbols, out)
    legs = children(running.pid)
    running.kill()
    running.communicate()
    (part,) = out.parent.iterdir()
    assert part.name.startswith(".nvc-check-") and part.stat().st_size
    with pytest.raises(BadArtifactError, match="not a whole trace"):
        TraceFile(part)
    assert ended(legs)
