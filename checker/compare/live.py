"""Runs the legs side by side over a symbols file and counts differences, one frame at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.media.difference import Difference
from nvc_check.checker.report import (
    First,
    FrameRow,
    LegRow,
    PackageRow,
    PlacementRow,
    Report,
    ResultRow,
    VerdictRow,
    decides,
    exit_code_of,
    failure_of,
    verdict_of,
    with_compared,
)
from nvc_check.checker.traces.fidelity import Fidelity, Outputs, clipped_rows, rate_rows, warnings_of
from nvc_check.models.artifacts.package import OUTPUT, Package
from nvc_check.models.artifacts.symbols import FrameInfo, Symbols
from nvc_check.models.errors import NvcCheckError, ProviderUnavailableError, RunFailedError, UsageError
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Tensors
from nvc_check.runtimes.process.running import LegProcess
from nvc_check.runtimes.registry import check_names

REFERENCE = {"int": "exact", "fp32": "torch"}
FrameObserver = Callable[[str, str, str, int, FrameInfo, Any, Any], None]
"""Called as (path, leg, reference, frame number, info, frame, reference's frame), both (3, H, W) in [0, 1]."""


@dataclass
class Leg:
    """A started leg and what became of it."""

    spec: LegSpec
    process: LegProcess
    info: EngineInfo | None = None
    paths: tuple[str, ...] = ()
    error: NvcCheckError | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    placements: dict[str, PlacementRow] = field(default_factory=dict)
    audited: set[tuple[str, ...]] = field(default_factory=set)
    tensors: Tensors = field(default_factory=dict)

    def decode(self, path: str, symbols: Tensors) -> bool:
        """Fills `tensors`; False, with the error kept, where the leg failed now or before."""
        if self.error is not None or path not in self.paths:
            return False
        try:
            seconds, self.tensors = self.process.decode(path, symbols)
            if (path, *symbols) not in self.audited:  # other parts, so other graphs have run
                self.audited.add((path, *symbols))
                self.placements[path] = PlacementRow.of(self.process.placement(path))
        except (RunFailedError, ProviderUnavailableError) as error:
            self.error = error
            return False
        self.seconds[path] = self.seconds.get(path, 0.0) + seconds
        return True


def with_references(specs: list[LegSpec], kind: str = "") -> list[LegSpec]:
    """The legs asked for, behind `exact` and, where torch is installed, `torch`: the two references.

    A package of `kind` graph has no torch model; the first leg is the reference of its FP32 path.

    Raises:
        UsageError: an engine that does not exist, a leg named twice, or none but references.
    """
    check_names(specs)
    names = [spec.name for spec in specs]
    if len({(spec.engine, spec.machine, *sorted(spec.options.items())) for spec in specs}) < len(specs):
        raise UsageError(f"--providers {','.join(names)}: a leg is named twice; give each one once")
    if not [spec for spec in specs if spec.engine not in REFERENCE.values() or spec.options]:
        raise UsageError("--providers: nothing to compare but the references themselves; add a leg such as cpu")
    has_torch = kind != "graph" and find_spec("torch") is not None
    added = [n for n in REFERENCE.values() if n not in names and (n != "torch" or has_torch)]
    return [LegSpec.parse(name) for name in added] + specs


def compare(
    package: Package,
    symbols: Symbols,
    specs: list[LegSpec],
    *,
    strict: bool = False,
    observer: FrameObserver | None = None,
    progress: Callable[[str], Any] = lambda step: None,
    references: Mapping[str, str] = REFERENCE,
) -> Report:
    """Decodes every frame on every leg, and compares with the path's reference (`references`: path -> leg).

    The legs run one after the other for each frame, so that they do not take each other's cores; no more than two
    legs' tensors are held at a time, and the FP32 reference's outputs of a user's decoder.

    Raises:
        UsageError: a leg's option is unknown.
        BadArtifactError: the symbols file is damaged.
    """
    with ExitStack() as stack:
        legs = [Leg(spec, LegProcess(spec, package.root)) for spec in specs]
        for leg in legs:
            stack.callback(leg.process.close)
            progress(f"starting {leg.spec.name}")
            try:
                leg.info, leg.paths = leg.process.open()
            except (ProviderUnavailableError, RunFailedError) as error:
                leg.error = error
        _check_apart(legs)
        differences: dict[tuple[str, str, str, str], Difference] = {}
        fidelity, scope = Fidelity(package.manifest), package.manifest.scope
        started = time.perf_counter()
        for number, info in enumerate(symbols.frames):
            given: dict[str, Outputs] = {}
            for path in ("fp32", "int"):
                ordered = sorted(legs, key=lambda leg: leg.spec.name != references[path])
                read = symbols.read(number, path)
                given[path] = _one_frame(path, scope, number, info, read, ordered, differences, observer)
            fidelity.add(given["int"], given["fp32"])
            progress(info.name)
        seconds = time.perf_counter() - started
    return _report(package, symbols, legs, differences, fidelity, seconds, strict)


def _check_apart(legs: list[Leg]) -> None:
    """Raises UsageError where two legs have the same settings, said or by default: they are one leg, run twice."""
    seen: dict[tuple[Any, ...], str] = {}
    for leg in (leg for leg in legs if leg.info is not None):
        assert leg.info is not None
        settings = [(knob, leg.spec.options.get(knob, leg.info.fingerprint.get(knob))) for knob in leg.process.knobs]
        other = seen.setdefault((leg.spec.engine, leg.spec.machine, *settings), leg.spec.name)
        if other != leg.spec.name:
            raise UsageError(f"--providers {leg.spec.name}: the same settings as {other}; give one of the two")


def _one_frame(
    path: str,
    scope: str,
    number: int,
    info: FrameInfo,
    symbols: Tensors,
    legs: list[Leg],
    differences: dict[tuple[str, str, str, str], Difference],
    observer: FrameObserver | None,
) -> Outputs:
    """Counts one frame of one path, and gives the references' outputs of a user's decoder.

    Compared is the union of what the legs give: a tensor in scope that one of two legs leaves out is different.
    """
    references: dict[str, Leg] = {}  # tensor -> the leg that it is compared with: the first that has it
    decoded: list[Leg] = []

    def difference_of(leg: Leg, reference: Leg, tensor: str) -> Difference:
        return differences.setdefault((path, leg.spec.name, reference.spec.name, tensor), Difference())

    for leg in legs:
        if not leg.decode(path, symbols):
            continue
        for name, tensor in leg.tensors.items():
            reference = references.setdefault(name, leg)
            if reference is leg:
                for other in (other for other in decoded if decides(path, name, scope)):
                    difference_of(other, leg, name).add_missing(number, tensor.size)
                continue
            difference = difference_of(leg, reference, name)
            difference.add(number, tensor, reference.tensors[name])
            if name == "frame" and tensor.shape == reference.tensors[name].shape:
                shown, expected = (picture(t, info.height, info.width) for t in (tensor, reference.tensors[name]))
                difference.add_picture(shown, expected)
                if observer is not None:
                    observer(path, leg.spec.name, reference.spec.name, number, info, shown, expected)
        for name, reference in references.items():
            if name not in leg.tensors and decides(path, name, scope):
                difference_of(leg, reference, name).add_missing(number, reference.tensors[name].size)
        decoded.append(leg)
        if leg not in references.values():
            leg.tensors = {}
    given = {name: (leg.spec.name, leg.tensors[name]) for name, leg in references.items() if name.startswith(OUTPUT)}
    for leg in legs:
        leg.tensors = {}
    return given


def picture(frame: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """(3, H, W) in [0, 1]: what is shown of a padded frame; float32 has peak 1, unclamped, int32 has peak 255."""
    shown = frame[0, :, :height, :width]
    if shown.dtype == np.int32:
        return shown.astype(np.float32) / np.float32(255)
    return np.clip(shown, 0, 1)


def _report(
    package: Package,
    symbols: Symbols,
    legs: list[Leg],
    differences: dict[tuple[str, str, str, str], Difference],
    fidelity: Fidelity,
    seconds: float,
    strict: bool,
) -> Report:
    results = [result_row(*key, difference) for key, difference in differences.items()]
    rows = [_leg_row(leg, path) for path in ("fp32", "int") for leg in legs if path in (leg.paths or REFERENCE)]
    rows = with_compared(rows, results)
    near, clipped = fidelity.rows(), clipped_rows(symbols.frames)
    scope = package.manifest.scope
    verdict = VerdictRow(fp32=verdict_of(results, "fp32", scope), int=verdict_of(results, "int", scope))
    return Report(
        package=PackageRow.of(package.manifest),
        symbols={"digest": symbols.digest, "frames": str(len(symbols.frames)), **symbols.source},
        legs=rows,
        results=results,
        rate=rate_rows(symbols.frames),
        fidelity=near,
        clipped=clipped,
        warnings=warnings_of(near, clipped, symbols.frames),
        verdict=verdict,
        seconds=round(seconds, 3),
        exit_code=exit_code_of(verdict, rows, strict),
    )


def _leg_row(leg: Leg, path: str) -> LegRow:
    info = leg.info or EngineInfo(leg.spec.engine, "", "", {})
    unavailable = isinstance(leg.error, ProviderUnavailableError)
    return LegRow(
        name=leg.spec.name,
        path=path,
        engine=info.engine,
        version=info.version,
        device=info.device,
        status="ok" if leg.error is None else "unavailable" if unavailable else "failed",
        fingerprint=info.fingerprint,
        seconds=round(leg.seconds.get(path, 0.0), 6),
        reason=str(leg.error or ""),
        placement=leg.placements.get(path),
    )


def result_row(path: str, leg: str, reference: str, tensor: str, difference: Difference) -> ResultRow:
    rows = difference.by_frame
    first = First(frame=difference.first[0], index=difference.first[1]) if difference.first else None
    quality = [row.psnr for row in rows if row.psnr is not None and row.mismatched]
    quality = quality or [row.psnr for row in rows if row.psnr is not None]  # of identical frames where all are
    mismatched = difference.mismatched
    return ResultRow(
        path=path,
        leg=leg,
        reference=reference,
        tensor=tensor,
        frames=len(rows),
        frames_different=sum(1 for row in rows if row.mismatched),
        values=difference.values,
        mismatched=mismatched,
        max_abs=max(row.max_abs for row in rows),
        max_ulp=difference.max_ulp,
        index_flips=mismatched if tensor.endswith("indexes") and not difference.missing else 0,
        first=first,
        psnr_mean=float(np.mean(quality)) if quality else None,
        psnr_min=min(quality) if quality else None,
        failure=failure_of(path, tensor, mismatched > 0, missing=difference.missing),
        by_frame=[FrameRow(**vars(row)) for row in rows],
    )
