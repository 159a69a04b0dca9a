"""Packages, symbols and traces that are damaged, foreign or of another version: exit code 3, one line, no output."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nvc_check.checker.traces.record import record
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.runtimes.leg import LegSpec

GRAPH = "int/entropy.qdq.onnx"
ALTERED = "altered or damaged; export the package again"


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# what is done to a file of a package, and what the line says
PACKAGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "manifest edited": ("manifest.json", lambda data: data.replace(b'"w8a8"', b'"w8a9"'), "does not fit its content"),
    "manifest cut": ("manifest.json", lambda data: data[:200], "manifest.json: not a manifest ("),
    "manifest is text": ("manifest.json", lambda data: b"some text", "manifest.json: not a manifest ("),
    "manifest is a list": ("manifest.json", lambda data: b"[1, 2]", "manifest.json: not a manifest ("),
    "manifest nests": ("manifest.json", lambda data: b"[" * 100_000, "manifest.json: not a manifest ("),
    "other version": ("manifest.json", lambda data: data.replace(b"package/1", b"package/2"), "package/1'; export the"),
    "graph cut": (GRAPH, lambda data: data[: len(data) // 2], f"{GRAPH} has SHA-256"),
    "one bit of a graph": (GRAPH, lambda data: flipped(data, len(data) // 2), ALTERED),
    "one bit of a table": ("tables.npz", lambda data: flipped(data, len(data) // 2), ALTERED),
    "one bit of the weights": ("codec.safetensors", lambda data: flipped(data, len(data) // 2), ALTERED),
}


@pytest.mark.parametrize("case", PACKAGES)
@pytest.mark.parametrize("verb", ["symbols {package} --input {clip} --out {out}", "compare {package} --symbols {out}"])
def test_a_damaged_package_is_refused(
    case: str, verb: str, refused: Callable[[int, list[str]], str], package: Package, clip: Path, tmp_path: Path
) -> None:
    """By digest, before anything runs."""
    name, change, says = PACKAGES[case]
    root = shutil.copytree(package.root, tmp_path / "package")
    (root / name).write_bytes(change((root / name).read_bytes()))
    line = refused(3, verb.format(package=root, clip=clip, out=tmp_path / "result").split())
    assert says in line and "export the package" in line


@pytest.mark.parametrize("name", [GRAPH, "fp32/frame.onnx", "tables.npz", "certificate.json", "manifest.json"])
def test_a_missing_file_is_named(
    name: str, refused: Callable[[int, list[str]], str], package: Package, tmp_path: Path
) -> None:
    """Also the certificate, which no leg reads."""
    root = shutil.copytree(package.root, tmp_path / "package")
    (root / name).unlink()
    line = refused(3, ["compare", str(root)])
    assert name in line and "export" in line


@pytest.fixture(scope="module")
def bad_symbols(tmp_path_factory: pytest.TempPathFactory, symbols: Path, inexact_symbols: Path) -> Path:
    """A folder of symbols files."""
    folder = tmp_path_factory.mktemp("bad-symbols")
    data = symbols.read_bytes()
    with zipfile.ZipFile(symbols) as archive:
        first = archive.infolist()[0]
    (folder / "foreign.npz").write_bytes(inexact_symbols.read_bytes())
    (folder / "cut.npz").write_bytes(data[: len(data) // 2])
    (folder / "text.npz").write_text("some text")
    (folder / "flipped.npz").write_bytes(flipped(data, first.header_offset + 30 + len(first.filename) + 20))
    return folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.npz", "not a whole symbols file"),
        ("text.npz", "not a whole symbols file"),
        ("cut.npz", "not a whole symbols file"),
        ("foreign.npz", "expected those of"),
        ("flipped.npz", "entry 000000/fp32/image.y.npy is damaged"),
    ],
)
def test_bad_symbols_are_refused(
    name: str,
    says: str,
    refused: Callable[[int, list[str]], str],
    package: Package,
    bad_symbols: Path,
    tmp_path: Path,
) -> None:
    """Even when the damage shows only once the leg has started."""
    arguments = ["record", package.root, "--symbols", bad_symbols / name, "--provider", "cpu", "--out", tmp_path / "x"]
    line = refused(3, [str(argument) for argument in arguments])
    assert f"{name}: " in line and says in line and ("again" in line or "make it with" in line)


@pytest.fixture(scope="module")
def traces(
    tmp_path_factory: pytest.TempPathFactory,
    package: Package,
    symbols: Path,
    inexact_package: Package,
    inexact_symbols: Path,
) -> Path:
    """A folder of traces of the leg `exact`: one good, the others not to be compared with it."""
    folder = tmp_path_factory.mktemp("traces")
    for name, made, file in (("good", package, symbols), ("foreign", inexact_package, inexact_symbols)):
        with Symbols(file, made.manifest.digest) as read:
            record(made, read, LegSpec.parse("exact"), folder / f"{name}.json")
    text = (folder / "good.json").read_text()
    edited = re.sub(r'("sha256": ".*?)(\d)', lambda found: f"{found[1]}{(int(found[2]) + 1) % 10}", text, count=1)
    (folder / "edited.json").write_text(edited)
    (folder / "cut.json").write_text(text[: len(text) // 2])
    (folder / "list.json").write_text("[]")
    (folder / "version.json").write_text(text.replace("trace/2", "trace/1"))
    return folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "not a whole trace"),
        ("cut", "not a whole trace"),
        ("list", "not a whole trace"),
        ("version", "expected 'nvc-check/trace/2'"),
        ("edited", "its digest does not fit its content"),
        ("foreign", "record both from one package, or say --across-packages"),
    ],
)
def test_bad_traces_are_refused(name: str, says: str, refused: Callable[[int, list[str]], str], traces: Path) -> None:
    """Also a trace in which one digit was edited."""
    line = refused(3, ["compare", str(traces / "good.json"), str(traces / f"{name}.json")])
    assert f"{name}.json: " in line and says in line


def test_across_packages_compares_on_request(command: Callable[..., tuple[int, str, str]], traces: Path) -> None:
    """Asked for, two packages are compared, and differ."""
    code, out, err = command("compare", traces / "good.json", traces / "foreign.json", "--across-packages")
    assert (code, err) == (1, "")
    assert "int: different" in out
