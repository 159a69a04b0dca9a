"""Environments of legs that exclude each other: ONNX Runtime's flavours all install the same module.

A leg's environment lies in the user's cache directory (NVC_CHECK_HOME moves it), is pinned, and is made by
`nvc-check providers --install LEG`. It holds the engine, numpy and onnx; this project's modules come to it as a copy.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs

from nvc_check import models, runtimes
from nvc_check.models.errors import ProviderUnavailableError

SHARED = ("numpy", "onnx")  # at the versions of the environment that installs
READY = "ready"


def folder_of(engine: str) -> Path:
    home = os.environ.get("NVC_CHECK_HOME") or platformdirs.user_cache_dir("nvc-check", appauthor=False)
    return Path(home) / engine


def is_installed(engine: str) -> bool:
    return (folder_of(engine) / READY).is_file()


def interpreter_of(engine: str) -> str:
    """The Python that runs the leg: of its own environment where that was made, else this one."""
    if not is_installed(engine):
        return sys.executable
    inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(folder_of(engine).joinpath(*inside))


def install(engine: str, packages: tuple[str, ...], npm: tuple[str, ...], say: Callable[[str], None]) -> Path:
    """Makes the environment of a leg anew; it counts as installed only when all of it is there.

    Raises:
        ProviderUnavailableError: pip or npm failed; the last line of what it said.
    """
    folder = folder_of(engine)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if packages:
        pinned = [f"{name}=={importlib.metadata.version(name)}" for name in SHARED]
        say(f"{engine}: {', '.join((*packages, *pinned))}")
        _run(engine, [sys.executable, "-m", "venv", str(folder)])
        inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        pip = [str(folder.joinpath(*inside)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(engine, [*pip, *packages, *pinned])
    if npm:
        say(f"{engine}: {', '.join(npm)}")
        program = shutil.which("npm")
        if program is None:
            raise ProviderUnavailableError(f"{engine}: needs node and npm, found no npm; install Node.js")
        _run(engine, [program, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *npm])
    (folder / READY).write_text("\n".join((*packages, *npm)) + "\n", encoding="utf-8")
    return folder


def bridge(into: Path) -> Path:
    """A folder for PYTHONPATH: copies of the two packages that a leg needs, nothing else of this environment."""
    for package in (models, runtimes):
        source = Path(package.__path__[0])
        target = into / "nvc_check" / source.name
        target.mkdir(parents=True)
        for file in (*source.glob("*.py"), *source.glob("*.mjs")):
            shutil.copyfile(file, target / file.name)
    return into


def _run(engine: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ProviderUnavailableError(
            f"{engine}: {Path(command[0]).name} ended with {done.returncode}"
            f" ({words[-1].strip() if words else 'silent'}); is there a network?"
        )
