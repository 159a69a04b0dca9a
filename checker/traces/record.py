"""Recording: one leg decodes all frames, and its trace is written as it goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvc_check.checker.report import PackageRow, PlacementRow
from nvc_check.checker.traces.fidelity import Fidelity, Outputs
from nvc_check.checker.traces.file import TraceWriter
from nvc_check.checker.traces.format import Trace, TracedFrame, TracedLeg, TracedNoise, TracedPath, TracedTensor
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.atomic import whole_file
from nvc_check.models.errors import RunFailedError, UsageError
from nvc_check.models.text import document_text
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process.running import LegProcess
from nvc_check.runtimes.registry import check_names


def record(
    package: Package,
    symbols: Symbols,
    spec: LegSpec,
    out: Path,
    *,
    tensors: bool = False,
    label: str = "",
    progress: Callable[[str], Any] = lambda step: None,
) -> Trace:
    """Runs one leg over all frames and writes its trace, which appears only when whole.

    Args:
        tensors: keep the tensors, not only their digests.
        label: what its user calls this machine.

    Raises:
        ProviderUnavailableError, RunFailedError: from the leg; the latter also where the disk is full.
        UsageError: `out` cannot be written; a label of other characters than letters, digits, space and . + - _
    """
    check_names([spec])
    label = document_text(label)
    if not re.fullmatch(r"[\w .+-]*", label):
        raise UsageError(f"--label {label!r}: expected letters, digits, spaces and . + - _")
    leg = LegProcess(spec, package.root)
    try:
        with whole_file(out) as part:
            writer = TraceWriter(part, tensors)
            try:
                trace = _record(package, symbols, leg, label, writer, progress)
                writer.finish(trace)
            except OSError as error:
                raise RunFailedError(
                    f"{out}: cannot write the trace ({error.strerror or error}); make room, or choose another --out"
                ) from error
            finally:
                writer.abandon()
        return trace
    finally:
        leg.close()


def _record(
    package: Package,
    symbols: Symbols,
    leg: LegProcess,
    label: str,
    writer: TraceWriter,
    progress: Callable[[str], Any],
) -> Trace:
    info, paths = leg.open()
    digests: dict[str, list[dict[str, TracedTensor]]] = {path: [] for path in paths}
    fidelity = Fidelity(package.manifest)
    measured = package.manifest.kind == "graph" and {"fp32", "int"} <= set(paths)
    for number, frame in enumerate(symbols.frames):
        given: dict[str, Outputs] = {}
        for path in paths:
            described, decoded = leg.digest(path, symbols.read(number, path), writer.tensors or measured)
            digests[path].append({name: TracedTensor(**fields) for name, fields in described.items()})
            if writer.tensors:
                writer.add(path, number, decoded)
            if measured:
                given[path] = {name: (leg.spec.name, tensor) for name, tensor in decoded.items()}
        if measured:
            fidelity.add(given["int"], given["fp32"])
        progress(frame.name)
    audits = {path: PlacementRow.of(leg.placement(path)) for path in paths}
    return Trace.signed(
        package=PackageRow.of(package.manifest),
        symbols=symbols.digest,
        leg=TracedLeg(name=leg.spec.name, label=label, **vars(info)),
        frames=[TracedFrame.of(frame) for frame in symbols.frames],
        fidelity=_traced(fidelity),
        paths={path: TracedPath(placement=audits[path], frames=digests[path]) for path in paths},
        stored=writer.tensors,
    )


def _traced(fidelity: Fidelity) -> dict[str, TracedNoise]:
    return {
        tensor: TracedNoise(
            values=noise.values,
            signal=noise.signal,
            noise=None if noise.shapes else noise.noise,
            calibration_db=fidelity.calibrated(tensor),
        )
        for tensor, noise in fidelity.noises.items()
    }
