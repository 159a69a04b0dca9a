"""A package's graphs, loaded on one engine and timed, and what ran of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import NvcCheckError, RunFailedError
from nvc_check.models.text import is_text
from nvc_check.runtimes.leg import Engine, Tensors
from nvc_check.runtimes.placement import Placement, exact_graphs


class LoadedGraphs:
    """The graphs `names` of one path."""

    def __init__(self, engine: Engine, package: Package, path: str, names: Iterable[str]) -> None:
        files = {name: package.graph(path, name, engine.flavour) for name in names}
        self._files = {name: file.relative_to(package.root).as_posix() for name, file in files.items()}
        self._exact = exact_graphs(package) if path == "int" else frozenset[str]()
        self._stated = str(getattr(engine, "stated", ""))
        started = time.perf_counter()
        self._graphs = {}
        for name, file in files.items():
            with _named_in_text(file) as readable:
                self._graphs[name] = engine.load(readable, name)
        self._seconds = time.perf_counter() - started

    def __contains__(self, name: str) -> bool:
        return name in self._graphs

    def run(self, name: str, inputs: Tensors) -> Tensors:
        """Raises RunFailedError where the engine failed."""
        started = time.perf_counter()
        try:
            return self._graphs[name](inputs)
        except NvcCheckError:
            raise
        except Exception as error:  # each engine has exception classes of its own
            raise RunFailedError(f"inference failed ({(str(error).splitlines() or [repr(error)])[0]})") from error
        finally:
            self._seconds += time.perf_counter() - started

    def take_seconds(self) -> float:
        """Time inside the engine, loading and running, since it was last taken."""
        taken, self._seconds = self._seconds, 0.0
        return taken

    def placement(self) -> Placement:
        """What ran of the graphs that have run so far."""
        found = Placement(stated=self._stated)
        for name, graph in self._graphs.items():
            ran = getattr(graph, "ran", None)
            if ran is not None:
                found.add(name, ran(), self._files[name] in self._exact)
        if not found.rows and not found.stated:
            found.stated = "the engine does not tell what ran"
        return found


def finite(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    """Raises RunFailedError for NaN and infinite values."""
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        bad = int(tensor.size - np.isfinite(tensor).sum())
        raise RunFailedError(f"{name} has {bad} values that are NaN or infinite, expected finite ones")
    return tensor


@contextmanager
def _named_in_text(file: Path) -> Iterator[Path]:
    """`file`, or a copy where its name is no text in this locale: most engines cannot be told such a name."""
    if is_text(str(file)):
        yield file
        return
    with TemporaryDirectory(prefix="nvc-check-graph-") as folder:
        yield Path(shutil.copy(file, folder))
