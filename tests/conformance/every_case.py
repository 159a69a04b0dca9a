"""All cases: one file per operator, one per assumption (A1 to A5) about the runtime."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from conformance.case import Case

HERE = Path(__file__).parent
OPERATORS: Final = tuple(sorted(file.stem for file in (HERE / "operators").glob("*.py")))
ASSUMPTIONS: Final = tuple(sorted(file.stem for file in (HERE / "assumptions").glob("*.py")))


def _cases(folder: str, names: tuple[str, ...]) -> list[Case]:
    return [case for name in names for case in importlib.import_module(f"conformance.{folder}.{name}").CASES]


CASES: Final = {case.name: case for case in _cases("operators", OPERATORS) + _cases("assumptions", ASSUMPTIONS)}
