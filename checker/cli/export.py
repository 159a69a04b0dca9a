"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.cli.console import shown_path, status
from nvc_check.checker.cli.steps import OutOption
from nvc_check.checker.views.plain import plain
from nvc_check.models.artifacts.package import SCOPES, is_package
from nvc_check.models.atomic import check_folder
from nvc_check.models.errors import UsageError

ACTIVATION_BITS = {"w8a8": 8, "w8a16": 16}
GOOD = 30.0  # dB: below, another precision is named
MEASURED = "any,ort-cpu,avx2,webgpu,openvino"  # the targets on which forms were measured


def export(
    codec: Annotated[
        str,
        typer.Argument(
            help="NAME, NAME@QUALITY, NAME@seedN (untrained), a checkpoint file, or an FP32 decoder as ONNX.",
            metavar="CODEC|CHECKPOINT|MODEL.onnx",
        ),
    ],
    out: OutOption,
    precision: Annotated[
        str,
        typer.Option(
            help="Bits of weights and activations: w8a8; of an ONNX decoder also w8a16, nearer to float and slower."
        ),
    ] = "w8a8",
    scope: Annotated[str, typer.Option(help="Exact part: hyperprior, or decoder (frames too).")] = "hyperprior",
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Pictures or clip to calibrate on; default: photographs that scikit-image bundles."
            " Of an ONNX decoder that takes no pictures: .npz with its inputs."
        ),
    ] = None,
    allow_inexact: Annotated[
        bool, typer.Option("--allow-inexact", help="Ordinary scales, marked inexact in the manifest.")
    ] = False,
    min_snr: Annotated[
        float | None,
        typer.Option(
            "--min-snr", help="Of an ONNX decoder: refuse outputs that are nearer to noise, in dB; default 20."
        ),
    ] = None,
    peak: Annotated[
        float | None, typer.Option(help="Of an ONNX decoder that takes pictures: value of white, 1 or 255; default 1.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Of an ONNX decoder: every node's signal to noise.")
    ] = False,
    targets: Annotated[
        str, typer.Option(help="Of the certificate: refuse what is not exact for one of these; commas between.")
    ] = MEASURED,
) -> None:
    """Exports CODEC to the package OUT: FP32 and exact integer ONNX graphs, frozen tables, certificate, digests."""
    precisions = tuple(ACTIVATION_BITS) if codec.endswith(".onnx") else ("w8a8",)
    for option, found, known in (("precision", precision, precisions), ("scope", scope, SCOPES)):
        if found not in known:
            raise UsageError(f"--{option} {found}: expected {' or '.join(known)}")
    wanted = [name for name in targets.split(",") if name]
    _check_targets(wanted)
    check_folder(out, is_package)
    if codec.endswith(".onnx"):
        if allow_inexact:
            raise UsageError("--allow-inexact: for codecs; an ONNX decoder is exported exact or refused")
        _export_onnx(Path(codec), out, calibration, min_snr, verbose, peak, ACTIVATION_BITS[precision], wanted)
        return
    if min_snr is not None or peak is not None or verbose:
        raise UsageError("--min-snr, --peak, --verbose: of an ONNX decoder; compare says what a codec costs")
    from nvc_check.checker.coding.calibration import calibration_pictures
    from nvc_check.exporter.export import export_package
    from nvc_check.exporter.memory import keep_freed_memory
    from nvc_check.models.codecs.loading import load_codec

    keep_freed_memory()
    with status(f"exporting {codec}") as step:
        loaded = load_codec(codec)
        pictures = calibration_pictures(calibration, loaded.multiple)
        package = export_package(
            loaded, pictures, out, scope=scope, allow_inexact=allow_inexact, targets=wanted, progress=step
        )
    _print_exported(package, out)
    for note in loaded.notes:
        print(note)


def _export_onnx(
    file: Path,
    out: Path,
    given: Path | None,
    min_snr: float | None,
    verbose: bool,
    peak: float | None,
    activation_bits: int,
    targets: list[str],
) -> None:
    from nvc_check.checker.coding.examples import calibration, takes_floats
    from nvc_check.exporter.graph_export import MIN_SNR, export_source
    from nvc_check.exporter.memory import keep_freed_memory
    from nvc_check.exporter.network.model import read_source

    keep_freed_memory()
    if not file.is_file():
        raise UsageError(f"{file}: not found, expected an ONNX file")
    with status(f"exporting {file.name}") as step:
        source = read_source(file)
        used = calibration(given, source.sizes, takes_floats(source.prepared), peak)
        least = MIN_SNR if min_snr is None else min_snr
        made = export_source(
            source,
            used.examples,
            out,
            step,
            min_snr=least,
            peak=used.peak,
            activation_bits=activation_bits,
            targets=targets,
        )
    _print_exported(made.package, out)
    for note in (*made.notes, *filter(None, [used.note])):
        print(note)
    manifest = made.package.manifest
    for end, grids in (("takes", manifest.inputs), ("gives", manifest.outputs)):
        for name, grid in grids.items():
            sizes = grid.shape or (1, grid.channels, None, None)
            shape = ", ".join(str(size) if size else side for size, side in zip(sizes, "1Chw", strict=False))
            print(f"{end} {plain(name)}: int32 ({shape}) in steps of 2^{grid.exponent}")
    if verbose:
        for site in made.losses:
            print(f"{site.decibels:7.1f} dB  {plain(site.name)} ({site.op_type})")
    for name, decibels in made.noise.items():
        print(f"{plain(name)}: signal to noise against float {decibels:.1f} dB over the calibration")
    if activation_bits == 8 and min(made.noise.values()) < GOOD:
        print("--precision w8a16 comes nearer to float, at a third of the speed or so")


def _check_targets(targets: list[str]) -> None:
    from nvc_check.exporter.certificate.targets import TARGETS

    for target in targets:
        if target not in TARGETS:
            raise UsageError(f"--targets {target}: expected some of {', '.join(TARGETS)}, with commas between")


def _print_exported(package: Any, out: Path) -> None:
    from nvc_check.checker.certify import verdicts_of

    manifest = package.manifest
    verdict = "exact" if manifest.exact else "INEXACT (ordinary scales)"
    print(f"{shown_path(out)}: {manifest.name}, {manifest.precision}, scope {manifest.scope}, {verdict}")
    for verdict, targets in verdicts_of(package).items():
        print(f"{verdict} for {', '.join(targets)}")
    print(f"package {manifest.digest}")
