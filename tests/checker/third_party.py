"""Engines of a third party, as an installed package that nvc-check finds by its entry points: nothing is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def install_engines(site: Path, engines: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`engines`: name -> source of its module, in this process's path and in those of the legs."""
    described = site / "third_party-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: third_party\nVersion: 1.0\n")
    lines = [f"{name} = third_party_{name}" for name in engines]
    (described / "entry_points.txt").write_text("\n".join(["[nvc_check.engines]", *lines, ""]))
    for name, source in engines.items():
        (site / f"third_party_{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
