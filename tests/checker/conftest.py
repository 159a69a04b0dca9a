"""The command line as a user meets it: run in this process, with what it printed, returned and left behind."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nvc_check.checker.cli.main import main


class Ran(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `nvc-check ARGUMENTS`."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["nvc-check", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def refused(
    command: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, list[str]], str]:
    """Runs a command that must end with this code, one line on standard error and nothing written; gives the line."""

    def run(code: int, arguments: list[str]) -> str:
        # scratch folders count as leavings too
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        before = sorted(tmp_path.rglob("*"))
        ran = command(*arguments)
        (line,) = ran.err.splitlines()
        assert line.startswith("nvc-check: ")
        assert (ran.code, ran.out) == (code, ""), line
        assert sorted(tmp_path.rglob("*")) == before
        return line

    return run
