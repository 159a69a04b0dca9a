"""The same work on several pictures at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """[work(item) for item in items], in threads: what takes time must release the interpreter's lock, as torch does.

    float64 transposed convolutions use one core each; results do not depend on how many there are.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(work, items))
