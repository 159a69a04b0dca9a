"""What a command ends with when it is none of the verdicts: its own errors, the system's, signals, --version."""

from __future__ import annotations

import errno
import functools
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from nvc_check.checker.cli import main as cli
from nvc_check.models.artifacts.package import Package

CURE = "pip install 'nvc-check[export,cpu]'"
CURE = "pip install 'nvc-check[export,cpu]'"
NVC_CHECK = Path(sys.executable).with_name("nvc-check")
COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


def arguments_of(name: str) -> list[str]:
    """The least that the command takes."""
    command: Any = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    words = [name]
    for parameter in command.params:
        if parameter.required:
            words += ["x"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"]
    return words


def ended(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> Any:
    monkeypatch.setattr(sys, "argv", ["nvc-check", *words])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command raises `error`, whatever it is given."""
    for command in cli.app.registered_commands:
        function: Callable[..., Any] | None = command.callback
        assert function is not None

        @functools.wraps(function)
        def raises(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(command, "callback", raises)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_error_that_nobody_caught_is_no_verdict(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments_of(name)
    for error in (RuntimeError("[/red] of\nlines"), KeyError("k"), AssertionError(), RecursionError("deep")):
        raising(error, monkeypatch)
        assert ended(monkeypatch, words) == 70
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "an error of nvc-check itself" in said and type(error).__name__ in said
    assert ended(monkeypatch, ["--verbose", *words]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_no_error_of_this_program(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/file"), monkeypatch)
    assert ended(monkeypatch, arguments_of(name)) == 2
    assert capsys.readouterr().err.startswith("nvc-check: /there/file: No space left on device")
    raising(KeyboardInterrupt(), monkeypatch)
    assert ended(monkeypatch, arguments_of(name)) == 130


@pytest.mark.parametrize("name", COMMANDS)
def test_a_package_that_is_not_installed_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(ModuleNotFoundError("No module named 'torch'", name="torch.nn"), monkeypatch)
    assert ended(monkeypatch, arguments_of(name)) == 2
    said = capsys.readouterr().err
    assert said.startswith("nvc-check: torch is not installed") and "pip install 'nvc-check[export" in said
    raising(ModuleNotFoundError("No module named 'nvc_check.lost'", name="nvc_check.lost"), monkeypatch)
    assert ended(monkeypatch, arguments_of(name)) == 70


@pytest.mark.parametrize("gone", ["torch", "PIL", "av"])
def test_without_the_packages_of_export(gone: str, package: Package, clip: Path, symbols: Path, tmp_path: Path) -> None:
    """Encoding needs them and says so; decoding needs none of them."""
    without = f"import sys; sys.modules[{gone!r}] = None\nfrom nvc_check.checker.cli.main import main; main()"

    def ran(*words: str | Path) -> tuple[int, str]:
        command = [sys.executable, "-W", "ignore", "-c", without, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    encode: list[str | Path] = ["compare", package.root, "--input", clip, "--providers", "exact,cpu"]
    assert ran(*encode) == (2, f"nvc-check: {gone} is not installed, and this command needs it; {CURE}\n")
    record: list[str | Path] = [
        "record",
        package.root,
        "--symbols",
        symbols,
        "--provider",
        "cpu",
        "--out",
        tmp_path / "cpu.trace",
    ]
    assert ran(*record) == (0, "")


def test_what_libraries_log_is_no_second_line(package: Package, tmp_path: Path) -> None:
    """Pillow logs an error of a TIFF whose pixels have 55,043 samples; logging shows it unless it is told not to."""
    file = tmp_path / "many.tiff"
    Image.new("RGB", (64, 64)).save(file)
    samples = struct.pack("<HHI", 277, 3, 1)
    assert file.read_bytes().count(samples) == 1
    at = file.read_bytes().index(samples) + len(samples)
    file.write_bytes(file.read_bytes()[:at] + struct.pack("<H", 55043) + file.read_bytes()[at + 2 :])
    words: list[str | Path] = [NVC_CHECK, "symbols", package.root, "--input", file, "--out", tmp_path / "symbols.npz"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and "many.tiff: TIFF, but damaged" in ran.stderr


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, ["--version"]) == 0
    assert capsys.readouterr().out == f"nvc-check {version('nvc-check')}\n"


def descendants(process: int) -> set[int]:
    """All that a process started, and what these started."""
    found: set[int] = set()
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | descendants(int(child))
    return found


def alive(process: int) -> bool:
    """Whether it runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1)]
)
def test_legs_end_with_the_command(
    number: signal.Signals, code: int, package: Package, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 2 s, and their temporary folders with them, also when nobody could tell them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    words: list[str | Path] = [NVC_CHECK, "compare", package.root, "--input", clip, "--providers", "cpu,exact,openvino"]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(legs := descendants(running.pid)) < 3 or not any(scratch.rglob("nvc-check-leg-*")):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(number)
    assert running.wait(timeout=20) == code
    time.sleep(2)
    assert [leg for leg in legs if alive(leg)] == []
    assert list(scratch.iterdir()) == []
