"""The checker's share of a comparison's time, beside inference: python tests/bench/checker_share.py [--frames N].

Wall time of decoding and comparing all frames, against the time inside the engines (loading and running).
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from nvc_check.checker.coding.calibration import calibration_pictures  # noqa: E402
from nvc_check.checker.coding.encode import write_symbols  # noqa: E402
from nvc_check.checker.compare.live import compare, with_references  # noqa: E402
from nvc_check.checker.media.sample import render_sample  # noqa: E402
from nvc_check.exporter.export import export_package  # noqa: E402
from nvc_check.models.artifacts.symbols import Symbols  # noqa: E402
from nvc_check.models.codecs.loading import load_codec  # noqa: E402
from nvc_check.runtimes.leg import split_providers  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--providers", default="cpu,cpu:opt=off,openvino")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    with tempfile.TemporaryDirectory() as scratch:
        package = export_package(
            load_codec("mbt2018-mean-relu-small"), calibration_pictures(None), Path(scratch) / "package"
        )
        frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(width, height, args.frames, 0)))
        write_symbols(package, frames, {"source": "sample"}, Path(scratch) / "symbols.npz")
        with Symbols(Path(scratch) / "symbols.npz", package.manifest.digest) as symbols:
            specs = with_references(split_providers(args.providers))
            report = compare(package, symbols, specs)
    inference = sum(leg.seconds for leg in report.legs)
    share = 100 * (1 - inference / report.seconds)
    print(f"{args.frames} frames of {args.size}, legs {args.providers} and references")
    print(f"wall {report.seconds:.2f} s, inside the engines {inference:.2f} s, checker's share {share:.1f} %")


if __name__ == "__main__":
    main()
