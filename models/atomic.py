"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nvc_check.models.errors import UsageError


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, renamed to it when the block ends without an exception, else removed.

    Raises:
        UsageError: the folder of `target` cannot be created or written, or a folder is at `target`.
    """
    if target.is_dir():
        raise UsageError(f"{target}: found a folder, expected a file name; choose another place")
    part = _beside(target)
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed to it when the block ends without an exception, else removed.

    A folder that is already at `target` is replaced.

    Raises:
        UsageError: the folder of `target` cannot be created or written, or a file is at `target`.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target}: found a file, expected a folder or nothing; choose another --out")
    part = _beside(target)
    try:
        part.mkdir()
        yield part
        if target.exists():
            old = _beside(target)
            target.replace(old)
            part.replace(target)
            shutil.rmtree(old)
        else:
            part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_place(target: Path) -> None:
    """For the moment before long work: raises UsageError where `target` cannot be created. Creates nothing."""
    nearest = next(folder for folder in target.absolute().parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        found = "not writable" if nearest.is_dir() else "a file, expected a folder"
        raise UsageError(f"{target}: cannot write there ({nearest} is {found}); choose another place")


def _beside(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.") as probe:
            name = probe.name
    except OSError as error:
        raise UsageError(f"{target}: cannot write there ({error.strerror}); choose another place") from error
    return Path(f"{name}.{os.getpid()}.part")
