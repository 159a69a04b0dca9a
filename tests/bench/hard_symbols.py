"""A symbols file of hard frames, for legs in environments of their own: python tests/bench/hard_symbols.py PKG OUT

    nvc-check compare PKG --symbols OUT --providers all

The frames are those of full.py: saturation of every kind, ties, impulses, escapes; bits and PSNR of no picture.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from full import CASES, frames  # type: ignore[import-not-found]

from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import PATHS, FrameInfo, SymbolsWriter
from nvc_check.models.atomic import whole_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="256x128")
    parser.add_argument("--rounds", type=int, default=1, help="of all cases")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    package = Package.open(args.package)
    with whole_file(args.out) as part:
        writer = SymbolsWriter(part, package.manifest.digest, {"source": "hard symbols"})
        found = frames(package, width, height, np.random.default_rng(0))
        count = len(CASES) * args.rounds * (1 if package.manifest.kind == "image" else 5)
        for case, symbols in islice(found, count):
            writer.add(FrameInfo(case, height, width, {}, {}), dict.fromkeys(PATHS, symbols))
        writer.finish()


if __name__ == "__main__":
    main()
