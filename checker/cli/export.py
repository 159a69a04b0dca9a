"""The command `export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.cli.console import output_console, shown_path, status
from nvc_check.checker.views.plain import plain
from nvc_check.models.artifacts.package import SCOPES, is_package
from nvc_check.models.atomic import check_folder
from nvc_check.models.errors import UsageError
from nvc_check.models.precision import Precision, Precisions

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
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write; appears only when whole.", show_default=False)
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="Bits of weights and activations: wNaM, N and M from 2 to 16."
            " Above 8 bits: nearer to float, and slower."
        ),
    ] = "w8a8",
    layers: Annotated[
        Path | None,
        typer.Option(
            help='TOML file with a line "NAME or PATTERN" = "wNaM" per layer; those of a codec are called GRAPH/LAYER.'
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what stands in each layer's place, write nothing.")
    ] = False,
    scope: Annotated[
        str, typer.Option(help="Exact part: hyperprior, decoder (frames too) or codec (symbols too).")
    ] = "hyperprior",
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
    scales: Annotated[
        str | None,
        typer.Option(
            "--scales",
            help="Of an ONNX hyper-decoder: its output that is scales; the package gives indexes.",
            show_default=False,
        ),
    ] = None,
    means: Annotated[
        str | None,
        typer.Option("--means", help="With --scales: the output that is means, int32 on its grid.", show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="With --scales: the scale table, ascending, numbers in a text or .npy file; default CompressAI's.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Of an ONNX decoder: every node's signal to noise.")
    ] = False,
    targets: Annotated[
        str, typer.Option(help="Of the certificate: refuse what is not exact for one of these; commas between.")
    ] = MEASURED,
) -> None:
    """Exports CODEC to the package OUT: FP32 and exact integer ONNX graphs, frozen tables, certificate, digests."""
    if scope not in SCOPES:
        raise UsageError(f"--scope {scope}: expected {' or '.join(SCOPES)}")
    wanted = [name for name in targets.split(",") if name]
    _check_targets(wanted)
    bits = Precision.of(precision)
    if out is None and not plan:
        raise UsageError("--out: missing, expected the folder to write")
    if out is not None:
        check_folder(out, is_package)
    precisions = Precisions(bits) if layers is None else Precisions.read(bits, layers)
    if codec.endswith(".onnx"):
        if allow_inexact:
            raise UsageError("--allow-inexact: for codecs; an ONNX decoder is exported exact or refused")
        decoder = _Decoder(Path(codec), calibration, peak, precisions, _Entropy(scales, means, table))
        if plan:
            _plan(decoder)
        elif out is not None:
            _export_onnx(decoder, out, min_snr, wanted, verbose)
        return
    if min_snr is not None or peak is not None or verbose or {scales, means, table} != {None}:
        options = "--min-snr, --peak, --scales, --means, --table, --verbose"
        raise UsageError(f"{options}: of an ONNX decoder; compare says what a codec costs")
    named = _Codec(codec, calibration, scope, precisions)
    if plan:
        _plan_codec(named)
    elif out is not None:
        _export_codec(named, out, wanted, allow_inexact)


@dataclass(frozen=True)
class _Codec:
    """A codec's name or checkpoint, and how it is to be exported."""

    spelled: str
    calibration: Path | None
    scope: str
    precisions: Precisions

    def read(self) -> tuple[Any, Any]:
        """(codec, pictures to calibrate on)."""
        from nvc_check.checker.coding.calibration import calibration_pictures
        from nvc_check.exporter.memory import keep_freed_memory
        from nvc_check.models.codecs.loading import load_codec

        keep_freed_memory()
        loaded = load_codec(self.spelled)
        return loaded, calibration_pictures(self.calibration, loaded.multiple)


def _plan_codec(codec: _Codec) -> None:
    from nvc_check.checker.views.plan_table import print_plan
    from nvc_check.exporter.codec_compiler import compile_codec

    with status(f"planning {codec.spelled}") as step:
        loaded, pictures = codec.read()
        made = compile_codec(loaded, pictures, codec.scope, codec.precisions, step)
    print_plan(output_console(), made.layers)


def _export_codec(codec: _Codec, out: Path, targets: list[str], allow_inexact: bool) -> None:
    from nvc_check.exporter.export import export_package

    with status(f"exporting {codec.spelled}") as step:
        loaded, pictures = codec.read()
        package = export_package(
            loaded,
            pictures,
            out,
            scope=codec.scope,
            precisions=codec.precisions,
            allow_inexact=allow_inexact,
            targets=targets,
            progress=step,
        )
    _print_exported(package, out)
    for note in loaded.notes:
        print(note)


@dataclass(frozen=True)
class _Entropy:
    """Outputs of an ONNX hyper-decoder that have a role, and its scale table."""

    scales: str | None
    means: str | None
    table: Path | None

    def readout(self, source: Any) -> Any:
        """The output that is scales, and its thresholds; None where there is none.

        Raises:
            UsageError: no such output; --table without it, or no ascending table.
        """
        from nvc_check.checker.coding.scale_table import read_table
        from nvc_check.exporter.lower.readout import ScalesOutput

        if self.scales is None:
            if self.table is not None or self.means is not None:
                raise UsageError("--means, --table: without --scales; name the output that is scales")
            return None
        outputs = [value.name for value in source.prepared.graph.output]
        for option, name in (("--scales", self.scales), ("--means", self.means)):
            if name is not None and name not in outputs:
                raise UsageError(f"{option} {name}: no such output; the model has {', '.join(map(plain, outputs))}")
        if self.means == self.scales:
            raise UsageError(f"--means {self.means}: the same output as --scales")
        return ScalesOutput(self.scales, read_table(self.table)[:-1])


@dataclass(frozen=True)
class _Decoder:
    """An ONNX decoder, and how it is to be read."""

    file: Path
    calibration: Path | None
    peak: float | None
    precisions: Precisions
    entropy: _Entropy

    def read(self) -> tuple[Any, Any, Any]:
        """(source, calibration, which output is scales)."""
        from nvc_check.checker.coding.examples import calibration, takes_floats
        from nvc_check.exporter.memory import keep_freed_memory
        from nvc_check.exporter.network.model import read_source

        keep_freed_memory()
        if not self.file.is_file():
            raise UsageError(f"{self.file}: not found, expected an ONNX file")
        source = read_source(self.file)
        scales = self.entropy.readout(source)
        return source, calibration(self.calibration, source.sizes, takes_floats(source.prepared), self.peak), scales


def _plan(decoder: _Decoder) -> None:
    from nvc_check.checker.views.plan_table import print_plan
    from nvc_check.exporter.graph_compiler import compile_graph

    with status(f"planning {decoder.file.name}"):
        source, used, scales = decoder.read()
        made = compile_graph(source, used.examples, decoder.precisions, scales)
    print_plan(output_console(), made.layers)
    _print_noise(made.noise, decoder.precisions.default)


def _export_onnx(decoder: _Decoder, out: Path, min_snr: float | None, targets: list[str], verbose: bool) -> None:
    from nvc_check.exporter.graph_export import MIN_SNR, export_source

    with status(f"exporting {decoder.file.name}") as step:
        source, used, scales = decoder.read()
        made = export_source(
            source,
            used.examples,
            out,
            step,
            min_snr=MIN_SNR if min_snr is None else min_snr,
            peak=used.peak,
            precisions=decoder.precisions,
            targets=targets,
            scales=scales,
        )
    _print_exported(made.package, out)
    for note in (*made.notes, *filter(None, [used.note])):
        print(note)
    manifest = made.package.manifest
    for end, grids in (("takes", manifest.inputs), ("gives", manifest.outputs)):
        for name, grid in grids.items():
            sizes = grid.shape or (1, grid.channels, None, None)
            shape = ", ".join(str(size) if size else side for size, side in zip(sizes, "1Chw", strict=False))
            is_indexes = manifest.scales and end == "gives" and name == "indexes"
            steps = f"in steps of 2^{grid.exponent}"
            what = f"how many of {grid.high} thresholds are below {plain(manifest.scales)}" if is_indexes else steps
            print(f"{end} {plain(name)}: int32 ({shape}) {what}")
    if verbose:
        for site in made.losses:
            print(f"{site.decibels:7.1f} dB  {plain(site.name)} ({site.op_type})")
    _print_noise(made.noise, decoder.precisions.default)


def _print_noise(noise: dict[str, float], precision: Precision) -> None:
    from nvc_check.exporter.graph_export import finer_than

    for name, decibels in noise.items():
        print(f"{plain(name)}: signal to noise against float {decibels:.1f} dB over the calibration")
    finer = finer_than(precision)
    if finer is not None and min(noise.values()) < GOOD:
        print(f"--precision {finer} comes nearer to float, and is slower")


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
