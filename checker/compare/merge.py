"""Comparing traces offline: digests first, and tensors only where digests differ."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nvc_check.checker.compare.live import REFERENCE, picture, result_row
from nvc_check.checker.media.difference import IDENTICAL, Difference, FrameDifference
from nvc_check.checker.report import (
    FidelityRow,
    LegRow,
    Report,
    ResultRow,
    VerdictRow,
    decides,
    exit_code_of,
    failure_of,
    verdict_of,
    with_compared,
)
from nvc_check.checker.traces.fidelity import clipped_rows, decibels, rate_rows, warnings_of
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
        results = [row for path in PATHS for row in _path_results(path, merged, allow_fallback)]
    first = merged[0].trace
    legs = [_leg_row(item, path, allow_fallback) for path in PATHS for item in merged if path in item.trace.paths]
    legs = with_compared(legs, results)
    # of the first one's package: others' symbols are others
    frames = [frame.info() for frame in first.frames]
    of_first = [item for item in merged if item.trace.symbols == first.symbols]
    near, clipped = _fidelity(of_first, allow_fallback), clipped_rows(frames)
    scope = first.package.scope
    verdict = VerdictRow(fp32=verdict_of(results, "fp32", scope), int=verdict_of(results, "int", scope))
    return Report(
        package=first.package,
        symbols={"digest": first.symbols, "frames": str(len(first.frames))},
        legs=legs,
        results=results,
        rate=rate_rows(frames),
        fidelity=near,
        clipped=clipped,
        warnings=warnings_of(near, clipped, frames),
        verdict=verdict,
        seconds=0.0,
        exit_code=exit_code_of(verdict, legs, strict),
    )


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


def _path_results(path: PathName, merged: list[Merged], allow_fallback: bool) -> list[ResultRow]:
    having = [m for m in merged if path in m.trace.paths and (allow_fallback or not m.fell_back(path))]
    having.sort(key=lambda m: m.trace.leg.name != REFERENCE[path])
    tensors = {item.name: dict.fromkeys(key for f in item.trace.paths[path].frames for key in f) for item in having}
    rows: list[ResultRow] = []
    for tensor in dict.fromkeys(name for item in having for name in tensors[item.name]):
        reference = next(item for item in having if tensor in tensors[item.name])
        needed = decides(path, tensor, reference.trace.package.scope)
        others = [item for item in having if item is not reference and (needed or tensor in tensors[item.name])]
        rows += [_row(path, tensor, item, reference) for item in others]
    return sorted(rows, key=lambda row: [item.name for item in having].index(row.leg))


def _row(path: PathName, tensor: str, item: Merged, reference: Merged) -> ResultRow:
    """Full figures where all frames that differ have their tensors on both sides."""
    ours = [frame.get(tensor) for frame in item.trace.paths[path].frames]
    theirs = [frame.get(tensor) for frame in reference.trace.paths[path].frames]
    frames = max(len(ours), len(theirs))
    ours += [None] * (frames - len(ours))
    theirs += [None] * (frames - len(theirs))
    present = [number for number in range(frames) if ours[number] or theirs[number]]
    difference = Difference()
    different, complete = 0, True
    for number in present:
        a, b = ours[number], theirs[number]
        if a is None or b is None:
            different += 1
            difference.add_missing(number, sum(of.values for of in (a, b) if of))
            continue
        if a.sha256 == b.sha256 and a.shape == b.shape:
            shown = tensor == "frame"
            difference.values += b.values
            difference.by_frame.append(
                FrameDifference(number, 0, 0.0, 0 if shown else None, IDENTICAL if shown else None)
            )
            continue
        different += 1
        complete = complete and _add(difference, path, number, tensor, item, reference)
    if complete:
        return result_row(path, item.name, reference.name, tensor, difference)
    return ResultRow(
        path=path,
        leg=item.name,
        reference=reference.name,
        tensor=tensor,
        frames=len(present),
        frames_different=different,
        values=sum(of.values for a, b in zip(ours, theirs, strict=True) if (of := b or a)),
        mismatched=None,
        max_abs=None,
        max_ulp=None,
        index_flips=None if tensor.endswith("indexes") else 0,
        first=None,
        psnr_mean=None,
        psnr_min=None,
        failure=failure_of(path, tensor, True, missing=difference.missing),
        by_frame=[],
    )


def _add(
    difference: Difference, path: PathName, number: int, tensor: str, item: Merged, reference: Merged
) -> bool:  # fmt: skip
    """Counts one frame's tensor; False where a side has digests only."""
    found, expected = item.file.read(path, number, tensor), reference.file.read(path, number, tensor)
    if found is None or expected is None:
        return False
    difference.add(number, found, expected)
    if tensor == "frame" and found.shape == expected.shape:
        info = reference.trace.frames[number]
        difference.add_picture(*(picture(frame, info.height, info.width) for frame in (found, expected)))
    return True


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
