"""Decoders on ONNX Runtime CPU: integer graphs against FP32, ratios in one run. Asserts nothing.

    python tests/bench/decoder_speed.py PKG... [--size 1920x1024] [--threads 2] [--runs 5]

PKG: packages of scope decoder, image or video. Per part the hyper-decoder, then the frame graphs: a video codec's
inter_frame is a whole predicted frame, warp included. `torch` is PyTorch FP32 on the same graph. The warp alone:
tests/bench/warp.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from nvc_check.models.artifacts.package import Package, graph_name
from nvc_check.runtimes.decoding import FRAME_GRAPHS
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.leg import LegSpec, Tensors
from nvc_check.runtimes.registry import open_engine

VARIANTS = {
    "fp32": ("fp32", "qdq"),
    "int qdq": ("int", "qdq"),
    "int carrier": ("int", "carrier"),
}


def inputs_of(package: Package, graph: str, width: int, height: int) -> tuple[Tensors, Tensors]:
    """Laplacian symbols, small means and a noisy reference: (as the FP32 graph takes them, as the integer one)."""
    rng, manifest = np.random.default_rng(0), package.manifest
    parts = {"keyframe_frame": ["keyframe"], "inter_frame": ["motion", "residual"]}.get(graph, [])
    parts = parts or [part for part in manifest.parts if graph in (graph_name(part, "entropy"), "frame")]
    real: Tensors = {}
    whole: Tensors = {}
    for name in parts:
        part = manifest.parts[name]
        if graph.endswith("entropy"):
            side = 64 if manifest.kind == "image" else 128
            shape = (1, part.z_channels, height // side, width // side)
            real["z"] = whole["z"] = np.rint(rng.laplace(0, 2, shape)).astype(np.int32)
            continue
        prefix = f"{name}." if len(parts) > 1 else ""
        shape = (1, part.y_channels, height // 16, width // 16)
        real[f"{prefix}y"] = whole[f"{prefix}y"] = np.rint(rng.laplace(0, 2, shape)).astype(np.int32)
        if part.means_exponent is not None:
            means = rng.integers(-500, 500, shape).astype(np.int32)
            whole[f"{prefix}means"] = means
            real[f"{prefix}means"] = np.ldexp(means.astype(np.float32), part.means_exponent)
    if graph == "inter_frame":
        whole["reference"] = rng.integers(0, 256, (1, 3, height, width)).astype(np.int32)
        real["reference"] = whole["reference"].astype(np.float32) / np.float32(255)
    return real, whole


def fastest(runs: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Milliseconds of each: the fastest of `count` rounds in turn.

    Each runs once before it is timed: the threads of the one before it go on spinning for a while.
    """
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(count):
        for name, run in runs.items():
            run()
            started = time.perf_counter()
            run()
            best[name] = min(best[name], 1000 * (time.perf_counter() - started))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--size", default="1920x1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    options = session_options({"threads": str(args.threads), "spinning": "on"})  # ONNX Runtime's default
    print(f"{args.size}, {args.threads} threads; milliseconds, and how many times as fast as fp32")
    for folder in args.packages:
        package = Package.open(folder)
        torch = open_engine(LegSpec.parse(f"torch:threads={args.threads}"), package)
        names = [graph_name(part, "entropy") for part in package.manifest.parts]
        for graph in (*names, *FRAME_GRAPHS[package.manifest.kind]):
            real, whole = inputs_of(package, graph, width, height)
            eager = torch.load(package.graph("fp32", graph), graph)
            runs: dict[str, Callable[[], object]] = {"torch": partial(eager, real)}
            for variant, (path, flavour) in VARIANTS.items():
                loaded = session(package.graph(path, graph, flavour), options, ["CPUExecutionProvider"])
                runs[variant] = partial(loaded, real if path == "fp32" else whole)
            found = fastest(runs, args.runs)
            row = "   ".join(f"{name} {ms:6.1f} ({found['fp32'] / ms:.2f})" for name, ms in found.items())
            print(f"{package.manifest.name:26} {graph:18} {row}", flush=True)


if __name__ == "__main__":
    main()
