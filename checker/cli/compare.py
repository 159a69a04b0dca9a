"""The commands `record` and `compare`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.cli.console import output_console, progress_bar, shown_path, status
from nvc_check.checker.cli.steps import SAMPLE_FRAMES, SAMPLE_SEED, OutOption, encode, render, sample_size
from nvc_check.models.atomic import check_file
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.leg import LegSpec, split_providers
from nvc_check.runtimes.process.orphan import scratch_folder

FallbackOption = Annotated[
    bool, typer.Option("--allow-fallback", help="Count legs whose nodes ran elsewhere too; the report names the nodes.")
]

DEFAULT_PROVIDERS = "cpu"


def record(
    package: Annotated[Path, typer.Argument(help="Package of `export`.", metavar="PKG")],
    symbols: Annotated[Path, typer.Option("--symbols", help="File of `symbols`.")],
    provider: Annotated[str, typer.Option(help="One leg, e.g. cpu:opt=off.")],
    out: OutOption,
    tensors: Annotated[bool, typer.Option("--tensors", help="Keep the tensors, not only their digests.")] = False,
    label: Annotated[str, typer.Option(help="What you call this machine; stands beside the leg's name.")] = "",
    allow_fallback: FallbackOption = False,
) -> None:
    """Runs one leg and writes a trace: digests per tensor and frame, what ran where, the machine."""
    from nvc_check.checker.certify import verified_package
    from nvc_check.checker.traces.record import record as record_trace
    from nvc_check.models.artifacts.symbols import Symbols

    check_file(out)
    opened, _ = verified_package(package)
    with Symbols(symbols, opened.manifest.digest) as read:
        with progress_bar(f"recording {provider}", len(read.frames)) as step:
            spec = replace(LegSpec.parse(provider), allow_fallback=allow_fallback)
            record_trace(opened, read, spec, out, tensors=tensors, label=label, progress=step)
    print(shown_path(out))


def compare(
    what: Annotated[list[Path], typer.Argument(help="A package, or two or more traces.", metavar="PKG|TRACE...")],
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Picture, folder, Y4M or video; default: a sample. Of an ONNX decoder that takes no pictures: .npz.",
        ),
    ] = None,
    symbols: Annotated[Path | None, typer.Option("--symbols", help="File of `symbols`, in place of --input.")] = None,
    providers: Annotated[
        str, typer.Option(help="Legs, as cpu:opt=off,threads=1,openvino; all: those ready.")
    ] = DEFAULT_PROVIDERS,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the report here; - for standard output alone.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for residual maps.")] = None,
    maps: Annotated[int, typer.Option(min=0, help="Residual maps per leg and path with --out.")] = 4,
    strict: Annotated[bool, typer.Option("--strict", help="FP32 differences count for the exit code.")] = False,
    across_packages: Annotated[
        bool, typer.Option("--across-packages", help="Compare traces of different packages.")
    ] = False,
    allow_fallback: FallbackOption = False,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", help="In place of --providers: a leg under all its options.", metavar="LEG"),
    ] = None,
) -> None:
    """Decodes the same symbols on every leg, counts the differences and prints a verdict."""
    from nvc_check.checker.compare.merge import compare_traces
    from nvc_check.checker.providers import with_ready_engines

    if json is not None and json != "-":
        check_file(Path(json))
    if out is not None:
        check_file(out / "maps")
    if len(what) > 1 or what[0].is_file():
        if input is not None or symbols is not None or sweep is not None:
            raise UsageError("--input, --symbols and --sweep: for a package; traces were recorded from symbols already")
        report = compare_traces(what, across_packages=across_packages, strict=strict, allow_fallback=allow_fallback)
    else:
        if sweep is not None and (providers != DEFAULT_PROVIDERS or out is not None):
            raise UsageError("--sweep: one leg, without --providers and without residual maps (--out)")
        with status("looking for legs"):
            specs = with_ready_engines(split_providers(sweep or providers))
        legs = [replace(spec, allow_fallback=allow_fallback) for spec in specs]
        if sweep is not None and len(legs) > 1:
            raise UsageError(f"--sweep {sweep}: one leg at a time")
        report = _compare_package(what[0], input, symbols, legs, providers, strict, out, maps, sweep is not None)
    _show(report, json)
    raise typer.Exit(report.exit_code)


def _compare_package(
    folder: Path,
    input: Path | None,
    symbols: Path | None,
    legs: list[LegSpec],
    spelled: str,
    strict: bool,
    out: Path | None,
    maps: int,
    swept: bool,
) -> Any:
    from nvc_check.checker.certify import verified_package
    from nvc_check.checker.compare.live import compare as compare_legs
    from nvc_check.checker.compare.live import with_references
    from nvc_check.checker.compare.sweep import sweep as sweep_leg
    from nvc_check.models.artifacts.symbols import Symbols

    if input is not None and symbols is not None:
        raise UsageError("--input and --symbols: give one of the two")
    with status("verifying the certificate"):
        package, certified = verified_package(folder)
    is_graph = package.manifest.kind == "graph"
    if is_graph and "torch" not in spelled:  # `all` is those that can run it
        legs = [leg for leg in legs if leg.engine != "torch"]
    specs = legs if swept else with_references(legs, package.manifest.kind)
    if is_graph and out is not None:
        raise UsageError("--out: residual maps are of pictures; the report of a decoder's outputs is in --json")
    size = sample_size(package) if input is None and symbols is None else ""
    with scratch_folder() as scratch:
        file, sampled = symbols, input is None
        if file is None:
            if input is None:
                input = scratch / "sample.y4m"
                render(input, size, SAMPLE_FRAMES, SAMPLE_SEED)
            file = scratch / "symbols.npz"
            encode(package, input, file, sampled=sampled)
        with Symbols(file, package.manifest.digest) as read:
            if swept:
                with progress_bar("sweeping", None) as step:
                    return sweep_leg(package, read, legs[0], strict=strict, progress=step)
            observer = None
            if out is not None:
                from nvc_check.checker.views.maps import MapWriter  # needs Pillow and matplotlib

                observer = MapWriter(out, maps, len(read.frames))
            with progress_bar("decoding", len(read.frames) + len(specs)) as step:
                report = compare_legs(package, read, specs, strict=strict, observer=observer, progress=step)
            report = report.model_copy(update={"assumptions": certified.assumptions})
            if observer is not None:
                observer.finish(report)
            return report


def _show(report: Any, json: str | None) -> None:
    from nvc_check.checker.views.sweep_table import print_sweep
    from nvc_check.checker.views.table import print_report
    from nvc_check.models.atomic import whole_file

    if json == "-":
        sys.stdout.write(report.to_json())
        return
    (print_report if report.sweep is None else print_sweep)(output_console(), report)
    if json is not None:
        with whole_file(Path(json)) as part:
            part.write_text(report.to_json(), encoding="utf-8")
