"""Environments of legs: pinned, outside the user's own, and never half there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process import environments
from nvc_check.runtimes.process.launch import command_of
from nvc_check.runtimes.registry import ENGINES

PACKAGES = ("packaging==25.0",)  # small, and not what this environment holds


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of environments."""
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_an_environment_of_its_own(tmp_path: Path) -> None:
    """Really made by pip: its packages at their versions, numpy and onnx at this environment's, and the project."""
    said: list[str] = []
    environments.install("tried", PACKAGES, (), said.append)
    assert environments.is_installed("tried", PACKAGES)
    assert not environments.is_installed("tried", ("packaging==24.0",))
    program = (
        "import packaging, numpy, onnx, nvc_check.runtimes.process.serving;"
        " print(packaging.__version__, numpy.__version__)"
    )
    bridge = environments.bridge(tmp_path / "bridge")
    done = subprocess.run(
        [str(environments.python_of("tried")), "-c", program],
        env={**os.environ, "PYTHONPATH": str(bridge)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["25.0", version("numpy")]
    shared = [f"{name}=={version(name)}" for name in ("numpy", "onnx")]
    assert said == [f"tried: {', '.join((*PACKAGES, *shared))}"]


def test_a_cut_off_installation_does_not_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a first one, and not one that was to replace a whole one: the mark goes first and comes last."""
    environments.begin("engine")
    environments.finish("engine", PACKAGES)
    assert environments.is_installed("engine", PACKAGES)

    def cut(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", cut)
    with pytest.raises(KeyboardInterrupt):
        environments.install("engine", PACKAGES, (), print)
    assert not environments.is_installed("engine", PACKAGES)
    monkeypatch.undo()
    monkeypatch.setenv("NVC_CHECK_HOME", str(home))
    with pytest.raises(ProviderUnavailableError, match=r"^engine: .*python.* ended with 1 \(.*is there a network\?$"):
        environments.install("engine", ("no-such-package==0",), (), print)
    assert not environments.is_installed("engine", ("no-such-package==0",))


def test_without_npm(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it; nothing is begun."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderUnavailableError, match="wasm: npm is not installed; apt-get install nodejs npm"):
        environments.install("wasm", (), ("onnxruntime-web@1.30.0",), print)
    assert not home.exists()


def test_every_environment_is_pinned() -> None:
    """To one version each; ONNX Runtime's flavours never share one."""
    for name, engine in ENGINES.items():
        assert all(package.count("==") == 1 for package in engine.packages), name
        assert all(package.count("@") == 1 and package[-1].isdecimal() for package in engine.npm), name
        assert sum("onnxruntime" in package for package in engine.packages) <= 1, name


def test_the_leg_runs_in_its_environment_once_that_is_whole(tmp_path: Path) -> None:
    """Until then in this one; with the project's modules, and none of this environment's packages, in its path."""
    spec = LegSpec.parse("webgpu:adapter=system")
    assert command_of(spec, tmp_path / "before")[0][0] == sys.executable
    environments.begin("webgpu")
    assert command_of(spec, tmp_path / "begun")[0][0] == sys.executable
    environments.finish("webgpu", ENGINES["webgpu"].packages)
    command, variables = command_of(spec, tmp_path / "after")
    assert command[0] == str(environments.python_of("webgpu"))
    assert variables["PYTHONPATH"] == str(tmp_path / "after")
    assert sorted(p.name for p in (tmp_path / "after" / "nvc_check").iterdir()) == ["models", "runtimes"]
