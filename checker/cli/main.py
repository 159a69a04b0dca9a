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
from nvc_check.checker.cli.export import export
from nvc_check.checker.cli.providers import providers
from nvc_check.checker.cli.steps import SAMPLE_FRAMES, SAMPLE_SEED, SAMPLE_SIZE, OutOption, encode, render
from nvc_check.models.atomic import check_file
from nvc_check.models.errors import NvcCheckError, UsageError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Export neural codec decoders to ONNX that computes the same bits everywhere, and check that it does.",
    epilog="Exit codes: 0 identical, 1 different, 2 usage, 3 bad package, symbols or trace, 4 export refused,"
    " 5 provider unavailable or fell back, 6 a run failed, 70 an error of nvc-check itself, 130 interrupted.",
)


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


app.command()(export)


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
