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

from nvc_check import models, runtimes
from nvc_check.models.errors import ProviderUnavailableError

SHARED = ("numpy", "onnx")  # at the versions of the environment that installs
READY = "ready"


def folder_of(name: str) -> Path:
    home = os.environ.get("NVC_CHECK_HOME")
    if not home:
        import platformdirs  # a leg's process has NVC_CHECK_HOME or does not ask

        home = platformdirs.user_cache_dir("nvc-check", appauthor=False)
    return Path(home).resolve() / name


def is_installed(name: str, pins: tuple[str, ...]) -> bool:
    """Whether all of these pins were installed, by an installation that came to its end."""
    try:
        return (folder_of(name) / READY).read_text(encoding="utf-8").splitlines() == list(pins)
    except OSError:
        return False


def python_of(name: str) -> Path:
    inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return folder_of(name).joinpath(*inside)


def install(name: str, packages: tuple[str, ...], npm: tuple[str, ...], say: Callable[[str], None]) -> Path:
    """Makes the environment of an engine anew; it counts as installed only when all of it is there.

    Raises:
        ProviderUnavailableError: no npm, or pip or npm failed; the last line of what it said.
    """
    program = shutil.which("npm")
    if npm and program is None:
        raise ProviderUnavailableError(f"{name}: npm is not installed; apt-get install nodejs npm")
    folder = begin(name)
    if packages:
        pinned = [f"{shared}=={importlib.metadata.version(shared)}" for shared in SHARED]
        say(f"{name}: {', '.join((*packages, *pinned))}")
        run(name, [sys.executable, "-m", "venv", str(folder)])
        pip = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(name, [*pip, *packages, *pinned])
    if npm and program is not None:
        say(f"{name}: {', '.join(npm)}")
        run(name, [program, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *npm])
    return finish(name, (*packages, *npm))


def begin(name: str) -> Path:
    """An empty folder that does not count as installed, also where removing the old one is cut off."""
    folder = folder_of(name)
    (folder / READY).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def finish(name: str, pins: tuple[str, ...]) -> Path:
    """The last step of an installation."""
    (folder_of(name) / READY).write_text("\n".join(pins) + "\n", encoding="utf-8")
    return folder_of(name)


def run(name: str, command: list[str]) -> None:
    """Raises ProviderUnavailableError where the command fails: the last line of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ProviderUnavailableError(
            f"{name}: {Path(command[0]).name} ended with {done.returncode}"
            f" ({words[-1].strip() if words else 'silent'}); is there a network?"
        )


def bridge(into: Path) -> Path:
    """A folder for PYTHONPATH: copies of the two packages that a leg needs, nothing else of this environment."""
    for package in (models, runtimes):
        source = Path(package.__path__[0])
        for file in (*source.rglob("*.py"), *source.rglob("*.mjs")):
            target = into / "nvc_check" / source.name / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return into
