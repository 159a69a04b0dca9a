"""`nvc-check providers`: every leg is tried; what is missing is named with the line that installs it, or installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nvc_check.checker import providers
from nvc_check.checker.providers import Provider, tried
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.process import environments
from nvc_check.runtimes.registry import ENGINES


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with this environment alone: no other one, no browser, no GPU; gives the home of environments."""
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path / "home"


@pytest.mark.usefixtures("nothing_installed")
def test_the_list(command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready, not installed or cannot start, as a document and as a table; listing is no failure."""
    code, out, err = command("providers", "--json", "-")
    document = json.loads(out)
    assert (code, err, document["schema"]) == (0, "", "nvc-check/providers/1")
    rows = {row["name"]: (row["state"], row["detail"]) for row in document["providers"]}
    assert list(rows) == providers.names()
    assert {*ENGINES, "torch:device=cuda", "cpu@haswell", "cpu@nehalem", "cpu@neoverse-n1"} == set(rows)
    for name in ("torch", "cpu", "openvino", "exact", "reference"):
        assert rows[name][0] == "ready", rows[name]
    assert rows["cpu"][1].startswith("onnxruntime ")
    for name in ("webgpu", "wasm", "OpenVINOExecutionProvider", "cpu@neoverse-n1"):
        state, detail = rows[name]
        assert state == "not installed" and detail.endswith(f"nvc-check providers --install {name}"), rows[name]
    assert (
        rows["cuda"] == ("not installed", rows["cuda"][1]) and "nvc-check providers --install cuda" in rows["cuda"][1]
    )
    assert rows["torch:device=cuda"][0] == "cannot start" and "finds no GPU" in rows["torch:device=cuda"][1]
    monkeypatch.setattr(providers, "names", lambda: ["cpu", "wasm"])
    code, out, err = command("providers")
    assert (code, err) == (0, "") and "onnxruntime-web is not installed" in out and "ready" in out


@pytest.mark.parametrize(
    ("spelled", "code", "says"),
    [
        ("tpu", 2, "provider 'tpu': unknown; known are torch, cpu, cuda,"),
        ("cpu@z80", 2, "processor 'z80', expected one of haswell, nehalem, neoverse-n1"),
        ("reference", 2, "--install reference: it has no environment of its own; pip install nvc-check"),
        ("torch", 2, "--install torch: it has no environment of its own; pip install 'nvc-check[export]'"),
        ("wasm", 5, "wasm: npm is not installed; apt-get install nodejs npm"),
        ("cpu@neoverse-n1", 5, "qemu-aarch64-static is not installed; apt-get install qemu-user-static"),
    ],
)
def test_what_cannot_be_installed(
    spelled: str, code: int, says: str, refused: Callable[[int, list[str]], str], nothing_installed: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One line; nothing is made."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert says in refused(code, ["providers", "--install", spelled])
    assert not nothing_installed.exists()


def test_installed_where_nothing_was(nothing_installed: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    """By npm, really, and then ready; the second time nothing is to be done; damaged, it is made anew."""
    said = "wasm: onnxruntime-web@1.30.0\n"
    for expected in (said, "", said):
        code, out, err = command("providers", "--install", "wasm", "--json", "-")
        (row,) = json.loads(out)["providers"]
        assert (code, row["name"], row["state"]) == (0, "wasm", "ready"), err
        assert row["detail"] == "onnxruntime-web 1.30.0, wasm in node"
        assert err == expected
        if not expected:
            shutil.rmtree(nothing_installed / "wasm" / "node_modules")
    assert [path.name for path in nothing_installed.iterdir()] == ["wasm"]


def test_damaged_after_it_was_installed(
    nothing_installed: Path, command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """It is tried, not believed: cannot start, with the reason."""
    engine = ENGINES["wasm"]
    folder = environments.begin("wasm") / "node_modules" / "onnxruntime-web"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"version": "1.30.0", "main": "gone.js"}')
    environments.finish("wasm", (*engine.packages, *engine.npm))
    found = tried("wasm")
    assert (found.state, found.summary) == ("cannot start", engine.summary)
    assert "node ended with exit code 1" in found.detail


@pytest.mark.parametrize(
    "options", ["tf32=on", "tf32=off", "algo=default", "algo=heuristic", "algo=exhaustive", "nhwc=on"]
)
def test_cuda_without_a_gpu(options: str, nothing_installed: Path) -> None:
    """Every knob is known; what is missing is the device or its package."""
    found = tried(f"cuda:{options}")
    assert found.state in ("not installed", "cannot start") and "CUDA" in found.detail


@pytest.mark.parametrize("leg", ["cuda:algo=winograd", "cuda:nhwc=1", "torch:device=tpu", "cpu:x64quantprecision=1"])
def test_knobs_that_there_are_not(leg: str) -> None:
    """The message names the values that there are."""
    found = tried(leg)
    assert found == Provider(leg, "cannot start", found.detail, found.summary)
    assert "expected one of" in found.detail


def test_a_provider_by_its_full_name() -> None:
    """Any name that ends in ExecutionProvider is ONNX Runtime's to know; another one is a usage error."""
    found = tried("NoSuchExecutionProvider")
    assert (found.state, "NoSuchExecutionProvider is not installed" in found.detail) == ("not installed", True)
    with pytest.raises(UsageError, match="unknown"):
        providers.install_leg("NoSuchProvider", print)
