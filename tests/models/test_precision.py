"""wNaM, and files that give single layers another precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvc_check.models.errors import UsageError
from nvc_check.models.precision import Precision, Precisions


@pytest.mark.parametrize("text", ["w2a2", "w8a8", "w8a16", "w16a16", "w12a9"])
def test_what_is_read_is_what_is_written(text: str) -> None:
    assert str(Precision.of(text)) == text


@pytest.mark.parametrize("text", ["", "w8", "w1a8", "w8a17", "w8a8 ", "W8A8", "w-8a8", "w8a", "fp32", "w008a8", "w٨a8"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"precision .*: expected wNaM, N and M from 2 to 16"):
        Precision.of(text)


def test_the_last_pattern_that_fits_decides(tmp_path: Path) -> None:
    file = tmp_path / "layers.toml"
    file.write_text('"head.*" = "w8a16"\n"head.1" = "w16a16"\n"ta?l" = "w4a4"\n')
    precisions = Precisions.read(Precision(8, 8), file)
    found = {name: str(precisions.of(name)) for name in ("head.0", "head.1", "tail", "tails", "body")}
    assert found == {"head.0": "w8a16", "head.1": "w16a16", "tail": "w4a4", "tails": "w8a8", "body": "w8a8"}
    precisions.check(["head.1", "tall"])
    with pytest.raises(UsageError, match=r"layer ta\?l: fits none; there are head\.1, body"):
        precisions.check(["head.1", "body"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no layers"),
        (b'"a" = 8', "'a' is no text"),
        (b'[a]\nb = "w8a8"', "'a' is no text"),
        (b'"a" = "w99a8"', "precision w99a8"),
        (b'"a" = ', "not read"),
        (b"\xff", "not read"),
        (b'"a" = "w8a8"\n"a" = "w8a16"', "not read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "layers.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        Precisions.read(Precision(8, 8), file)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UsageError, match=f"{file}: not read"):
            Precisions.read(Precision(8, 8), file)
