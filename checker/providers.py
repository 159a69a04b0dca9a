"""The list of legs: ready, not installed (with the line that installs it), or cannot start (with the reason)."""

from __future__ import annotations

import importlib.metadata
from importlib.util import find_spec

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.runtimes.registry import known_engines


def print_providers(console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("leg", "state", "what it is"):
        table.add_column(name)
    for name, engine in known_engines().items():
        if find_spec(engine.requires) is None:
            state = f"[yellow]not installed[/]: {engine.install}"
        elif name == "cuda" and not _has_cuda():
            state = "[yellow]cannot start[/]: this onnxruntime has no CUDA provider"
        else:
            state = f"[green]ready[/] ({engine.requires} {_version(engine.requires)})"
        table.add_row(name, state, engine.summary)
    console.print(table)


def _version(module: str) -> str:
    distributions = importlib.metadata.packages_distributions().get(module, [module])
    return importlib.metadata.version(distributions[0])


def _has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
