"""Names of files are bytes: in any locale, of any bytes, every command works and documents hold text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from checker.test_picture_examples import net
from PIL import Image

from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.text import document_text, is_text

Command = Callable[..., Any]
NAMES = {"of another encoding": (os.fsdecode(b"caf\xe9"), "caf\\xe9"), "of two scripts": ("é 日本", "é 日本")}
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def picture(file: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def names_in(file: Path, package: Package) -> tuple[str, str]:
    with Symbols(file, package.manifest.digest) as symbols:
        return symbols.source["source"], symbols.frames[0].name


def in_the_c_locale(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    program = Path(sys.executable).with_name("nvc-check")
    return subprocess.run([program, *words], env={**os.environ, **NO_UTF8}, capture_output=True, check=False)


@pytest.mark.parametrize("kind", NAMES)
def test_a_codec_and_a_picture(kind: str, package: Package, tmp_path: Path, command: Command) -> None:
    name, shown = NAMES[kind]
    folder = tmp_path / name
    (folder / "pictures").mkdir(parents=True)
    given = picture(folder / "pictures" / f"{name}.png")
    weights = folder / f"{name}.safetensors"
    shutil.copy(Path(__file__).parents[2] / "models/weights/mbt2018-mean-relu-small@1.safetensors", weights)

    assert command("export", weights, "--calibration", given.parent, "--out", folder / "package").code == 0
    exported = Package.open(folder / "package")
    assert exported.manifest.name == shown
    symbols = folder / "symbols.npz"
    assert command("symbols", exported.root, "--input", given.parent, "--out", symbols).code == 0
    assert names_in(symbols, exported) == ("pictures", f"{shown}.png")
    trace = folder / "exact.trace"
    said = ["--provider", "exact", "--label", "Büro 2", "--out", trace]
    assert command("record", exported.root, "--symbols", symbols, *said).code == 0
    legs = ["--providers", "exact,cpu", "--json", folder / "report.json", "--out", folder / "maps"]
    assert command("compare", exported.root, "--input", given, *legs).code == 0
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["package"]["name"] == shown
    assert list((folder / "maps").glob("**/*.png"))


@pytest.mark.parametrize("kind", NAMES)
def test_a_model(kind: str, tmp_path: Path, command: Command) -> None:
    name, shown = NAMES[kind]
    folder = tmp_path / name
    folder.mkdir()
    model, given = folder / f"{name}.onnx", picture(folder / f"{name}.png")
    onnx.save(net(), model)
    assert command("export", model, "--calibration", given, "--out", folder / "package").code == 0
    assert Package.open(folder / "package").manifest.name == shown
    legs = ["--providers", "exact,cpu", "--json", folder / "report.json"]
    assert command("compare", folder / "package", "--input", given, *legs).code == 0
    assert json.loads((folder / "report.json").read_text("utf-8"))["exit_code"] == 0
    certified = command("certify", model, "--json", folder / "certificate.json")
    assert certified.code == 4 and is_text(json.dumps(json.loads((folder / "certificate.json").read_text("utf-8"))))


def test_the_c_locale_writes_the_same_document(package: Package, tmp_path: Path, command: Command) -> None:
    given = picture(tmp_path / "ü 日本.png")
    here, there = tmp_path / "here.npz", tmp_path / "là.npz"
    assert command("symbols", package.root, "--input", given, "--out", here).code == 0
    ran = in_the_c_locale("symbols", package.root, "--input", given, "--out", there)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert there.read_bytes() == here.read_bytes()
    assert names_in(there, package) == (given.name, given.name)


def test_the_c_locale_has_ascii_tables_and_lines(package: Package, tmp_path: Path) -> None:
    given = picture(tmp_path / "ü.png")
    ran = in_the_c_locale("compare", package.root, "--input", given, "--providers", "exact,cpu")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.isascii() and b"int: identical: 0 of" in ran.stdout
    ran = in_the_c_locale("certify", tmp_path / "日本.onnx")
    assert ran.returncode == 2 and ran.stderr.isascii() and ran.stderr.count(b"\n") == 1


@pytest.mark.parametrize("text", ["", "a", "é 日本", os.fsdecode(b"\xff\xfe"), os.fsdecode(b"\xc3"), "\ud800"])
def test_any_text_becomes_one_that_documents_hold(text: str) -> None:
    made = document_text(text)
    assert is_text(made) and document_text(made) == made
    assert made == text or not is_text(text)
