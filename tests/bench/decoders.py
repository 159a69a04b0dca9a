"""ONNX decoders become exact: quality, bits that differ, time against FP32. Prints a Markdown table; asserts nothing.

    python tests/bench/decoders.py MODEL.onnx... --data PICTURES [--pictures 6] [--side 256] [--legs cpu,...]
        [--precision w8a8] [--keep DIR]

Each is exported as `nvc-check export MODEL.onnx` does it. Those that take pictures are calibrated on the photographs
that scikit-image bundles, and measured on pictures of PICTURES, evenly chosen, their middle of the model's size or up
to SIDE pixels a side. Others are calibrated and measured on random numbers, normal, of LATENT rows and columns: the dB
of those say little. Times: ONNX Runtime CPU, the package's FP32 graph against int/decoder.qdq.onnx, in turn, the
fastest of RUNS rounds. Packages and inputs stay in DIR, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from decoder_speed import fastest  # type: ignore[import-not-found]

from nvc_check.checker.coding.examples import Calibration, calibration, takes_floats, write_examples
from nvc_check.checker.coding.picture_examples import PictureInput, chosen_pictures
from nvc_check.checker.compare.live import compare, with_references
from nvc_check.checker.report import Report
from nvc_check.exporter.graph_export import MIN_SNR, export_source
from nvc_check.exporter.network.model import Source, read_source
from nvc_check.models.artifacts.package import USER_GRAPH, Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import NvcCheckError
from nvc_check.models.precision import Precision, Precisions
from nvc_check.runtimes.engines.ort_options import session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.leg import Tensors, split_providers

HEAD = (
    "model",
    "operators",
    "precision",
    "measured on",
    "dB",
    "values",
    "differ",
    "FP32 ms",
    "exact ms",
    "FP32 / exact",
)


@dataclass(frozen=True)
class Options:
    data: Path
    pictures: int
    side: int
    latent: int
    legs: str
    threads: int
    runs: int
    precision: str
    min_snr: float
    keep: Path | None


def random_inputs(source: Source, seed: int, side: int) -> Tensors:
    """Inputs by name, float32, standard normal, `side` rows and columns where any size goes."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 1, [size or side for size in shape]).astype(np.float32)
        for name, shape in source.sizes.items()
    }


def prepared(source: Source, options: Options) -> tuple[Calibration, list[Tensors], str]:
    """(what to calibrate on, what to measure on, and what that is)."""
    real = takes_floats(source.prepared)
    takes = PictureInput.of(source.sizes, real, 1.0)
    if takes is None:
        drawn = [random_inputs(source, seed, options.latent) for seed in range(8 + options.pictures)]
        sizes = ", ".join("x".join(map(str, array.shape[1:])) for array in drawn[0].values())
        return Calibration(drawn[:8], None), drawn[8:], f"{options.pictures} random, {sizes}"
    arrays = list(chosen_pictures(options.data, takes, options.pictures, options.side))
    height, width = arrays[0].shape[2:]
    what = f"{len(arrays)} pictures, {takes.colours} {width}x{height}"
    return calibration(None, source.sizes, real, None), [{takes.name: array} for array in arrays], what


def compared(package: Package, inputs: list[Tensors], legs: str, scratch: Path) -> Report:
    """All legs against the oracle, on these inputs."""
    folder = scratch / "inputs"
    folder.mkdir(exist_ok=True)
    for number, arrays in enumerate(inputs):
        np.savez(folder / f"{number:03}.npz", **arrays)
    write_examples(package, folder, scratch / "symbols")
    with Symbols(scratch / "symbols", package.manifest.digest) as symbols:
        return compare(package, symbols, with_references(split_providers(legs), package.manifest.kind))


def times(package: Package, inputs: Tensors, threads: int, runs: int) -> dict[str, float]:
    """Milliseconds of `fp32` and `int`."""
    options = session_options({"threads": str(threads), "spinning": "on"})  # ONNX Runtime's default
    grids = package.manifest.inputs
    given = {
        "fp32": {name: array.astype(grids[name].dtype) for name, array in inputs.items()},
        "int": {
            name: np.clip(
                np.rint(np.ldexp(array.astype(np.float64), -grids[name].exponent)), grids[name].low, grids[name].high
            ).astype(np.int32)
            for name, array in inputs.items()
        },
    }
    loaded: dict[str, Callable[[], object]] = {
        path: partial(session(package.graph(path, USER_GRAPH), options, ["CPUExecutionProvider"]), arrays)
        for path, arrays in given.items()
    }
    return fastest(loaded, runs)


def row(file: Path, options: Options) -> list[str]:
    """The table's cells; of a model that is refused the reason, in the third."""
    source = read_source(file)
    operators = ", ".join(
        dict.fromkeys(node.op_type for node in source.original.graph.node if node.op_type != "Constant")
    )
    with tempfile.TemporaryDirectory(prefix="nvc-check-") as temporary:
        used, inputs, what = prepared(source, options)
        scratch = options.keep / f"{file.stem}-{options.precision}" if options.keep else Path(temporary)
        out = scratch / "package"
        scratch.mkdir(parents=True, exist_ok=True)
        if not out.exists():
            precisions = Precisions(Precision.of(options.precision))
            export_source(source, used.examples, out, min_snr=options.min_snr, peak=used.peak, precisions=precisions)
        package = Package.open(out)
        report = compared(package, inputs, options.legs, scratch)
        spent = times(package, inputs[0], options.threads, options.runs)
    failed = [f"{leg.name}: {leg.status}" for leg in report.legs if leg.status != "ok"]
    results = [each for each in report.results if each.path == "int"]
    counts = [each.mismatched for each in results if each.mismatched is not None]
    assert len(counts) == len(results), "legs that run are compared value by value"
    decibels = ", ".join("-" if each.snr_db is None else f"{each.snr_db:.1f}" for each in report.fidelity)
    return [
        file.stem,
        operators,
        package.manifest.precision,
        what,
        decibels,
        f"{sum(each.values for each in results):,}",
        ", ".join([f"{sum(counts):,}", *failed]),
        f"{spent['fp32']:.2f}",
        f"{spent['int']:.2f}",
        f"{spent['fp32'] / spent['int']:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--legs", default="cpu,cpu:opt=off,openvino")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--precision", default="w8a8")
    parser.add_argument("--min-snr", type=float, default=MIN_SNR)
    parser.add_argument("--keep", type=Path)
    args = vars(parser.parse_args())
    models = args.pop("models")
    options = Options(**args)
    print(f"legs {options.legs}, {options.threads} threads, the fastest of {options.runs} rounds\n")
    print("|", " | ".join(HEAD), "|")
    print("|---" * len(HEAD) + "|", flush=True)
    for file in models:
        try:
            cells = row(file, options)
        except NvcCheckError as error:
            cells = [file.stem, "", f"refused (exit {error.exit_code}): {error}", *[""] * (len(HEAD) - 3)]
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
