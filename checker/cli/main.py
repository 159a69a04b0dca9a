"""The command line: nvc-check export | symbols | record | compare | sample | providers."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.cli.compare import compare, record
from nvc_check.checker.cli.console import any_encoding, error_line, output_console, quiet_libraries, shown_path, status
from nvc_check.checker.cli.endings import (
    INTERRUPTED,
    end_on_signals,
    internal_error,
    missing_package,
    nobody_reads,
    system_error,
)
from nvc_check.checker.cli.providers import providers
from nvc_check.checker.cli.steps import SAMPLE_FRAMES, SAMPLE_SEED, SAMPLE_SIZE, OutOption, encode, render
from nvc_check.checker.views.plain import plain
from nvc_check.models.artifacts.package import SCOPES, is_package
from nvc_check.models.atomic import check_file, check_folder
from nvc_check.models.errors import NvcCheckError, UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Export neural codec decoders to ONNX that computes the same bits everywhere, and check that it does.",
    epilog="Exit codes: 0 identical, 1 different, 2 usage, 3 bad package, symbols or trace, 4 export refused,"
    " 5 provider unavailable or fell back, 6 a run failed, 70 an error of nvc-check itself, 130 interrupted.",
)

ACTIVATION_BITS = {"w8a8": 8, "w8a16": 16}
GOOD = 30.0  # dB: below, another precision is named
MEASURED = "any,ort-cpu,avx2,webgpu,openvino"  # the targets on which forms were measured


def _version(asked: bool) -> None:
    if asked:
        print(f"nvc-check {version('nvc-check')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where an error of nvc-check itself arose.")] = False,
) -> None:
    """Options of all commands."""


@app.command()
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


@app.command()
def symbols(
    package: Annotated[Path, typer.Argument(help="Package of `export`.", metavar="PKG")],
    input: Annotated[Path, typer.Option("--input", help="Picture, folder of pictures, Y4M or video.")],
    out: OutOption,
) -> None:
    """Encodes a clip once: the integers that every leg decodes."""
    from nvc_check.models.artifacts.package import Package

    check_file(out)
    encode(Package.open(package), input, out)
    print(shown_path(out))


app.command()(record)
app.command()(compare)


@app.command()
def certify(
    source: Annotated[Path, typer.Argument(help="Package of `export`, or any ONNX file.", metavar="PKG|MODEL.onnx")],
    target: Annotated[
        str | None, typer.Option(help="any, ort-cpu, avx2, cuda, webgpu or openvino; default any, or --measure's.")
    ] = None,
    arithmetic: Annotated[
        bool, typer.Option("--arithmetic", help="A proof is enough, also of forms never measured on the target.")
    ] = False,
    measure: Annotated[
        str | None,
        typer.Option(help="Run what was never measured on this leg, here: cpu, openvino, webgpu, cuda.", metavar="LEG"),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the certificates here; - for standard output alone.")
    ] = None,
) -> None:
    """Proves graphs exact without running them, or says which nodes are not, why, and what would cure them."""
    from nvc_check.checker.certify import certify as certify_source
    from nvc_check.checker.certify import measured_on
    from nvc_check.checker.measure import target_of
    from nvc_check.checker.views.certify_table import print_certified
    from nvc_check.models.atomic import whole_file

    if json is not None and json != "-":
        check_file(Path(json))
    with status(f"certifying {shown_path(source)}"):
        measured = target_of(measure) if measure is not None else None
        if target is not None and measured not in (None, target):
            raise UsageError(f"--measure {measure}: says nothing of target {target}; leave --target out")
        certified = certify_source(source, target or measured or "any", arithmetic)
        if measure is not None:
            certified = measured_on(certified, source if source.is_dir() else source.parent, measure)
    if json == "-":
        sys.stdout.write(certified.to_json())
    else:
        print_certified(output_console(), certified)
        if json is not None:
            with whole_file(Path(json)) as part:
                part.write_text(certified.to_json(), encoding="utf-8")
    raise typer.Exit(certified.exit_code)


@app.command()
def sample(
    out: OutOption,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = SAMPLE_SIZE,
    frames: Annotated[int, typer.Option(min=1)] = SAMPLE_FRAMES,
    seed: Annotated[int, typer.Option(min=0)] = SAMPLE_SEED,
) -> None:
    """Renders a moving clip (.y4m, or a folder of PNG) from photographs that scikit-image bundles."""
    render(out, size, frames, seed)
    print(shown_path(out))


app.command()(providers)


def main() -> None:
    """Runs the command line; the only place that exits."""
    any_encoding()
    quiet_libraries()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # deprecations inside torch and compressai, nothing a user can act on
    end_on_signals()
    try:
        code = app(standalone_mode=False)
    except NvcCheckError as error:
        error_line(error)
        code = error.exit_code
    except typer.TyperException as error:
        usage: Any = error  # typer declares show() on its private subclasses only
        usage.show()
        code = UsageError.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except SystemExit as error:
        code = error.code
    except BrokenPipeError:  # who reads standard output has gone: nothing is left to say
        code = nobody_reads()
    except OSError as error:
        code = system_error(error)
    except ModuleNotFoundError as error:
        code = missing_package(error)
    except Exception as error:
        code = internal_error(error)
    if code == INTERRUPTED:  # also what typer makes of Ctrl-C inside a command, silently
        error_line(KeyboardInterrupt("interrupted; nothing was left half-written"))
    sys.exit(code if isinstance(code, int) else 0)
