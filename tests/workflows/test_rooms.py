"""Every room's table of contents names what is in it, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(
    file.parent.relative_to(ROOT).as_posix()
    for top in ("models", "exporter", "runtimes", "checker")
    for file in (ROOT / top).rglob("__init__.py")
)


@pytest.mark.parametrize("room", ROOMS)
def test_table_of_contents(room: str) -> None:
    folder = ROOT / room
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    listed = set(re.findall(r"^(\w+/?) {2}", text, flags=re.MULTILINE))
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    assert listed == modules | {f"{file.parent.name}/" for file in folder.glob("*/__init__.py")}


def test_every_room_is_installed() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {f"nvc_check.{room.replace('/', '.')}" for room in ROOMS} <= set(re.findall(r'"(nvc_check[\w.]*)"', text))
