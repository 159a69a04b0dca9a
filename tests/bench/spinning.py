"""What spinning threads cost a decoder: its graphs in turn, as they decode, on ONNX Runtime CPU. Asserts nothing.

    python tests/bench/spinning.py PKG... [--sizes 384x256,1920x1024] [--runs 5]

PKG: packages of scope decoder, image or video (a predicted frame). ONNX Runtime lets the threads of a session spin
for a while after a run, beside those of the next session. Milliseconds of a frame, processor milliseconds in brackets.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from decoder_speed import inputs_of  # type: ignore[import-not-found]

from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session

GRAPHS = {"image": ("entropy", "frame"), "video": ("motion_entropy", "residual_entropy", "inter_frame")}


def spent(package: Package, path: str, spinning: str, width: int, height: int, runs: int) -> tuple[float, float]:
    """(milliseconds, processor milliseconds) of one frame: the fastest, the mean."""
    loaded = []
    for graph in GRAPHS[package.manifest.kind]:
        real, whole = inputs_of(package, graph, width, height)
        made = session(package.graph(path, graph), session_options({"spinning": spinning}), ["CPUExecutionProvider"])
        loaded.append((made, real if path == "fp32" else whole))
    for run, given in loaded:
        run(given)
    times, before = [], time.process_time()
    for _ in range(runs):
        started = time.perf_counter()
        for run, given in loaded:
            run(given)
        times.append(time.perf_counter() - started)
    return 1000 * min(times), 1000 * (time.process_time() - before) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--sizes", default="384x256,1920x1024")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    for folder in args.packages:
        package = Package.open(folder)
        for size in args.sizes.split(","):
            width, height = (int(side) for side in size.split("x"))
            for path in ("fp32", "int"):
                on, off = (spent(package, path, spinning, width, height, args.runs) for spinning in ("on", "off"))
                print(
                    f"{package.manifest.name:26} {size:>9} {path:4}   spinning {on[0]:7.1f} ({on[1]:7.1f})"
                    f"   not {off[0]:7.1f} ({off[1]:7.1f})   {on[0] / off[0]:.2f} times as fast",
                    flush=True,
                )


if __name__ == "__main__":
    main()
