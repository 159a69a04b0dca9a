"""Python, numpy, onnx and ONNX Runtime of another architecture, in a folder, for an emulated processor.

Debian's packages unpacked, not installed: no root, no chroot; the emulator's -L looks into the folder first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.process.environments import begin, finish, folder_of, is_installed, run

SUITE, PYTHON = "bookworm", "3.11"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN: Final = {"x86_64": "amd64", "aarch64": "arm64"}
PROGRAMS: Final = (f"python{PYTHON}-minimal", f"libpython{PYTHON}-stdlib", "libstdc++6")
# onnxruntime 1.31.1 crashes on import under qemu 7.2's aarch64
WHEELS: Final = ("numpy==1.26.4", "onnx==1.23.2", "onnxruntime==1.23.2")
TAGS: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28")
PINS: Final = (f"debian {SUITE}", *PROGRAMS, *WHEELS)


def name_of(architecture: str) -> str:
    return f"debian-{DEBIAN[architecture]}"


def is_ready(architecture: str) -> bool:
    return is_installed(name_of(architecture), PINS)


def python_of(architecture: str) -> tuple[list[str], list[str]]:
    """(words that begin with the emulator's options, folders for PYTHONPATH)."""
    folder = folder_of(name_of(architecture))
    root = folder / "root"
    return ["-L", str(root), str(root / "usr" / "bin" / f"python{PYTHON}")], [str(folder / "wheels")]


def install(architecture: str, say: Callable[[str], None]) -> Path:
    """Makes the folder anew; it counts as installed only when all of it is there.

    Raises:
        ProviderUnavailableError: no apt or dpkg here, no such Debian, no keyring, or a download failed.
    """
    name = name_of(architecture)
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ProviderUnavailableError(f"{name}: found no {program}; it is made on Debian or Ubuntu")
    if not KEYRING.is_file():
        raise ProviderUnavailableError(f"{name}: found no {KEYRING}; apt-get install debian-archive-keyring")
    folder = begin(name)
    say(f"{name}: {', '.join(PROGRAMS)} of Debian {SUITE}, {', '.join(WHEELS)}")
    _unpack(name, architecture, folder)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(folder / "wheels"), "--only-binary=:all:", "--python-version", PYTHON]
    command += [word for tag in TAGS for word in ("--platform", f"{tag}_{architecture}")]
    run(name, [*command, *WHEELS])
    return finish(name, PINS)


def _mirror(name: str) -> str:
    """Where this machine's own apt takes Debian from."""
    command = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    for site, release, component in (line.split() for line in sorted(set(listed)) if len(line.split()) == 3):
        if (release, component) == (SUITE, "main"):
            return site
    raise ProviderUnavailableError(f"{name}: apt has no source of Debian {SUITE} main; it is made on Debian {SUITE}")


def _unpack(name: str, architecture: str, folder: Path) -> None:
    apt = folder / "apt"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    debian = DEBIAN[architecture]
    source = f"deb [arch={debian} signed-by={KEYRING}] {_mirror(name)} {SUITE} main\n"
    (apt / "sources.list").write_text(source, encoding="utf-8")
    settings = {
        "APT::Architecture": debian,
        "APT::Architectures": debian,
        "APT::Sandbox::User": "",  # apt's own user may not write here
        "Acquire::Languages": "none",
        "Dir::State": str(apt / "state"),
        "Dir::State::status": os.devnull,  # nothing is installed yet: every dependency is wanted
        "Dir::Cache": str(apt / "cache"),
        "Dir::Etc::SourceList": str(apt / "sources.list"),
        "Dir::Etc::SourceParts": os.devnull,
    }
    get = ["apt-get", "-qq", "-y", *(f"-o{key}={value}" for key, value in settings.items())]
    run(name, [*get, "update"])
    run(name, [*get, "--no-install-recommends", "--download-only", "install", *PROGRAMS])
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        run(name, ["dpkg-deb", "-x", str(package), str(folder / "root")])
    shutil.rmtree(apt)
