"""The list of legs: ready, not installed (with the line that installs it), or cannot start (with the reason).

Every leg is tried in a process of its own; nothing is concluded from what is installed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.checker.views.plain import harmless
from nvc_check.models.errors import NvcCheckError, UsageError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process import environments, foreign
from nvc_check.runtimes.process.processors import PROCESSORS, emulator_of, is_foreign, processor_of
from nvc_check.runtimes.process.running import EMULATED, PROBE_SECONDS, LegProcess
from nvc_check.runtimes.registry import check_names, known_engines, registered

SCHEMA = "nvc-check/providers/1"
State = Literal["ready", "not installed", "cannot start"]
STYLES: dict[State, str] = {"ready": "green", "not installed": "yellow", "cannot start": "red"}
ALL, SLOW = "all", "reference"
NOT_INSTALLED = "not installed"  # in an error's text: what would help is a line to type, not a device


@dataclass(frozen=True)
class Provider:
    """One leg here and now. `detail`: what runs, the line that installs it, or why it cannot start."""

    name: str
    state: State
    detail: str
    summary: str


def names() -> list[str]:
    """Every leg that the list shows: the engines, torch on a GPU, the emulated processors."""
    return [*known_engines(), "torch:device=cuda", *(f"cpu@{processor}" for processor in PROCESSORS)]


def tried(name: str) -> Provider:
    """Starts the leg, which runs a small graph with a known answer."""
    spec = LegSpec.parse(name)
    with closing(LegProcess(spec, Path(), PROBE_SECONDS * (EMULATED if spec.machine else 1))) as leg:
        try:
            info = leg.probe()
        except NvcCheckError as error:
            text = str(error).removeprefix(f"{name}: ")
            state: State = "not installed" if NOT_INSTALLED in text else "cannot start"
            return Provider(name, state, text, _summary(spec))
        return Provider(name, "ready", f"{info.engine} {info.version.split('-')[0]}, {info.device}", _summary(spec))


def with_ready_engines(specs: list[LegSpec]) -> list[LegSpec]:
    """`specs` with the leg `all` replaced by every engine that is ready here and not yet named.

    Without `reference`, which takes a minute for a picture: it is for small graphs.
    """
    if not any(spec.name == ALL for spec in specs):
        return specs
    named = [spec for spec in specs if spec.name != ALL]
    wanted = [name for name in known_engines() if name != SLOW and name not in {spec.name for spec in named}]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = [provider.name for provider in pool.map(tried, wanted) if provider.state == "ready"]
    return [LegSpec.parse(name) for name in found] + named


def all_providers(step: Callable[[Any], None]) -> list[Provider]:
    """All of `names`, as many at a time as there are cores; `step` is called after each."""

    def one(name: str) -> Provider:
        found = tried(name)
        step(name)
        return found

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(one, names()))


def install_leg(name: str, say: Callable[[str], None]) -> Provider:
    """Makes what the leg needs, outside the user's own environment, unless it is there and runs; and tries it.

    Raises:
        UsageError: no such leg, or one that has no environment of its own.
        ProviderUnavailableError: an emulator, npm or apt is missing, or a download failed.
    """
    spec = LegSpec.parse(name)
    check_names([spec])
    engine = registered(spec.engine)
    assert engine is not None
    processor = processor_of(spec) if spec.machine else None
    if processor is not None:
        emulator_of(spec)
    elif not (engine.packages or engine.npm):
        raise UsageError(f"--install {name}: it has no environment of its own; {engine.install}")
    if processor is not None and is_foreign(processor):
        there = foreign.is_ready(processor.architecture)
    else:
        pins = (*engine.packages, *engine.npm)
        there = not pins or environments.is_installed(spec.engine, pins)
    if there and (found := tried(name)).state == "ready":
        return found
    if processor is not None and is_foreign(processor):
        foreign.install(processor.architecture, say)
    elif engine.packages or engine.npm:
        environments.install(spec.engine, engine.packages, engine.npm, say)
    return tried(name)


def print_providers(console: Console, providers: list[Provider]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("leg", "state", "what runs, or why not", "what it is"):
        table.add_column(column)
    for row in map(harmless, providers):
        table.add_row(row.name, f"[{STYLES[row.state]}]{row.state}[/]", row.detail, row.summary)
    console.print(table)


def to_json(providers: list[Provider]) -> str:
    document = {"schema": SCHEMA, "providers": [asdict(row) for row in providers]}
    return json.dumps(document, indent=2) + "\n"


def _summary(spec: LegSpec) -> str:
    if spec.machine:
        return f"{PROCESSORS[spec.machine].purpose}; emulated, any engine that runs there"
    engine = registered(spec.engine)
    return engine.summary if engine else ""
