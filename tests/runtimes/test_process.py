"""A leg in a process of its own: what one leg suffers, the others do not; what it needs is little."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from nvc_check.checker.compare.live import compare
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import ProviderUnavailableError, RunFailedError, UsageError
from nvc_check.runtimes.leg import LegSpec, Tensors, split_providers
from nvc_check.runtimes.process.running import LegProcess

# all that the tool uses elsewhere, and no leg of a package may need
NOT_NEEDED = ["torch", "compressai", "safetensors", "onnx_ir", "onnxscript", "av", "PIL", "skimage"]
NOT_NEEDED += ["pydantic", "typer", "rich"]
REFUSES_IMPORTS = f"""
import sys
class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_NEEDED}:
            raise ImportError(name + " is refused by this test")
sys.meta_path.insert(0, Refusal())
"""


@contextmanager
def started(name: str, package: Package) -> Iterator[LegProcess]:
    """An open leg."""
    with closing(LegProcess(LegSpec.parse(name), package.root)) as leg:
        leg.open()
        yield leg


def newest_child() -> int:
    """Process id of the worker that this thread started last."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return int(children[-1])


def frozen_worker() -> int:
    """Stops the newest worker, as a hang would; gives its process id."""
    worker = newest_child()
    os.kill(worker, signal.SIGSTOP)
    return worker


@pytest.fixture
def opened(symbols: Path, package: Package) -> Iterator[Symbols]:
    with Symbols(symbols, package.manifest.digest) as read:
        yield read


@pytest.fixture
def frame(opened: Symbols) -> Tensors:
    """Symbols of the first frame on the integer path."""
    return opened.read(0, "int")


def test_a_killed_leg_fails_alone(package: Package, frame: Tensors) -> None:
    """A worker killed in mid-run is a failed run that names the signal; another leg goes on."""
    with started("cpu", package) as cpu, started("exact", package) as exact:
        _, before = cpu.decode("int", frame)
        killing = threading.Timer(0.5, os.kill, (frozen_worker(), signal.SIGKILL))
        killing.start()
        with pytest.raises(RunFailedError, match=r"^exact: its process was killed by signal 9"):
            exact.decode("int", frame)
        killing.join()
        _, after = cpu.decode("int", frame)
        np.testing.assert_equal(after, before)


def test_a_hanging_leg_is_ended(package: Package, frame: Tensors) -> None:
    """After the time limit, not later; its process is gone, and another leg goes on."""
    with started("cpu", package) as cpu, started("exact", package) as exact:
        exact.time_limit = 2.0  # only now: starting may take longer on a busy machine
        worker, stopped = frozen_worker(), time.monotonic()
        with pytest.raises(RunFailedError, match=r"^exact: no answer within 2 s$"):
            exact.decode("int", frame)
        assert 2 <= time.monotonic() - stopped < 20
        assert not Path(f"/proc/{worker}").exists()
        assert set(cpu.decode("int", frame)[1]) == {"indexes", "means", "frame"}


def test_an_error_is_an_answer(package: Package, frame: Tensors) -> None:
    """A refused option is the same error here as there; a crash of the worker's own ends with its last words."""
    with closing(LegProcess(LegSpec.parse("cpu:speed=1"), package.root)) as leg, pytest.raises(UsageError):
        leg.open()
    with started("exact", package) as leg:
        with pytest.raises(
            RunFailedError, match=r"^exact: symbols of a frame: found other.z, expected y and z of image"
        ):
            leg.decode("int", {"other.z": frame["image.z"]})
        with pytest.raises(RunFailedError, match=r"^exact: its process ended with exit code 1 \(KeyError"):
            leg.decode("int", {"image.z": frame["image.z"]})


def test_compare_without_the_killed_leg(package: Package, opened: Symbols) -> None:
    """The report says which leg failed and why, and the others' results stand, all frames of them."""

    def kill_the_last(step: str) -> None:
        if step == opened.frames[0].name:
            os.kill(newest_child(), signal.SIGKILL)

    specs = split_providers("exact,cpu,cpu:opt=off")
    report = compare(package, opened, specs, progress=kill_the_last)
    legs = {leg.name: leg for leg in report.legs if leg.path == "int"}
    assert {name: leg.status for name, leg in legs.items()} == {"exact": "ok", "cpu": "ok", "cpu:opt=off": "failed"}
    assert "cpu:opt=off: its process was killed by signal 9" in legs["cpu:opt=off"].reason
    means = {row.leg: row for row in report.results if row.path == "int" and row.tensor == "means"}
    assert (means["cpu"].frames, means["cpu"].mismatched) == (3, 0)
    assert means["cpu:opt=off"].frames == 1
    assert (report.verdict.int, report.exit_code) == ("identical", 6)


def test_importing_the_runtimes_loads_no_engine() -> None:
    """An engine is loaded where it is used, so that one of them is enough."""
    program = """
import sys
import nvc_check.runtimes
from nvc_check.runtimes import decoding, fingerprint, leg, registry
from nvc_check.runtimes.oracle import engine as oracle
from nvc_check.runtimes.process import running as process, wire, worker
assert len(registry.known_engines()) >= 5
print(*(name for name in ("torch", "compressai", "onnxruntime", "openvino") if name in sys.modules), "end")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_leg_needs_numpy_onnx_and_one_engine(
    package: Package, opened: Symbols, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes that refuse every other package, two legs decode the same; `torch` shows that they do refuse."""
    (tmp_path / "sitecustomize.py").write_text(REFUSES_IMPORTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with closing(LegProcess(LegSpec.parse("torch"), package.root)) as leg:
        with pytest.raises(ProviderUnavailableError, match=r"torch is refused by this test.*pip install"):
            leg.open()
    decoded = {}
    for name in ("cpu", "exact"):
        with closing(LegProcess(LegSpec.parse(name), package.root)) as leg:
            _, paths = leg.open()
            assert paths == (("fp32", "int") if name == "cpu" else ("int",))
            decoded[name] = {path: leg.decode(path, opened.read(0, path))[1] for path in paths}
    np.testing.assert_array_equal(decoded["cpu"]["int"]["means"], decoded["exact"]["int"]["means"])
    np.testing.assert_array_equal(decoded["cpu"]["int"]["indexes"], decoded["exact"]["int"]["indexes"])
    assert decoded["cpu"]["fp32"]["frame"].shape == (1, 3, 128, 256)


def test_an_interrupt_while_the_watchdog_starts_ends_the_command(package: Package) -> None:
    """Its thread runs already then; Python must not wait for its time limit."""
    script = f"""
import threading
from contextlib import closing
from pathlib import Path
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process.running import LegProcess

class Interrupted(threading.Timer):
    def start(self):
        super().start()
        raise KeyboardInterrupt

threading.Timer = Interrupted
with closing(LegProcess(LegSpec.parse("cpu"), Path({str(package.root)!r}))) as leg:
    leg.open()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"
