"""Runs the legs side by side over a symbols file, one frame at a time, and has them compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from nvc_check.checker.compare.comparator import REFERENCE, Comparator, FrameObserver, Given
from nvc_check.checker.report import LegRow, PackageRow, PlacementRow, Report
from nvc_check.checker.traces.fidelity import Fidelity, Outputs
from nvc_check.models.artifacts.package import OUTPUT, Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import NvcCheckError, ProviderUnavailableError, RunFailedError, UsageError
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Tensors
from nvc_check.runtimes.process.running import LegProcess
from nvc_check.runtimes.registry import check_names


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

    def start(self) -> None:
        """An error is kept, and ends this leg alone."""
        try:
            self.info, self.paths = self.process.open()
        except (ProviderUnavailableError, RunFailedError) as error:
            self.error = error

    def decode(self, path: str, symbols: Tensors) -> dict[str, Given] | None:
        """One frame; None, with the error kept, where the leg failed now or before, or has no such path."""
        if self.error is not None or path not in self.paths:
            return None
        try:
            seconds, tensors = self.process.decode(path, symbols)
            if (path, *symbols) not in self.audited:  # other parts, so other graphs have run
                self.audited.add((path, *symbols))
                self.placements[path] = PlacementRow.of(self.process.placement(path))
        except (RunFailedError, ProviderUnavailableError) as error:
            self.error = error
            return None
        self.seconds[path] = self.seconds.get(path, 0.0) + seconds
        return {name: Given.of(tensor) for name, tensor in tensors.items()}


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
    at_once: int | None = None,
) -> Report:
    """Decodes every frame on every leg, and compares with the path's reference (`references`: path -> leg).

    The legs run one after the other for each frame, so that they do not take each other's cores; no more than two
    legs' tensors are held at a time, and the FP32 reference's outputs of a user's decoder.

    Args:
        at_once: legs that are started together, beside the references, which then run again for each such group.

    Raises:
        UsageError: a leg's option is unknown.
        BadArtifactError: the symbols file is damaged.
    """
    comparator = Comparator(package.manifest.scope, observer)
    fidelity = Fidelity(package.manifest)
    always = [spec for spec in specs if spec.name in references.values()]
    others = [spec for spec in specs if spec not in always]
    size = at_once or len(others) or 1
    legs: dict[str, Leg] = {}
    seconds = 0.0
    for start in range(0, len(others) or 1, size):
        with ExitStack() as stack:
            started = [_started(spec, package, stack, progress) for spec in (*always, *others[start : start + size])]
            _check_apart(started)
            began = time.perf_counter()
            for number, info in enumerate(symbols.frames):
                outputs: dict[str, Outputs] = {}
                for path in ("fp32", "int"):
                    ordered = sorted(started, key=lambda leg: leg.spec.name != references[path])
                    decoded = _decoded(ordered, path, symbols.read(number, path))
                    outputs[path] = _outputs(comparator.frame(path, number, info, decoded))
                if start == 0:  # the references give the same each time
                    fidelity.add(outputs["int"], outputs["fp32"])
                progress(info.name)
            seconds += time.perf_counter() - began
        for leg in started:
            if leg.spec.name not in legs or leg.error is not None:  # a reference that failed in any group has failed
                legs[leg.spec.name] = leg
    rows = [
        _leg_row(leg, path) for path in ("fp32", "int") for leg in legs.values() if path in (leg.paths or REFERENCE)
    ]
    return comparator.report(
        PackageRow.of(package.manifest),
        {"digest": symbols.digest, "frames": str(len(symbols.frames)), **symbols.source},
        symbols.frames,
        rows,
        fidelity.rows(),
        seconds=seconds,
        strict=strict,
    )


def _started(spec: LegSpec, package: Package, stack: ExitStack, progress: Callable[[str], Any]) -> Leg:
    leg = Leg(spec, LegProcess(spec, package.root))
    stack.callback(leg.process.close)
    progress(f"starting {spec.name}")
    leg.start()
    return leg


def _decoded(legs: list[Leg], path: str, symbols: Tensors) -> Iterator[tuple[str, dict[str, Given]]]:
    """Each leg decodes when it is asked for, and its tensors go when nobody holds them."""
    for leg in legs:
        if (given := leg.decode(path, symbols)) is not None:
            yield leg.spec.name, given
        del given  # before the next leg decodes


def _outputs(references: Mapping[str, tuple[str, Given]]) -> Outputs:
    """Those of a user's decoder, from the leg that is the reference; none of a codec."""
    outputs: dict[str, tuple[str, Any]] = {}
    for name, (leg, given) in references.items():
        if name.startswith(OUTPUT):
            outputs[name] = leg, given.read()
    return outputs


def _check_apart(legs: list[Leg]) -> None:
    """Raises UsageError where two legs have the same settings, said or by default: they are one leg, run twice."""
    seen: dict[tuple[Any, ...], str] = {}
    for leg in (leg for leg in legs if leg.info is not None):
        assert leg.info is not None
        settings = [(knob, leg.spec.options.get(knob, leg.info.fingerprint.get(knob))) for knob in leg.process.knobs]
        other = seen.setdefault((leg.spec.engine, leg.spec.machine, *settings), leg.spec.name)
        if other != leg.spec.name:
            raise UsageError(f"--providers {leg.spec.name}: the same settings as {other}; give one of the two")


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
