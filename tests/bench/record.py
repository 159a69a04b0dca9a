"""What recording costs beside inference, and comparing two traces: python tests/bench/record.py [--polygraphy PYTHON].

Processor time (user and system, of all processes) of `nvc-check record`, against a bare loop of session.run over the
same graphs with the same inputs, which also imports, loads and reads: once with ONNX Runtime's own settings, once with
threads that do not spin, as the leg's do not. With --polygraphy, a Python that has polygraphy
0.53, onnx and onnxruntime: its comparison of the same graphs, ONNX Runtime against itself, over as many inferences.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402

from nvc_check.checker.coding.calibration import calibration_pictures  # noqa: E402
from nvc_check.checker.coding.encode import write_symbols  # noqa: E402
from nvc_check.checker.media.sample import render_sample  # noqa: E402
from nvc_check.exporter.export import export_package  # noqa: E402
from nvc_check.models.artifacts.package import Package  # noqa: E402
from nvc_check.models.artifacts.symbols import Symbols  # noqa: E402
from nvc_check.models.codecs.loading import load_codec  # noqa: E402

NVC_CHECK = [str(Path(sys.executable).with_name("nvc-check"))]
BARE = """
import sys, numpy as np, onnxruntime
root, inputs, frames = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.add_session_config_entry("session.intra_op.allow_spinning", sys.argv[5])
graphs = {"fp32": ["fp32/entropy.onnx", "fp32/frame.onnx"], "int": ["int/entropy.qdq.onnx", sys.argv[4]]}
loaded = {p: [onnxruntime.InferenceSession(f"{root}/{file}", options) for file in files] for p, files in graphs.items()}
for frame in range(frames):
    for path, (entropy, picture) in loaded.items():
        y, z = inputs[f"{frame}/{path}/y"], inputs[f"{frame}/{path}/z"]
        given = dict(zip([o.name for o in entropy.get_outputs()], entropy.run(None, {"z": z})))
        means = given["means"]
        if path == "int" and picture.get_inputs()[1].type == "tensor(float)":
            means = means.astype(np.float32)
        picture.run(None, {"y": y, "means": means})
"""


def spent(command: list[str]) -> tuple[float, float]:
    """(processor seconds, wall seconds) of a command and all that it starts."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{command[:4]} ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def median(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def prepared(scratch: Path, size: str, frames: int, scope: str) -> tuple[Package, Path, Path]:
    """(package, symbols file, the same symbols as one npz for the bare loop)."""
    width, height = (int(side) for side in size.split("x"))
    package = export_package(
        load_codec("mbt2018-mean-relu-small"), calibration_pictures(None), scratch / "package", scope=scope
    )
    named = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(width, height, frames, 0)))
    write_symbols(package, named, {"source": "sample"}, scratch / "symbols.npz")
    arrays: dict[str, Any] = {}
    with Symbols(scratch / "symbols.npz", package.manifest.digest) as symbols:
        for frame in range(frames):
            for path in ("fp32", "int"):
                for name, tensor in symbols.read(frame, path).items():
                    arrays[f"{frame}/{path}/{name.split('.')[1]}"] = tensor
    np.savez_compressed(scratch / "bare.npz", **arrays)
    return package, scratch / "symbols.npz", scratch / "bare.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", default="352x288")
    parser.add_argument("--scope", default="hyperprior")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--polygraphy", help="Python that has polygraphy, onnx and onnxruntime")
    args = parser.parse_args()
    print(f"{args.frames} frames of {args.size}, scope {args.scope}; median of {args.repeats};", end=" ")
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        package, symbols, bare = prepared(scratch, args.size, args.frames, args.scope)
        frame_graph = package.graph("int", "frame").relative_to(package.root).as_posix()
        loop = [sys.executable, "-c", BARE, str(package.root), str(bare), str(args.frames), frame_graph]
        spinning, still = [*loop, "1"], [*loop, "0"]
        spelled = ["record", str(package.root), "--symbols", str(symbols), "--provider", "cpu", "--out"]
        recorded = [[*NVC_CHECK, *spelled, str(scratch / f"{name}.trace")] for name in ("a", "b")]
        loops, calm, records = [], [], []
        for _ in range(args.repeats):  # in turns, so that both meet the same machine
            loops.append(spent(spinning))
            calm.append(spent(still))
            records.append(spent(recorded[0]))
        spent(recorded[1])
        merges = [
            spent([*NVC_CHECK, "compare", str(scratch / "a.trace"), str(scratch / "b.trace")])
            for _ in range(args.repeats)
        ]
        base, base_wall = median(loops)
        for name, times in (
            ("bare loop", loops),
            ("bare, no spinning", calm),
            ("record", records),
            ("compare two traces", merges),
        ):
            processor, wall = median(times)
            print(
                f"{name:20} {processor:6.2f} s processor ({processor / base:5.2f}), {wall:6.2f} s wall"
                f" ({wall / base_wall:5.2f})"
            )
        if args.polygraphy:
            ours = 2 * median(records)[0] + median(merges)[0], 2 * median(records)[1] + median(merges)[1]
            theirs = polygraphy(args.polygraphy, package, bare, args.frames, frame_graph)
            for name, (processor, wall) in (("two records, compared", ours), ("polygraphy", theirs)):
                print(f"{name:20} {processor:6.2f} s processor, {wall:6.2f} s wall ({wall / ours[1]:5.2f})")


def polygraphy(python: str, package: Package, bare: Path, frames: int, frame_graph: str) -> tuple[float, float]:
    """The same four graphs at the same sizes, ONNX Runtime against itself, on as many inputs; (processor, wall)."""
    program = str(Path(python).with_name("polygraphy"))
    with np.load(bare) as inputs:
        y, z = inputs["0/int/y"].shape, inputs["0/int/z"].shape
    entropy, picture = [f"z:{list(z)}"], [f"y:{list(y)}", f"means:{list(y)}"]
    graphs = {"fp32/entropy.onnx": entropy, "fp32/frame.onnx": picture}
    graphs |= {"int/entropy.qdq.onnx": entropy}
    processor, wall = 0.0, 0.0
    for file, shapes in [*graphs.items(), (frame_graph, picture)]:
        words = ["run", str(package.root / file), "--onnxrt", "--onnxrt", "--atol", "0", "--rtol", "0"]
        sizes = [shape.replace(" ", "") for shape in shapes]
        took = spent([program, *words, "--iterations", str(frames), "--input-shapes", *sizes])
        processor, wall = processor + took[0], wall + took[1]
    return processor, wall


if __name__ == "__main__":
    main()
