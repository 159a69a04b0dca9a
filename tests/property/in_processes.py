"""Checks of many items in processes of their own, which a crash of an engine ends without ending the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_processes(
    check: Callable[[Item], Found], items: Sequence[Item], processes: int = 2, *, again: bool = False
) -> Iterator[tuple[Item, Found | None]]:
    """(item, what `check` found) in the items' order; None where the process ended.

    `again`: such an item is tried once more, alone in a process, as an engine may end by what it ran before.
    """
    idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for _ in range(processes):
        idle.put(_process())

    def one(item: Item) -> Found | None:
        worker = idle.get()
        try:
            found = worker.submit(check, item).result()
        except BrokenProcessPool:
            worker = _process()
        else:
            return found
        finally:
            idle.put(worker)
        if not again:
            return None
        ((_, retried),) = in_processes(check, [item], 1)
        return retried

    with ThreadPoolExecutor(processes) as threads:
        yield from zip(items, threads.map(one, items), strict=True)
    for _ in range(processes):
        idle.get().shutdown()


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))  # a fork would copy the engines' threads
