"""Packages of scope decoder on many hard symbols: every leg against the oracle, until so many values were compared.

    python tests/bench/full.py PKG... [--values 1000000000] [--legs cpu,openvino] [--size 768x512] [--seed 0]

Prints, per package, values and mismatches, and the largest accumulator that occurred beside the bound that the
certificate proves. Ends with 1 where a value differs or a bound was exceeded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.package import FLAVOURS, Package
from nvc_check.runtimes.decoding import Decoder
from nvc_check.runtimes.leg import Runnable, Tensors, split_providers
from nvc_check.runtimes.oracle.engine import ExactGraph, Oracle
from nvc_check.runtimes.registry import open_engine

INT32 = np.iinfo(np.int32)
CASES = ("laplace", "wide", "ties", "zeros", "largest", "smallest", "signs", "impulses", "escapes")
PREDICTED = 4  # frames behind a keyframe


class KeptOracle(Oracle):
    """The oracle, with the graphs that it loaded by their file's name."""

    def __init__(self, flavour: str, exact: bool) -> None:
        super().__init__(flavour, exact)
        self.graphs: dict[str, ExactGraph] = {}

    def load(self, model: Path, graph: str) -> Runnable:
        self.graphs[f"int/{model.name}"] = ExactGraph.read(model)
        return self.graphs[f"int/{model.name}"]


def hard(case: str, reach: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int32]:
    """int32 symbols; `reach` is what the graph clips them to."""
    values: NDArray[Any] = np.zeros(shape)
    if case in ("laplace", "wide"):
        values = np.rint(rng.laplace(0, rng.uniform(0.3, 4 if case == "laplace" else reach / 4), shape))
    elif case == "ties":  # one value everywhere: each sum occurs at every position
        values = np.broadcast_to(rng.integers(-3, 4, (1, shape[1], 1, 1)), shape)
    elif case in ("largest", "smallest"):
        values = np.full(shape, INT32.max if case == "largest" else INT32.min)
    elif case == "signs":
        values = rng.choice([-reach, reach], (1, shape[1], 1, 1)) * np.ones(shape)
    elif case == "impulses":
        values = np.where(rng.random(shape) < 0.01, rng.choice([-reach, reach], shape), 0)
    elif case == "escapes":
        values = rng.choice([INT32.min, INT32.max, 2**24 + 1, -(2**24) - 1, reach + 1, 0, 1], shape)
    return np.ascontiguousarray(values, np.int32)


def frames(package: Package, width: int, height: int, rng: np.random.Generator) -> Iterator[tuple[str, Tensors]]:
    """(case, symbols) without end; of a video codec a keyframe, then predicted frames."""
    manifest = package.manifest
    groups = [["image"]] if manifest.kind == "image" else [["keyframe"], *[["motion", "residual"]] * PREDICTED]
    shrink = 4 if manifest.kind == "image" else 8  # from y to z
    for number in itertools.count():
        for parts in groups:
            case = CASES[number % len(CASES)]
            symbols: Tensors = {}
            for name in parts:
                part = manifest.parts[name]
                sides = height // 16, width // 16
                symbols[f"{name}.y"] = hard(case, part.y_max or 0, (1, part.y_channels, *sides), rng)
                sides = sides[0] // shrink, sides[1] // shrink
                symbols[f"{name}.z"] = hard(case, part.z_max, (1, part.z_channels, *sides), rng)
            yield case, symbols


def compared(package: Package, values: int, legs: str, size: tuple[int, int], seed: int) -> bool:
    """Runs until `values` were compared; whether all were the same."""
    oracle = KeptOracle("qdq", exact=True)
    reference = Decoder(oracle, package, "int")
    decoders = {s.name: Decoder(open_engine(s, package), package, "int") for s in split_providers(legs)}
    counts, wrong, started = Counter[str](), Counter[str](), time.monotonic()
    for case, symbols in frames(package, *size, np.random.default_rng(seed)):
        expected = reference.decode(symbols)
        for leg, decoder in decoders.items():
            for name, tensor in decoder.decode(symbols).items():
                counts[leg] += tensor.size
                different = int(np.count_nonzero(tensor != expected[name]))
                if different:
                    wrong[leg] += different
                    print(f"{leg}: {different} of {tensor.size} {name} differ, {case}", flush=True)
        if counts.total() >= values:
            break
    seconds = time.monotonic() - started
    shares = ", ".join(f"{leg} {count:,}" for leg, count in counts.items())
    name = f"{package.manifest.name}, {package.manifest.digest[:12]}"
    print(f"{name}: {counts.total():,} values compared in {seconds:.0f} s ({shares}), {wrong.total():,} differ")
    return not wrong and within_bounds(package, oracle)


def within_bounds(package: Package, oracle: KeptOracle) -> bool:
    """Prints the fullest accumulator of each graph; whether all stayed within what was proven."""
    certificate = json.loads((package.root / "certificate.json").read_text(encoding="utf-8"))
    kept = True
    for file, graph in oracle.graphs.items():
        proven = {node["name"]: node["bound"] for node in certificate[file]["nodes"]}
        shares = {name: largest / proven[name] for name, largest in graph.largest.items() if proven[name]}
        if not shares:
            continue  # the values were reached before it ran
        worst = max(shares, key=lambda name: shares[name])
        kept = kept and shares[worst] <= 1
        print(f"  {file}: {worst} reached {graph.largest[worst]:,.0f} of {proven[worst]:,.0f} proven")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--values", type=int, default=1_000_000_000)
    parser.add_argument("--legs", default=",".join(f"cpu:flavour={flavour}" for flavour in FLAVOURS))
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    share = -(-args.values // len(args.packages))
    same = [compared(Package.open(file), share, args.legs, (width, height), args.seed) for file in args.packages]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
