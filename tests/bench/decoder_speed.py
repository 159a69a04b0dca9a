"""Frames on ONNX Runtime CPU: the package's integer graph against its FP32 one. A ratio; asserts nothing.

    python tests/bench/decoder_speed.py PKG [--size 1920x1024] [--threads 2] [--runs 5]

PKG is an image package of scope decoder (`nvc-check export mbt2018-mean-relu-small --scope decoder --out PKG`).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from nvc_check.models.package import Package
from nvc_check.runtimes.cpu import session, session_options
from nvc_check.runtimes.leg import Runnable, Tensors


def milliseconds(run: Runnable, inputs: Tensors, runs: int) -> float:
    """The fastest of `runs`, after one to warm up: what else the machine does only adds."""
    run(inputs)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--size", default="1920x1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    package = Package.open(args.package)
    width, height = (int(side) for side in args.size.split("x"))
    part = next(iter(package.manifest.parts.values()))
    graph = "frame" if package.manifest.kind == "image" else "keyframe_frame"
    rng = np.random.default_rng(0)
    shape = (1, part.y_channels, height // 16, width // 16)
    y = np.rint(rng.laplace(0, 2, shape)).astype(np.int32)
    means = rng.integers(-500, 500, shape).astype(np.int32)
    real = np.ldexp(means.astype(np.float32), part.means_exponent or 0)
    options = session_options({"threads": str(args.threads)})
    found = {}
    for name, path, flavour, given in (
        ("fp32", "fp32", "qdq", real),
        ("int qdq", "int", "qdq", means),
        ("int carrier", "int", "carrier", means),
    ):
        run = session(package.graph(path, graph, flavour), options, ["CPUExecutionProvider"])
        found[name] = milliseconds(run, {"y": y, "means": given}, args.runs)
        print(f"{name:12} {found[name]:8.0f} ms   {found['fp32'] / found[name]:.2f} x FP32")


if __name__ == "__main__":
    main()
