"""The symbols file: what goes in comes out, and damage is noticed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nvc_check.models.artifacts.symbols import FrameInfo, Symbols, SymbolsWriter
from nvc_check.models.errors import BadArtifactError

PACKAGE = "0123456789ab" * 5
# largest magnitudes that still fit, and the first that do not
WIDTHS = {"int8": (-128, 127), "int16": (-129, 32767), "int32": (-(2**31), 2**31 - 1)}


def tensors(number: int) -> dict[str, dict[str, NDArray[np.int32]]]:
    """Symbols of one frame, of another width in each frame."""
    low, high = list(WIDTHS.values())[number]
    y = np.arange(2 * 3 * 4, dtype=np.int32).reshape(1, 2, 3, 4)
    y[0, 0, 0, :2] = low, high
    z = np.full((1, 5, 1, 1), -number, np.int32)
    return {"fp32": {"image.y": y, "image.z": z}, "int": {"image.y": y[:, ::-1], "image.z": z + 1}}


def info(number: int) -> FrameInfo:
    return FrameInfo(f"frame {number}", 40 + number, 60, {"fp32": 1.5, "int": 2.25}, {"fp32": 30.0, "int": 999.0})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three frames of int8, int16 and int32."""
    return write(tmp_path / "symbols.npz")


def write(file: Path) -> Path:
    writer = SymbolsWriter(file, PACKAGE, {"source": "größe.y4m"})
    for number in range(len(WIDTHS)):
        writer.add(info(number), tensors(number))
    writer.finish()
    return file


def read_all(file: Path) -> list[dict[str, NDArray[Any]]]:
    with Symbols(file, PACKAGE) as symbols:
        return [symbols.read(number, path) for number in range(len(symbols.frames)) for path in ("fp32", "int")]


def test_round_trip(file: Path) -> None:
    """Symbols of every width come back as int32, and the frames' descriptions as they were."""
    with Symbols(file, PACKAGE) as symbols:
        assert symbols.frames == [info(number) for number in range(len(WIDTHS))]
        assert (symbols.package, symbols.source) == (PACKAGE, {"source": "größe.y4m"})
        for number in range(len(WIDTHS)):
            for path, expected in tensors(number).items():
                found = symbols.read(number, path)
                assert list(found) == ["image.y", "image.z"]
                for name, tensor in expected.items():
                    assert found[name].dtype == np.int32
                    np.testing.assert_array_equal(found[name], tensor)


def test_each_tensor_is_stored_as_narrow_as_it_fits(file: Path) -> None:
    """int8 and int16 where the values fit, int32 for escapes."""
    with zipfile.ZipFile(file) as archive:
        stored = [np.load(io.BytesIO(archive.read(f"{n:06d}/int/image.y.npy"))).dtype.name for n in range(len(WIDTHS))]
    assert stored == list(WIDTHS)


def test_the_digest_is_of_the_content_alone(file: Path, tmp_path: Path) -> None:
    """Two writes give the same bytes, whatever the time; another source another digest."""
    with Symbols(file, PACKAGE) as one, Symbols(write(tmp_path / "again.npz"), None) as two:
        assert one.digest == two.digest
    assert file.read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert b"\x00\x00\x21\x00" in file.read_bytes()[:14]  # 1980-01-01, the date of no clock


def test_of_another_package(file: Path) -> None:
    """The message has both digests and the remedy."""
    with pytest.raises(BadArtifactError, match=r"0123456789ab…, expected those of ffffffffffff…; make them again"):
        Symbols(file, "f" * 60)


def test_of_another_version(file: Path) -> None:
    """A schema that this version does not know is refused."""
    with zipfile.ZipFile(file) as archive:
        header = archive.read("symbols.json").replace(b"symbols/2", b"symbols/9")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("symbols.json", header)
    with pytest.raises(BadArtifactError, match="schema 'nvc-check/symbols/9', expected 'nvc-check/symbols/2'"):
        Symbols(file, None)


def test_every_cut_is_noticed(file: Path) -> None:
    """A file that ends early anywhere does not open."""
    whole = file.read_bytes()
    for length in range(0, len(whole), 37):
        file.write_bytes(whole[:length])
        with pytest.raises(BadArtifactError, match="not a whole symbols file"):
            Symbols(file, PACKAGE)


def test_no_flipped_bit_changes_a_symbol(file: Path) -> None:
    """A damaged entry is refused by name, or the bit was of no importance: never other numbers, never a crash."""
    whole, expected = file.read_bytes(), read_all(file)
    refused = 0
    for position in range(0, len(whole), 11):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        try:
            found = read_all(file)
        except BadArtifactError:
            refused += 1
            continue
        np.testing.assert_equal(found, expected)
    assert refused > len(whole) / 11 / 2
