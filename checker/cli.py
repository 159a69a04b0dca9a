"""The command line: nvc-check export | symbols | record | compare | sample | providers."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.console import error_line, output_console, progress_bar, shown_path, status
from nvc_check.models.atomic import check_place
from nvc_check.models.errors import NvcCheckError, UsageError
from nvc_check.models.package import SCOPES

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Export neural codec decoders to ONNX that computes the same bits everywhere, and check that it does.",
    epilog="Exit codes: 0 identical, 1 different, 2 usage, 3 bad package, symbols or trace, 4 export refused,"
    " 5 provider unavailable or fell back, 6 a run failed, 130 interrupted.",
)

INTERRUPTED = 130  # 128 + SIGINT, as shells count
OutOption = Annotated[Path, typer.Option("--out", help="Where to write; appears only when whole.")]
SAMPLE_SIZE, SAMPLE_FRAMES, SAMPLE_SEED = "768x512", 10, 0


@app.command()
def export(
    codec: Annotated[
        str,
        typer.Argument(
            help="NAME, NAME@QUALITY, NAME@seedN (untrained) or a checkpoint file.", metavar="CODEC|CHECKPOINT"
        ),
    ],
    out: OutOption,
    precision: Annotated[str, typer.Option(help="Bits of weights and activations: w8a8.")] = "w8a8",
    scope: Annotated[str, typer.Option(help="Exact part: hyperprior, or decoder (frames too).")] = "hyperprior",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Pictures or clip to calibrate on; default: photographs that scikit-image bundles."),
    ] = None,
    allow_inexact: Annotated[
        bool, typer.Option("--allow-inexact", help="Ordinary scales, marked inexact in the manifest.")
    ] = False,
) -> None:
    """Exports CODEC to the package OUT: FP32 and exact integer ONNX graphs, frozen tables, certificate, digests."""
    for option, found, known in (("precision", precision, ("w8a8",)), ("scope", scope, SCOPES)):
        if found not in known:
            raise UsageError(f"--{option} {found}: expected {' or '.join(known)}")
    check_place(out)
    from nvc_check.checker.calibration import calibration_pictures
    from nvc_check.exporter.export import export_package
    from nvc_check.models.codecs import load_codec

    with status(f"exporting {codec}") as step:
        loaded = load_codec(codec)
        pictures = calibration_pictures(calibration, loaded.multiple)
        package = export_package(loaded, pictures, out, scope=scope, allow_inexact=allow_inexact, progress=step)
    verdict = "exact" if package.manifest.exact else "INEXACT (ordinary scales)"
    print(f"{shown_path(out)}: {package.manifest.name}, {precision}, scope {scope}, {verdict}")
    print(f"package {package.manifest.digest}")


@app.command()
def symbols(
    package: Annotated[Path, typer.Argument(help="Package of `export`.", metavar="PKG")],
    input: Annotated[Path, typer.Option("--input", help="Picture, folder of pictures, Y4M or video.")],
    out: OutOption,
) -> None:
    """Encodes a clip once: the integers that every leg decodes."""
    from nvc_check.models.package import Package

    _encode(Package.open(package), input, out)
    print(shown_path(out))


@app.command()
def record(
    package: Annotated[Path, typer.Argument(help="Package of `export`.", metavar="PKG")],
    symbols: Annotated[Path, typer.Option("--symbols", help="File of `symbols`.")],
    provider: Annotated[str, typer.Option(help="One leg, e.g. cpu:opt=off.")],
    out: OutOption,
) -> None:
    """Runs one leg and writes what it computed: digests per tensor and frame."""
    from nvc_check.checker.traces import record as record_trace
    from nvc_check.models.package import Package
    from nvc_check.models.symbols import Symbols
    from nvc_check.runtimes.leg import LegSpec

    opened = Package.open(package)
    with Symbols(symbols, opened.manifest.digest) as read:
        with progress_bar(f"recording {provider}", len(read.frames)) as step:
            record_trace(opened, read, LegSpec.parse(provider), out, step)
    print(shown_path(out))


@app.command()
def compare(
    what: Annotated[list[Path], typer.Argument(help="A package, or two or more traces.", metavar="PKG|TRACE...")],
    input: Annotated[
        Path | None, typer.Option("--input", help="Picture, folder, Y4M or video; default: a sample.")
    ] = None,
    symbols: Annotated[Path | None, typer.Option("--symbols", help="File of `symbols`, in place of --input.")] = None,
    providers: Annotated[str, typer.Option(help="Legs, comma-separated; options as cpu:opt=off,threads=1.")] = "cpu",
    json: Annotated[
        str | None, typer.Option("--json", help="Write the report here; - for standard output alone.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for residual maps.")] = None,
    maps: Annotated[int, typer.Option(min=0, help="Residual maps per leg and path with --out.")] = 4,
    strict: Annotated[bool, typer.Option("--strict", help="FP32 differences count for the exit code.")] = False,
    across_packages: Annotated[
        bool, typer.Option("--across-packages", help="Compare traces of different packages.")
    ] = False,
) -> None:
    """Decodes the same symbols on every leg, counts the differences and prints a verdict."""
    from nvc_check.checker.traces import compare_traces

    if json is not None and json != "-":
        check_place(Path(json))
    if out is not None:
        check_place(out / "maps")
    if len(what) > 1 or what[0].is_file():
        if input is not None or symbols is not None:
            raise UsageError("--input and --symbols: for a package; traces were recorded from symbols already")
        report = compare_traces(what, across_packages=across_packages, strict=strict)
    else:
        report = _compare_package(what[0], input, symbols, providers, strict, out, maps)
    _show(report, json)
    raise typer.Exit(report.exit_code)


@app.command()
def certify(
    source: Annotated[Path, typer.Argument(help="Package of `export`, or any ONNX file.", metavar="PKG|MODEL.onnx")],
    target: Annotated[str, typer.Option(help="any, ort-cpu, avx2, cuda, webgpu or openvino.")] = "any",
    json: Annotated[
        str | None, typer.Option("--json", help="Write the certificates here; - for standard output alone.")
    ] = None,
) -> None:
    """Proves graphs exact without running them, or says which nodes are not, why, and what would cure them."""
    from nvc_check.checker.certify import certify as certify_source
    from nvc_check.checker.certify_table import print_certified
    from nvc_check.models.atomic import whole_file

    if json is not None and json != "-":
        check_place(Path(json))
    with status(f"certifying {shown_path(source)}"):
        certified = certify_source(source, target)
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
    _render(out, size, frames, seed)
    print(shown_path(out))


@app.command()
def providers() -> None:
    """Lists the legs and whether they can run here."""
    from nvc_check.checker.providers import print_providers

    print_providers(output_console())


def _render(out: Path, size: str, frames: int, seed: int) -> None:
    from nvc_check.checker.sample import write_sample

    width, cross, height = size.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {size}: expected WIDTHxHEIGHT, e.g. {SAMPLE_SIZE}")
    with progress_bar("rendering", frames) as step:
        write_sample(out, int(width), int(height), frames, seed, progress=step)


def _encode(package: Any, input: Path, out: Path) -> None:
    from nvc_check.checker.clip import open_clip
    from nvc_check.checker.encode import write_symbols

    clip = open_clip(input)
    with progress_bar("encoding", clip.count()) as step:
        one_size = package.manifest.kind == "video"
        frames = ((frame.name, frame.rgb) for frame in clip.frames(one_size))
        write_symbols(package, frames, {"source": input.name}, out, step)


def _compare_package(
    folder: Path,
    input: Path | None,
    symbols: Path | None,
    providers: str,
    strict: bool,
    out: Path | None,
    maps: int,
) -> Any:
    from nvc_check.checker.compare import compare as compare_legs
    from nvc_check.checker.compare import with_references
    from nvc_check.checker.maps import MapWriter
    from nvc_check.models.package import Package
    from nvc_check.models.symbols import Symbols
    from nvc_check.runtimes.leg import split_providers

    if input is not None and symbols is not None:
        raise UsageError("--input and --symbols: give one of the two")
    specs = with_references(split_providers(providers))
    package = Package.open(folder)
    with tempfile.TemporaryDirectory(prefix="nvc-check-") as scratch:
        file = symbols
        if file is None:
            if input is None:
                input = Path(scratch) / "sample.y4m"
                _render(input, SAMPLE_SIZE, SAMPLE_FRAMES, SAMPLE_SEED)
            file = Path(scratch) / "symbols.npz"
            _encode(package, input, file)
        with Symbols(file, package.manifest.digest) as read:
            observer = MapWriter(out, maps, len(read.frames)) if out is not None else None
            with progress_bar("decoding", len(read.frames) + len(specs)) as step:
                report = compare_legs(package, read, specs, strict=strict, observer=observer, progress=step)
            if observer is not None:
                observer.finish(report)
            return report


def _show(report: Any, json: str | None) -> None:
    from nvc_check.checker.table import print_report
    from nvc_check.models.atomic import whole_file

    if json == "-":
        sys.stdout.write(report.to_json())
        return
    print_report(output_console(), report)
    if json is not None:
        with whole_file(Path(json)) as part:
            part.write_text(report.to_json(), encoding="utf-8")


def main() -> None:
    """Runs the command line; the only place that exits."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # deprecations inside torch and compressai, nothing a user can act on
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
    if code == INTERRUPTED:  # also what typer makes of Ctrl-C inside a command, silently
        error_line(KeyboardInterrupt("interrupted; nothing was left half-written"))
    sys.exit(code if isinstance(code, int) else 0)
