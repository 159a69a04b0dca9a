"""Sweep: one leg under all its knobs, one changed at a time, and which of them change bits."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from nvc_check.checker.compare.live import compare
from nvc_check.checker.report import LegRow, Report, SweepPath, SweepRow, VerdictRow, decides, exit_code_of, verdict_of
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.leg import Knobs, LegSpec
from nvc_check.runtimes.process.running import LegProcess
from nvc_check.runtimes.registry import check_names

LEGS_AT_ONCE = 3  # beside the base: each holds an engine with its graphs
NUMBERS = (1, 2, 3)  # and the number of cores, for knobs that take any number


@dataclass(frozen=True)
class Variant:
    """The leg with one knob turned."""

    knob: str
    value: str
    spec: LegSpec


def sweep(
    package: Package,
    symbols: Symbols,
    base: LegSpec,
    *,
    strict: bool = False,
    progress: Callable[[str], Any] = lambda step: None,
) -> Report:
    """Compares every variant of `base` with it, a few legs at a time.

    Raises:
        ProviderUnavailableError, RunFailedError: `base` cannot start.
        UsageError: an unknown leg or option, or a leg without knobs.
    """
    check_names([base])
    with closing(LegProcess(base, package.root)) as process:
        info, _ = process.open()
        turned = variants(base, process.knobs, info.fingerprint)
    if not turned:
        raise UsageError(f"--sweep {base.name}: {base.engine} has no options; sweep another leg")
    report = compare(
        package,
        symbols,
        [base, *(variant.spec for variant in turned)],
        references={"fp32": base.name, "int": base.name},
        progress=progress,
        at_once=LEGS_AT_ONCE,
    )
    verdict = _judged(report.verdict, base, report.legs)
    return report.model_copy(
        update={
            "exit_code": exit_code_of(verdict, report.legs, strict),
            "sweep": [_row(variant, report) for variant in turned],
        }
    )


def variants(base: LegSpec, knobs: Knobs, settings: dict[str, str]) -> list[Variant]:
    """Each value of each knob but the one that `base` has; `settings` of the running engine tells its defaults."""
    found = []
    numbers = tuple(str(number) for number in sorted({*NUMBERS, os.cpu_count() or 1}))
    for knob, values in knobs.items():
        for value in numbers if values is None else values:
            if value != base.options.get(knob, settings.get(knob)):
                found.append(Variant(knob, value, _spelled(base, {**base.options, knob: value})))
    return found


def _spelled(base: LegSpec, options: dict[str, str]) -> LegSpec:
    engine = f"{base.engine}@{base.machine}" if base.machine else base.engine
    name = f"{engine}:{','.join(f'{key}={value}' for key, value in options.items())}"
    return replace(LegSpec.parse(name), allow_fallback=base.allow_fallback)


def _judged(verdict: VerdictRow, base: LegSpec, legs: list[LegRow]) -> VerdictRow:
    """Of a leg without an integer path, there is none to have compared."""
    if any((leg.name, leg.path) == (base.name, "int") for leg in legs) or verdict.fp32 == "not compared":
        return verdict
    return VerdictRow(fp32=verdict.fp32, int="identical")


def _row(variant: Variant, report: Report) -> SweepRow:
    paths, scope = {}, report.package.scope
    for path in ("fp32", "int"):
        rows = [row for row in report.results if (row.leg, row.path) == (variant.spec.name, path)]
        rows = [row for row in rows if decides(path, row.tensor, scope)]
        paths[path] = SweepPath(
            verdict=verdict_of(rows, path, scope),
            values=sum(row.values for row in rows),
            mismatched=sum(row.mismatched or 0 for row in rows),
            index_flips=sum(row.index_flips or 0 for row in rows),
        )
    reasons = [leg.reason for leg in report.legs if leg.name == variant.spec.name and leg.reason]
    return SweepRow(
        knob=variant.knob,
        value=variant.value,
        leg=variant.spec.name,
        reason=reasons[0] if reasons else "",
        **paths,
    )
