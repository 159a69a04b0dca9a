"""What the terminal sees: progress on a terminal, silence in a pipe, errors in one line."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from nvc_check.checker.views.plain import harmless, plain

errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[Any], None]]:
    """Yields a function that takes one step; what it is given is shown beside the bar."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[item]}", style="dim"),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(title, total=total, item="")

        def advance(item: Any = None) -> None:
            bar.update(task, advance=1, item="" if item is None else harmless(str(item)))

        yield advance


@contextmanager
def status(title: str) -> Iterator[Callable[[str], None]]:
    """Yields a function that shows which step of `title` is being done."""
    if not errors.is_terminal:
        yield lambda step: None
        return
    title = harmless(title)
    with errors.status(title) as shown:
        yield lambda step: shown.update(f"{title}: {harmless(step)}")


def output_console(width: int | None = None) -> Console:
    """Standard output; tables keep their width in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        return Console(highlight=False, width=width or 160)
    return console


def any_encoding() -> None:
    """Names that the terminal's encoding does not have are shown by their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def quiet_libraries() -> None:
    """What libraries log of a damaged file reaches nobody: the command's own line says what to do."""
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


def error_line(error: BaseException) -> None:
    text = plain(" ".join(str(error).split()))
    errors.print(f"nvc-check: {text}", markup=False, style="bold red" if errors.is_terminal else None)


def shown_path(path: Path) -> str:
    """Relative to the working directory where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
