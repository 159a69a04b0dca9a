"""--out and --json: what is somebody else's is never touched, and what was begun leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nvc_check.models.artifacts.package import Package, is_package
from nvc_check.models.atomic import whole_file, whole_folder
from nvc_check.models.errors import UsageError

Refused = Callable[[int, list[str]], str]
SAMPLE = ["sample", "--size", "64x64", "--frames", "1", "--out"]


def photographs(place: Path, _: Package) -> None:
    place.mkdir()
    (place / "holiday.jpg").write_bytes(b"of one's own")


def repository(place: Path, _: Package) -> None:
    subprocess.run(["git", "init", "-q", place], check=True)


def package_and_notes(place: Path, package: Package) -> None:
    shutil.copytree(package.root, place)
    (place / "notes.txt").write_text("of one's own")


def package_in_a_repository(place: Path, package: Package) -> None:
    shutil.copytree(package.root, place)
    subprocess.run(["git", "init", "-q", place], check=True)


def package_with_a_link(place: Path, package: Package) -> None:
    shutil.copytree(package.root, place)
    (place / "link").symlink_to(package.root)


def manifest_of_another(place: Path, _: Package) -> None:
    place.mkdir()
    (place / "manifest.json").write_text(json.dumps({"schema": "another/tool/1", "files": {}}))


def a_file(place: Path, _: Package) -> None:
    place.write_bytes(b"of one's own")


def link_to_photographs(place: Path, package: Package) -> None:
    photographs(place.with_name("real"), package)
    place.symlink_to("real")


def link_to_nothing(place: Path, _: Package) -> None:
    place.symlink_to("nowhere")


def link_to_itself(place: Path, _: Package) -> None:
    place.symlink_to(place.name)


FOLDERS = [
    photographs,
    repository,
    package_and_notes,
    package_in_a_repository,
    package_with_a_link,
    manifest_of_another,
    a_file,
    link_to_photographs,
    link_to_nothing,
    link_to_itself,
]


def holding(folder: Path) -> dict[str, tuple[bool, bytes]]:
    """Path -> (is a link, bytes of a file or of a link's target)."""
    found = {}
    for entry in sorted(folder.rglob("*")):
        if entry.is_symlink() or entry.is_file():
            data = os.readlink(entry).encode() if entry.is_symlink() else entry.read_bytes()
            found[str(entry.relative_to(folder))] = (entry.is_symlink(), data)
    return found


def broken_off(writing: AbstractContextManager[Path], write: Callable[[Path], object]) -> None:
    """Writes, and fails before the end."""

    def begin() -> None:
        with writing as part:
            write(part)
            raise KeyError

    with pytest.raises(KeyError):
        begin()


@pytest.mark.parametrize("made", FOLDERS)
@pytest.mark.parametrize("source", ["mbt2018-mean-relu-small", "decoder.onnx"])
def test_a_folder_of_ones_own(
    refused: Refused, package: Package, tmp_path: Path, made: Callable[[Path, Package], None], source: str
) -> None:
    """Refused before anything is computed: the ONNX file of this test does not even exist."""
    place = tmp_path / "place"
    made(place, package)
    before = holding(tmp_path)
    line = refused(2, ["export", source, "--out", str(place)])
    assert line.startswith(f"nvc-check: {place}: ") and holding(tmp_path) == before


@pytest.mark.parametrize("spelled", [".", "..", "./", "../here", "/"])
def test_the_working_directory(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str) -> None:
    """Even an empty one: its shell would stand in a folder that is gone."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert "working directory" in refused(2, ["export", "mbt2018-mean-relu-small", "--out", spelled])
    assert (tmp_path / "here").is_dir()


@pytest.mark.parametrize("name", ["x" * 300, "a" * 5000])
@pytest.mark.parametrize("command_", [["export", "mbt2018-mean-relu-small", "--out"], SAMPLE])
def test_names_that_no_file_can_have(refused: Refused, tmp_path: Path, name: str, command_: list[str]) -> None:
    assert "cannot write there" in refused(2, [*command_, str(tmp_path / name)])


def test_what_may_be_replaced(package: Package, tmp_path: Path) -> None:
    """Nothing, an empty folder, and a package, also through a link, which stays one; half a one replaces nothing."""
    place, link = tmp_path / "place", tmp_path / "link"
    link.symlink_to("place")
    place.mkdir()
    for target in (place, place, link):
        with whole_folder(target, is_package) as part:
            shutil.copytree(package.root, part, dirs_exist_ok=True)
        assert is_package(place) and link.is_symlink()
    before = holding(place)
    broken_off(whole_folder(place, is_package), lambda part: (part / "half").write_text(""))
    assert holding(place) == before and sorted(tmp_path.iterdir()) == [link, place]


def test_a_place_that_changes_meanwhile(package: Package, tmp_path: Path) -> None:
    """What somebody put there while the export ran is as much theirs."""
    place = tmp_path / "place"
    with pytest.raises(UsageError, match="did not write there"), whole_folder(place, is_package):
        photographs(place, package)
    assert sorted(tmp_path.rglob("*")) == [place, place / "holiday.jpg"]


def test_a_swap_that_fails(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old package stands where the new one cannot be put."""
    place = tmp_path / "place"
    shutil.copytree(package.root, place)
    before, rename = holding(place), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="Input/output"), whole_folder(place, is_package) as part:
        (part / "new").write_text("")
    assert holding(place) == before and list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("kind", ["link", "folder", "link to nothing"])
def test_a_file_through_links(command: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    place, real = tmp_path / "clip.y4m", tmp_path / "real.y4m"
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(real.name)
    if kind == "link":
        real.write_bytes(b"old")
    ran = command(*SAMPLE, place)
    if kind == "link":
        assert ran.code == 0 and place.is_symlink() and real.read_bytes().startswith(b"YUV4MPEG2")
    else:
        assert ran.code == 2 and ran.err.count("\n") == 1 and not real.exists()


@pytest.mark.parametrize("target", ["/dev/null", "FIFO"])
def test_json_is_written_to_what_is_there(
    command: Callable[..., Any], package: Package, tmp_path: Path, target: str
) -> None:
    """A device and a FIFO stay what they are, and get the document."""
    said: list[bytes] = []
    reader = None
    if target == "FIFO":
        target = str(tmp_path / "fifo")
        os.mkfifo(target)
        reader = threading.Thread(target=lambda: said.append(Path(target).read_bytes()), daemon=True)
        reader.start()
    mode = Path(target).stat().st_mode
    assert command("certify", package.root, "--json", target).code == 0
    assert Path(target).stat().st_mode == mode
    if reader is not None:
        reader.join(timeout=30)
        assert "verdicts" in said[0].decode() and sorted(tmp_path.iterdir()) == [Path(target)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk(command: Callable[..., Any], package: Package) -> None:
    ran = command("certify", package.root, "--json", "/dev/full")
    assert ran.code == 2 and ran.err.startswith("nvc-check: ") and "No space left on device" in ran.err


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    broken_off(whole_file(target), lambda part: part.write_text("half"))
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
