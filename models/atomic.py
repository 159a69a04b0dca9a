"""Files and folders that appear whole or not at all, and never in the place of what is somebody else's.

A file may be replaced, a device or FIFO is written to, a link is followed and stays a link. A folder may be replaced
where it is empty, or where whoever writes it says that all in it is of its own making.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nvc_check.models.errors import UsageError

CURE = "choose another place"
Replaceable = Callable[[Path], bool]


def nothing_else(folder: Path) -> bool:
    """Of no folder with anything in it is it known that it may go."""
    return False


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A temporary path, moved to `target` when the block ends without an exception, else removed.

    Raises:
        UsageError: `target` cannot be created or written, is a folder, or a link to nothing.
    """
    place = check_file(target)
    special = place.exists() and not place.is_file()
    part = _beside(target, Path(tempfile.gettempdir()) / "out" if special else place)
    try:
        yield part
        if special:  # a device or FIFO is what the user wants to write to, not its name
            with part.open("rb") as written, place.open("wb") as stream:
                shutil.copyfileobj(written, stream)
        else:
            part.replace(place)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path, replaceable: Replaceable = nothing_else) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed to it when the block ends without an exception, else removed.

    Args:
        replaceable: whether a folder that is there, with files in it, may be replaced.

    Raises:
        UsageError: `target` cannot be created or written, or something else is there.
    """
    place = check_folder(target, replaceable)
    part = _beside(target, place)
    try:
        part.mkdir()
        yield part
        _swap(part, check_folder(target, replaceable))  # again: hours may have passed
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_file(target: Path) -> Path:
    """What a file is to be written to, links followed. Creates nothing.

    Raises:
        UsageError: as `whole_file`.
    """
    place = _followed(target)
    if place.is_dir():
        raise UsageError(f"{target}: found a folder, expected a file name; {CURE}")
    if place.exists() and not os.access(place, os.W_OK):
        raise UsageError(f"{target}: cannot write there (not writable); {CURE}")
    if not place.exists() or place.is_file():
        _check_parent(target, place)
    return place


def check_folder(target: Path, replaceable: Replaceable = nothing_else) -> Path:
    """What a folder is to be written to, links followed. Creates nothing.

    Raises:
        UsageError: as `whole_folder`.
    """
    place = _followed(target)
    if place.exists() and not place.is_dir():
        raise UsageError(f"{target}: found a file, expected a folder or nothing; {CURE}")
    here = Path.cwd()
    if place == here or place in here.parents:
        raise UsageError(f"{target}: the working directory or one around it, expected a folder of its own; {CURE}")
    if place.exists() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(f"{target}: cannot write there (not writable); {CURE}")
    if place.exists() and any(place.iterdir()) and not replaceable(place):
        raise UsageError(
            f"{target}: holds files that nvc-check did not write there, expected an empty folder, an earlier result"
            f" of the same command or nothing; {CURE}"
        )
    _check_parent(target, place)
    return place


def _followed(target: Path) -> Path:
    try:
        place = target.resolve()
        dangling = target.is_symlink() and not place.exists()
        place.exists()  # raises where a name is too long
    except (OSError, RuntimeError, ValueError) as error:  # loops of links, names too long or with NUL
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{target}: cannot write there ({reason}); {CURE}") from error
    if dangling:
        raise UsageError(f"{target}: a link to {place}, where nothing is; remove the link, or {CURE}")
    return place


def _check_parent(target: Path, place: Path) -> None:
    nearest = next(folder for folder in place.parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        found = "not writable" if nearest.is_dir() else "a file, expected a folder"
        raise UsageError(f"{target}: cannot write there ({nearest} is {found}); {CURE}")


def _beside(target: Path, place: Path) -> Path:
    """A name in the folder of `place` that nothing has; short, so that a long one of the user's stays possible."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".nvc-check-") as probe:
            name = probe.name
    except OSError as error:
        raise UsageError(f"{target}: cannot write there ({error.strerror}); {CURE}") from error
    return Path(f"{name}.part")


def _swap(part: Path, place: Path) -> None:
    """`part` becomes `place`; what was there goes only when the new one stands."""
    if not place.exists():
        part.replace(place)
        return
    old = Path(f"{part}.old")
    place.replace(old)
    try:
        part.replace(place)
    except BaseException:
        old.replace(place)
        raise
    shutil.rmtree(old)


def no_stream(file: Path, what: str) -> Path:
    """`file`, unless reading it has no end or takes what somebody else waits for: a FIFO, a socket, a device.

    Raises:
        UsageError: it is one; `what` says what was expected.
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        raise UsageError(f"{file}: not a regular file, expected {what}; copy it to one")
    return file
