"""Comparing traces offline: digests first, and tensors only where digests differ."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from nvc_check.checker.compare.comparator import REFERENCE, Comparator, Given
from nvc_check.checker.report import FidelityRow, LegRow, Report
from nvc_check.checker.traces.fidelity import decibels
from nvc_check.checker.traces.file import TraceFile
from nvc_check.checker.traces.format import Trace
from nvc_check.models.digest import canonical_json
from nvc_check.models.errors import BadArtifactError, UsageError

PathName = Literal["fp32", "int"]
PATHS: tuple[PathName, ...] = ("fp32", "int")


@dataclass(frozen=True)
class Merged:
    """A trace among others: its distinct name."""

    name: str
    file: TraceFile

    @property
    def trace(self) -> Trace:
        return self.file.trace

    def fell_back(self, path: PathName) -> list[str]:
        return self.trace.paths[path].placement.fell_back if path in self.trace.paths else []

    def given(self, path: PathName, number: int) -> dict[str, Given]:
        """What it has of a frame; nothing of one that it does not have."""
        frames = self.trace.paths[path].frames
        return {
            name: Given(tuple(tensor.shape), partial(self.file.read, path, number, name), tensor.sha256)
            for name, tensor in (frames[number] if number < len(frames) else {}).items()
        }


def compare_traces(
    files: list[Path], *, across_packages: bool = False, strict: bool = False, allow_fallback: bool = False
) -> Report:
    """Merges traces; the first trace of the path's reference leg, else the first trace, is compared against.

    A trace whose nodes fell back takes no part, unless `allow_fallback`.

    Raises:
        UsageError: fewer than two traces, or two of one leg on one machine.
        BadArtifactError: a bad trace, or traces of different packages (unless `across_packages`) or symbols.
    """
    if len(files) < 2:
        raise UsageError("compare: one trace; give at least two traces, or a package with --input or --symbols")
    with ExitStack() as stack:
        opened = [stack.enter_context(TraceFile(file)) for file in files]
        _check_same(opened, across_packages)
        _check_apart(opened)
        names = _distinct([item.trace.name for item in opened])
        merged = [Merged(name, item) for name, item in zip(names, opened, strict=True)]
        comparator = Comparator(merged[0].trace.package.scope)
        for path in PATHS:
            _compare_path(comparator, path, merged, allow_fallback)
    first = merged[0].trace
    # of the first one's package: others' symbols are others
    of_first = [item for item in merged if item.trace.symbols == first.symbols]
    return comparator.report(
        first.package,
        {"digest": first.symbols, "frames": str(len(first.frames))},
        [frame.info() for frame in first.frames],
        [_leg_row(item, path, allow_fallback) for path in PATHS for item in merged if path in item.trace.paths],
        _fidelity(of_first, allow_fallback),
        strict=strict,
    )


def _compare_path(comparator: Comparator, path: PathName, merged: list[Merged], allow_fallback: bool) -> None:
    having = [m for m in merged if path in m.trace.paths and (allow_fallback or not m.fell_back(path))]
    having.sort(key=lambda m: m.trace.leg.name != REFERENCE[path])
    infos = max((item.trace.frames for item in having), key=len, default=[])
    for number, frame in enumerate(infos):
        comparator.frame(path, number, frame.info(), ((item.name, item.given(path, number)) for item in having))


def _fidelity(merged: list[Merged], allow_fallback: bool) -> list[FidelityRow]:
    """As the first trace says that has both paths: where the integers are identical, every other says the same."""
    for item in merged:
        if item.trace.fidelity and (allow_fallback or not (item.fell_back("fp32") or item.fell_back("int"))):
            return [
                FidelityRow(
                    tensor=tensor,
                    leg=item.name,
                    reference=item.name,
                    values=sums.values,
                    snr_db=None if sums.noise is None else decibels(sums.signal, sums.noise),
                    calibration_db=sums.calibration_db,
                )
                for tensor, sums in item.trace.fidelity.items()
            ]
    return []


def _check_same(opened: list[TraceFile], across_packages: bool) -> None:
    first = opened[0]
    symbols: dict[str, str] = {}  # of each package: symbols are bound to one, so two packages never share them
    for item in opened:
        found, expected = item.trace.package.digest, first.trace.package.digest
        if found != expected and not across_packages:
            raise BadArtifactError(
                f"{item.file}: trace of package {found[:12]}…, {first.file} is of {expected[:12]}…;"
                " record both from one package, or say --across-packages"
            )
        expected = symbols.setdefault(found, item.trace.symbols)
        if item.trace.symbols != expected:
            raise BadArtifactError(
                f"{item.file}: trace of symbols {item.trace.symbols[:12]}…, another of its package is of"
                f" {expected[:12]}…; record both from one symbols file"
            )


def _check_apart(opened: list[TraceFile]) -> None:
    """Raises UsageError for two traces of one leg on one machine: what repeats itself is not the same elsewhere."""
    seen: dict[str, TraceFile] = {}
    for item in opened:
        trace = item.trace
        who = canonical_json([trace.package.digest, trace.symbols, trace.leg.model_dump()])
        other = seen.setdefault(who, item)
        if other is not item:
            remedy = "give one of the two, or tell machines of one kind apart with record --label"
            raise UsageError(f"{item.file}: the same leg on the same machine as {other.file}; {remedy}")


def _leg_row(item: Merged, path: PathName, allow_fallback: bool) -> LegRow:
    leg, fell_back = item.trace.leg, item.fell_back(path)
    refused = bool(fell_back) and not allow_fallback
    return LegRow(
        name=item.name,
        path=path,
        engine=leg.engine,
        version=leg.version,
        device=leg.device,
        status="unavailable" if refused else "ok",
        fingerprint=leg.fingerprint,
        seconds=0.0,
        reason=f"{item.name}: {len(fell_back)} nodes fell back; say --allow-fallback to compare it" if refused else "",
        placement=item.trace.paths[path].placement,
    )


def _distinct(names: list[str]) -> list[str]:
    """Traces of the same leg from several machines are numbered: cpu, cpu#2, ..."""
    return [n if names[:i].count(n) == 0 else f"{n}#{names[:i].count(n) + 1}" for i, n in enumerate(names)]
