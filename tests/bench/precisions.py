"""What each precision costs at each scope: prints a Markdown table; asserts nothing.

    python tests/bench/precisions.py --images PICTURES --clips CLIP... --out DIR [--codecs ...] [--legs ...]
        [--count 6] [--width 512] [--height 384]

Bundled codecs, exported and compared by the commands that a user gives. The image codec is measured on COUNT pictures
of PICTURES, evenly chosen, their middle; the video codec on FRAMES frames of each clip. Rows stay in DIR, and what is
there is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
from costs import Costs, compare, export  # type: ignore[import-not-found]
from PIL import Image

from nvc_check.checker.media.clip import open_clip

CODECS = ("mbt2018-mean-relu-small", "ssf-small")
PRECISIONS = ("w4a4", "w6a6", "w8a8", "w8a16", "w12a12", "w16a16")
SCOPES = ("hyperprior", "decoder", "codec")
FRAMES = 8
HEAD = ("codec", "scope", "precision", "bits", "dB", "values", "differ", "MB", "FP32 / exact", "export s", "exact for")


def pictures(source: Path, count: int, size: tuple[int, int], out: Path) -> Path:
    """A folder with the middles of `count` pictures."""
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(source.glob("*.png"))
    for number in np.linspace(0, len(files) - 1, count).astype(int):
        with Image.open(files[number]) as picture:
            left, top = ((side - wanted) // 2 for side, wanted in zip(picture.size, size, strict=True))
            picture.crop((left, top, left + size[0], top + size[1])).save(out / files[number].name)
    return out


def frames(clip: Path, out: Path) -> Path:
    """A folder with the first frames of a clip."""
    out.mkdir(parents=True, exist_ok=True)
    for _, frame in zip(range(FRAMES), open_clip(clip).frames(), strict=False):
        Image.fromarray(frame.rgb).save(out / f"{frame.index:03}.png")
    return out


def row(codec: str, scope: str, precision: str, inputs: list[Path], legs: str, out: Path) -> list[str]:
    """The table's cells; of several inputs the sums, and the means of what they cost."""
    package = out / f"{codec}-{scope}-{precision}"
    kept = package.with_suffix(".row.json")
    if kept.exists():
        cells: list[str] = json.loads(kept.read_text())
        return cells
    targets, seconds = export(codec, package, "--scope", scope, "--precision", precision)
    if targets.startswith("refused"):
        cells = [codec, scope, precision, *["refused"] * (len(HEAD) - 4), targets]
    else:
        found = [compare(package, given, legs, out / "report.json") for given in inputs]
        size = sum(file.stat().st_size for file in (package / "int").iterdir()) / 2 / 1e6  # one flavour is shipped
        cells = [codec, scope, precision, *_cells(found), f"{size:.1f}", _speed(found), f"{seconds:.0f}", targets]
        shutil.rmtree(package)
    kept.write_text(json.dumps(cells))
    return cells


def _cells(found: list[Costs]) -> list[str]:
    bits, decibels = (np.mean([asdict(each)[key] for each in found]) for key in ("bits", "decibels"))
    values, differ = (sum(asdict(each)[key] for each in found) for key in ("values", "differ"))
    return [f"{bits:+.3f} %", f"{decibels:+.3f}", f"{values:,}", f"{differ:,}"]


def _speed(found: list[Costs]) -> str:
    return f"{np.mean([each.speed for each in found]):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--codecs", nargs="*", default=CODECS)
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS)
    parser.add_argument("--scopes", nargs="*", default=SCOPES)
    parser.add_argument("--legs", default="cpu,cpu:opt=off,cpu:flavour=carrier,openvino,wasm,OpenVINOExecutionProvider")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=384)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    images = pictures(args.images, args.count, (args.width, args.height), args.out / "images")
    clips = [frames(clip, args.out / clip.stem) for clip in args.clips]
    print("| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", sep="\n", flush=True)
    for codec, scope, precision in product(args.codecs, args.scopes, args.precisions):
        if (codec, scope) == ("ssf-small", "codec"):
            continue  # of image codecs
        inputs = clips if codec == "ssf-small" else [images]
        print("| " + " | ".join(row(codec, scope, precision, inputs, args.legs, args.out)) + " |", flush=True)


if __name__ == "__main__":
    main()
