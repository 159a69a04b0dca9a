"""The leg `wasm`: onnxruntime-web in a node process, spoken to over pipes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import NvcCheckError, ProviderUnavailableError, RunFailedError, UsageError
from nvc_check.runtimes.engines.wasm import WasmEngine, open_engine
from nvc_check.runtimes.leg import LegSpec, Tensors
from nvc_check.runtimes.process.environments import folder_of
from nvc_check.runtimes.process.running import LegProcess


@pytest.fixture
def engine(ready: Callable[[str], str], package: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[WasmEngine]:
    """An open engine; its node process ends with it."""
    monkeypatch.setenv("NVC_CHECK_NODE_MODULES", str(folder_of(ready("wasm"))))
    with closing(open_engine(LegSpec.parse("wasm"), package)) as opened:
        yield opened


@pytest.fixture
def z(package: Package) -> Tensors:
    part = package.manifest.parts["image"]
    return {"z": np.random.default_rng(0).integers(-20, 21, (1, part.z_channels, 1, 2)).astype(np.int32)}


def test_many_runs_of_several_graphs(engine: WasmEngine, package: Package, z: Tensors) -> None:
    """A graph keeps its number; extra inputs are left out; every shape comes back as it should."""
    first, second = (engine.load(package.graph(path, "entropy"), "entropy") for path in ("int", "fp32"))
    floats = {name: array.shape for name, array in second(z).items()}
    assert floats == {"scales_hat": (1, 96, 4, 8), "means": (1, 96, 4, 8)}
    before = first({**z, "unused": np.zeros((2, 2), np.float32)})
    wider = first({"z": np.repeat(z["z"], 9, axis=3)})
    assert wider["indexes"].shape == (1, 96, 4, 72)
    np.testing.assert_equal(first(z), before)


def test_a_failed_run_is_told_and_the_next_one_works(engine: WasmEngine, package: Package, z: Tensors) -> None:
    """A shape or a type that the graph does not take is onnxruntime-web's error, in one line."""
    graph = engine.load(package.graph("int", "entropy"), "entropy")
    for wrong in (z["z"][:, :3], z["z"].astype(np.float32)):
        with pytest.raises(RunFailedError) as caught:
            graph({"z": wrong})
        assert str(caught.value) and "\n" not in str(caught.value)
    assert set(graph(z)) == {"indexes", "means"}


def test_a_graph_that_does_not_load(engine: WasmEngine, package: Package, tmp_path: Path) -> None:
    """The file is named; a file that is not there is no other case."""
    half = package.graph("int", "entropy").read_bytes()[:1000]
    (tmp_path / "half.onnx").write_bytes(half)
    for name in ("half.onnx", "none.onnx"):
        with pytest.raises(RunFailedError, match=rf"^{name}: onnxruntime-web cannot load it \(.+\)$"):
            engine.load(tmp_path / name, "entropy")


def nodes_of(parent: int) -> list[int]:
    """Process ids of node processes below `parent`."""
    children = [int(i) for file in Path(f"/proc/{parent}/task").glob("*/children") for i in file.read_text().split()]
    mine = [i for i in children if Path(f"/proc/{i}/comm").read_text().strip() in ("node", "MainThread")]
    return mine + [node for child in children for node in nodes_of(child)]


def test_node_dies(ready: Callable[[str], str], package: Package, symbols: Path) -> None:
    """A failed run that says so; and a leg that is closed leaves no node behind."""
    with Symbols(symbols, package.manifest.digest) as read:
        frame = read.read(0, "int")
    with closing(LegProcess(LegSpec.parse(ready("wasm")), package.root)) as leg:
        leg.open()
        leg.decode("int", frame)
        (node,) = nodes_of(os.getpid())
        os.kill(node, signal.SIGKILL)
        with pytest.raises(RunFailedError, match=r"^wasm: node ended with exit code -9"):
            leg.decode("int", frame)
    with closing(LegProcess(LegSpec.parse("wasm"), package.root)) as leg:
        leg.open()
        (node,) = nodes_of(os.getpid())
    waited_until = time.monotonic() + 30
    while Path(f"/proc/{node}").exists() and time.monotonic() < waited_until:
        time.sleep(0.05)
    assert not Path(f"/proc/{node}").exists()


@pytest.mark.parametrize(
    ("leg", "hidden", "error", "says"),
    [
        ("wasm", "node", ProviderUnavailableError, "node is not installed; apt-get install nodejs npm; nvc-check prov"),
        ("wasm", "package", ProviderUnavailableError, "onnxruntime-web is not installed; nvc-check providers --insta"),
        ("wasm:simd=off", "", UsageError, "unknown option 'simd'; wasm has opt, threads, flavour"),
    ],
)
def test_what_it_needs(
    leg: str, hidden: str, error: type[NvcCheckError], says: str, package: Package, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The line that installs it."""
    if hidden == "node":
        monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path))
    with closing(LegProcess(LegSpec.parse(leg), package.root)) as process, pytest.raises(error) as caught:
        process.open()
    assert says in str(caught.value)
