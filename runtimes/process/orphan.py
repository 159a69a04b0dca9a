"""What a leg's process does when the checker that started it has gone: ends, with all that it started and left.

Asking for the parent's number costs nothing, works in emulated processors too, and does not depend on which thread of
the checker started the leg, as a signal on the parent's death would (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 0.5
PARENT = "NVC_CHECK_PARENT"  # the checker's process: it may be gone before the leg's first line runs
SCRATCH = "NVC_CHECK_SCRATCH"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder of the checker's, with those of its legs in it: one that outlives the checker removes it."""
    with tempfile.TemporaryDirectory(prefix="nvc-check-") as folder:
        os.environ[SCRATCH] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[SCRATCH]


def end_with_parent() -> None:
    """Starts the watch. On Windows a process keeps its parent's number: there the end of standard input ends it."""
    if sys.platform == "win32":
        return
    threading.Thread(target=_watch, args=(int(os.environ[PARENT]),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    leave()


def leave() -> None:
    """Removes what nobody else removes any more, and ends this process's session."""
    for folder in filter(None, (os.environ.get("TMPDIR"), os.environ.get(SCRATCH))):
        shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # a session of its own: itself, and what engines started
