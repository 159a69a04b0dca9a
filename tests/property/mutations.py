"""Files that somebody altered: python tests/property/mutations.py --mutants 1000 [--first 0]

A package, a trace, a symbols file, an ONNX file, a checkpoint, a picture or a clip, each with one thing changed: bytes,
a length, a field of a document, its type or size, the digests made to fit again or not. Whatever is in them, a command
ends within SECONDS (of a checkpoint: and what exporting the whole one takes; a machine with other work may take longer
by the clock, if not by its processor's) with a documented exit code and one line, and takes no more memory than GROWN
above what the whole file needs. Exit code 1: one did not. Every mutant is made from
its number: --mutants 1 --first NUMBER repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from models.checkpoints import codec
from property.altered import Originals, Rng, altered_model, altered_package, altered_symbols, altered_trace
from property.altered_inputs import altered_checkpoint, altered_media, made_media
from property.in_processes import in_processes

from nvc_check.checker.cli.main import main as nvc_check

SECONDS: Final = 10
SHARED: Final = 4  # of them by the clock, where others use the processor too
MADE_WITHIN: Final = 600  # the files that are altered
GROWN: Final = 1 << 30  # bytes
CODES: Final = frozenset({0, 1, 2, 3, 4, 5, 6})
MANY: Final = 40  # mutants of which some of each kind must be found out
KINDS: Final[dict[str, Callable[[Originals, Path, Rng], list[str]]]] = {
    "package": altered_package,
    "trace": altered_trace,
    "symbols": altered_symbols,
    "onnx": altered_model,
    "checkpoint": altered_checkpoint,
    "media": altered_media,
}


class Expired(BaseException):
    """No Exception, of which libraries make others."""


HUNG, DIED = "no end in time", "its process ended"


@dataclass(frozen=True)
class Ended:
    """How a command ended on a mutant; `fault` says what it must not do, "" where it did not."""

    kind: str
    code: int
    said: str
    fault: str


def judged(number: int, originals: Originals) -> Ended:
    """Makes mutant `number` and runs its command in this process."""
    kind, rng = list(KINDS)[number % len(KINDS)], np.random.default_rng(number)
    with tempfile.TemporaryDirectory(prefix="nvc-check-mutant-") as folder:
        words = KINDS[kind](originals, Path(folder), rng)
        work = originals.export_seconds if kind == "checkpoint" else 0  # one that is still whole is exported
        code, out, err = ran(words, SECONDS + math.ceil(work))
    fault = ""
    if code not in CODES:
        fault = f"exit code {code}"
    elif code > 1 and words[0] != "certify" and err.count("\n") != 1:
        fault = f"{err.count(chr(10))} lines"
    elif "\x1b[31m" in out + err or "\0" in out + err:
        fault = "control characters reach the terminal"
    return Ended(kind, code, err.strip()[-200:], fault)


def ran(words: list[str], seconds: int = SECONDS, command: Callable[[], None] = nvc_check) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["nvc-check", *words]
    signal.signal(signal.SIGALRM, _expired)
    signal.alarm(SHARED * seconds)
    start, used = time.monotonic(), time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Expired:
        return -1, out.getvalue(), HUNG
    finally:
        signal.alarm(0)
        sys.argv = before
    slow = min(time.monotonic() - start, time.process_time() - used) > seconds
    return (-1, out.getvalue(), HUNG) if slow else (code, out.getvalue(), err.getvalue())


def _expired(number: int, frame: Any) -> None:
    raise Expired


def _bounded(number: int, originals: Originals, room: int) -> Ended:
    """As `judged`, in a process that cannot take more memory than it has and `room`."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return judged(number, originals)


def made_originals(folder: Path) -> Originals:
    """A small package of an image codec, two frames of symbols, two traces of them, a small checkpoint, pictures."""
    package, clip = folder / "package", folder / "clip.y4m"
    symbols, cpu, exact = folder / "symbols.npz", folder / "cpu.trace", folder / "exact.trace"
    for words in (
        ["export", "mbt2018-mean-relu-small", "--out", package],
        ["sample", "--size", "64x64", "--frames", "2", "--out", clip],
        ["symbols", package, "--input", clip, "--out", symbols],
        ["record", package, "--symbols", symbols, "--provider", "cpu", "--out", cpu, "--tensors"],
        ["record", package, "--symbols", symbols, "--provider", "exact", "--out", exact],
    ):
        code, _, err = ran([str(word) for word in words], MADE_WITHIN)
        if code:
            raise RuntimeError(f"{words[0]}: exit code {code}: {err}")
    checkpoint, pictures = folder / "weights.pt", folder / "pictures"
    torch.save(codec("mbt2018-mean-relu-small").state_dict(), checkpoint)
    pictures.mkdir()
    media = made_media(pictures)
    calibration = folder / "calibration"
    calibration.mkdir()
    shutil.copy(media[0], calibration)
    start = time.monotonic()
    export = ["export", checkpoint, "--calibration", calibration, "--out", folder / "exported"]
    code, _, err = ran([str(word) for word in export], MADE_WITHIN)
    if code:
        raise RuntimeError(f"export of the checkpoint: exit code {code}: {err}")
    seconds = time.monotonic() - start
    return Originals(package, symbols, cpu, exact, checkpoint, tuple(media), calibration, seconds)


def attacked(numbers: Sequence[int], originals: Originals, processes: int) -> list[tuple[int, Ended]]:
    room = GROWN + (1 << 31)  # libraries that the first command loads map much that they never touch
    found = []
    for number, ended in in_processes(partial(_bounded, originals=originals, room=room), numbers, processes):
        found.append((number, ended or Ended(list(KINDS)[number % len(KINDS)], -1, "", DIED)))
    return found


def report(found: Sequence[tuple[int, Ended]]) -> tuple[list[str], bool]:
    """(lines, whether all is well: no fault, and of many mutants some of each kind refused)."""
    faults = [f"mutant {number} ({e.kind}): {e.fault}: {e.said}" for number, e in found if e.fault or e.code == -1]
    counts = Counter((ended.kind, ended.code) for _, ended in found)
    lines = [
        f"{kind}: "
        + ", ".join(f"{count} ended with {code}" for (of, code), count in sorted(counts.items()) if of == kind)
        for kind in KINDS
    ]
    refused = {ended.kind for _, ended in found if ended.code > 1}
    idle = sorted(set(KINDS) - refused) if len(found) >= MANY else []
    if idle:
        lines.append(f"nothing was refused of: {', '.join(idle)}")
    return [*faults, *lines, f"{len(found)} mutants, {len(faults)} faults"], not faults and not idle


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mutants", type=int, default=1000)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--processes", type=int, default=2)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="nvc-check-mutations-") as folder:
        originals = made_originals(Path(folder))
        numbers = range(options.first, options.first + options.mutants)
        lines, well = report(attacked(numbers, originals, options.processes))
    print("\n".join(lines))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
