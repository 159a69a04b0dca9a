"""Peak memory of encoding and comparing over the number of frames: python tests/bench/memory.py [--frames 8 96]."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

NVC_CHECK = Path(sys.executable).parent / "nvc-check"


def peak_mib(arguments: list[str]) -> float:
    """Peak resident MiB of the largest process of one `nvc-check` run, the checker or a leg."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(NVC_CHECK), *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", default="ssf-small")
    parser.add_argument("--frames", type=int, nargs=2, default=[8, 96])
    parser.add_argument("--size", default="1920x1024")
    parser.add_argument("--providers", default="cpu")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/package"
        subprocess.run([NVC_CHECK, "export", args.codec, "--out", package], check=True)
        peaks: dict[str, list[float]] = {"symbols": [], "compare": []}
        for frames in args.frames:
            clip = f"{folder}/{frames}.y4m"
            subprocess.run(
                [NVC_CHECK, "sample", "--size", args.size, "--frames", str(frames), "--out", clip], check=True
            )
            symbols = f"{folder}/{frames}.symbols"
            peaks["symbols"].append(peak_mib(["symbols", package, "--input", clip, "--out", symbols]))
            peaks["compare"].append(peak_mib(["compare", package, "--symbols", symbols, "--providers", args.providers]))
            last = ", ".join(f"{name} {values[-1]:.0f} MiB" for name, values in peaks.items())
            print(f"{frames} frames of {args.size}, largest process: {last}", flush=True)
    for name, (few, many) in peaks.items():
        print(f"{name}: ratio {many / few:.3f}")


if __name__ == "__main__":
    main()
