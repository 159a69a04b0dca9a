"""The command `providers`: the list of legs, and making what one needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nvc_check.checker.cli.console import errors, output_console, progress_bar
from nvc_check.models.atomic import check_file, whole_file
from nvc_check.models.errors import ProviderUnavailableError


def providers(
    install: Annotated[
        list[str] | None,
        typer.Option("--install", help="Make what this leg needs, in an environment of its own.", metavar="LEG"),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the list here; - for standard output alone.")
    ] = None,
) -> None:
    """Lists the legs: ready, not installed, or cannot start; each is really tried. With --install, those alone."""
    from nvc_check.checker.providers import all_providers, install_leg, names, print_providers, to_json

    if json is not None and json != "-":
        check_file(Path(json))
    if install:
        found = [install_leg(name, lambda line: errors.print(line, markup=False)) for name in install]
    else:
        with progress_bar("trying", len(names())) as step:
            found = all_providers(step)
    if json == "-":
        sys.stdout.write(to_json(found))
    else:
        print_providers(output_console(), found)
        if json is not None:
            with whole_file(Path(json)) as part:
                part.write_text(to_json(found), encoding="utf-8")
    broken = [row for row in found if install and row.state != "ready"]
    if broken:
        raise typer.Exit(ProviderUnavailableError.exit_code)
