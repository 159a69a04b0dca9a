"""Peak memory of a comparison over the number of frames: python tests/bench/memory.py [--frames 8 64]."""

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
    parser.add_argument("--frames", type=int, nargs=2, default=[8, 64])
    parser.add_argument("--size", default="768x512")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/package"
        subprocess.run([NVC_CHECK, "export", "mbt2018-mean-relu-small", "--out", package], check=True)
        peaks = []
        for frames in args.frames:
            clip = f"{folder}/{frames}.y4m"
            subprocess.run(
                [NVC_CHECK, "sample", "--size", args.size, "--frames", str(frames), "--out", clip], check=True
            )
            symbols = ["symbols", package, "--input", clip, "--out", f"{folder}/{frames}.symbols"]
            subprocess.run([NVC_CHECK, *symbols], check=True)
            compare = ["compare", package, "--symbols", f"{folder}/{frames}.symbols", "--providers", "cpu,openvino"]
            peaks.append(peak_mib(compare))
            print(f"{frames} frames of {args.size}: largest process {peaks[-1]:.0f} MiB")
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
