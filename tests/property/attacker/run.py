"""Attacks the certificate: python tests/property/attacker/run.py --graphs 10000 [--first 1000000] [--legs ...]

Random valid models are certified and run; what is called exact must give the bits of exact arithmetic on every leg of
its target. Every graph is made from its number, so that one can be repeated: --graphs 1 --first NUMBER.
Exit code 1: something was called exact and is not, or the run shows nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from property.attacker.drawn import drawn
from property.attacker.engines import RUNNERS
from property.attacker.judging import EXACT, FAILED, PROVED, REFUSED, Certifier, Judged, certified, judge
from property.in_processes import in_processes

FIRST = 1_000_000
USUAL_LEGS = ("ort off", "ort all", "openvino", "reference")
CRASHED = "its process ended"


def attacked(
    seeds: Sequence[int],
    legs: Sequence[str],
    processes: int,
    certifier: Certifier = certified,
    confirmed: bool = True,
) -> Iterator[Judged]:
    """The seeds' graphs in order.

    An engine that writes beside its arrays spoils the graphs after it, so that what is wrong is run again in a process
    of its own (unless not `confirmed`), and where that process ends each leg is tried in one.
    """
    for seed, judged in in_processes(partial(judge, legs=tuple(legs), certifier=certifier), seeds, processes):
        found = judged
        if found is None or (confirmed and found.wrong(EXACT)):
            found = _alone(seed, legs, certifier)
            if found is not None and judged is None:
                found.spoiled = True
        yield found or _leg_by_leg(seed, legs, certifier)


def _alone(seed: int, legs: Sequence[str], certifier: Certifier) -> Judged | None:
    """None where the process ended."""
    ((_, judged),) = in_processes(partial(judge, legs=tuple(legs), certifier=certifier), [seed], 1)
    return judged


def _leg_by_leg(seed: int, legs: Sequence[str], certifier: Certifier) -> Judged:
    plain = _alone(seed, (), certifier)
    if plain is None:  # the checker, the certificate or the oracle
        return Judged(seed, True, raised=CRASHED)
    found = dict(plain.legs)
    for leg in legs:
        alone = _alone(seed, (leg,), certifier)
        if alone is None:
            found[leg] = CRASHED
        elif leg in alone.legs:
            found[leg] = alone.legs[leg]
    return replace(plain, legs=found)


class Tally:
    """Counts, and the verdict over all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.legs: Counter[str] = Counter()
        self.false: list[Judged] = []

    def add(self, judged: Judged) -> None:
        self.counts["drawn"] += 1
        self.counts["valid"] += judged.valid
        self.counts["certificate raised"] += bool(judged.raised)
        if judged.raised:
            print(f"seed {judged.seed}: the certificate raised {judged.raised}: {judged.operators}", flush=True)
        self.verdicts.update(judged.verdicts.items())
        self.legs.update(leg for leg, found in judged.legs.items() if not found.startswith(FAILED))
        self.counts["inputs too small for the graph"] += judged.untaken()
        self.counts["crashed once"] += judged.spoiled
        self.counts["zeros of the other sign"] += bool(judged.zeros)
        for leg, found in judged.wrong(PROVED).items():
            if found.startswith(FAILED):
                self.counts[f"{PROVED} without result on {leg}"] += 1
                continue
            self.counts["runtime faults"] += 1
            print(f"seed {judged.seed}: {PROVED}, and {leg}: {found}: {judged.operators}", flush=True)
        wrong = judged.wrong(EXACT)
        for leg, found in wrong.items():
            print(f"seed {judged.seed}: FALSE EXACT, {leg}: {found}: {judged.operators}", flush=True)
        if wrong:
            self.false.append(judged)
            save(judged.seed, self.folder)

    def vacuous(self) -> str:
        """Why the run shows nothing; "" where it does."""
        if not any(count for (_, verdict), count in self.verdicts.items() if verdict != REFUSED):
            return "no graph is exact in arithmetic"
        if not any(count for (_, verdict), count in self.verdicts.items() if verdict == EXACT):
            return "no graph is exact"
        if not any(count for leg, count in self.legs.items() if leg != "oracle"):
            return "no leg ran a graph"
        return ""

    def report(self) -> str:
        valid = max(1, self.counts["valid"])
        lines = [", ".join(f"{count} {what}" for what, count in self.counts.items())]
        for target in dict.fromkeys(name for name, _ in self.verdicts):
            shares = (f"{v} {100 * self.verdicts[target, v] / valid:.1f} %" for v in (EXACT, PROVED, REFUSED))
            lines.append(f"{target}: {', '.join(shares)}")
        lines.append("compared: " + ", ".join(f"{leg} {count}" for leg, count in sorted(self.legs.items())))
        lines.append(f"false exact: {len(self.false)} graphs; runtime faults: {self.counts['runtime faults']}")
        return "\n".join(lines)


def save(seed: int, folder: Path) -> None:
    """The model and its inputs, to be run by hand."""
    graph, place = drawn(seed), folder / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    onnx.save(graph.model, place / "model.onnx")
    for index, one in enumerate(graph.inputs):
        np.savez(place / f"inputs{index}.npz", **one)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--graphs", type=int, default=1000)
    arguments.add_argument("--first", type=int, default=FIRST)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--legs", nargs="*", default=USUAL_LEGS, choices=[leg for leg in RUNNERS if leg != "oracle"])
    arguments.add_argument("--found", type=Path, default=Path(tempfile.gettempdir()) / "nvc-check-attacker")
    options = arguments.parse_args()
    tally, start = Tally(options.found), time.monotonic()
    seeds = range(options.first, options.first + options.graphs)
    for judged in attacked(seeds, options.legs, options.processes):
        tally.add(judged)
    seconds = time.monotonic() - start
    print(f"{tally.report()}\n{seconds:.0f} s, {options.graphs / seconds:.1f} graphs/s")
    if tally.false:
        print(f"FAILED: called exact and not; the models are in {options.found}")
        return 1
    if options.graphs > 1 and tally.vacuous():
        print(f"FAILED: {tally.vacuous()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
