"""Traces: what one leg computed on some machine, as digests, and their comparison.

A trace is a JSON document, schema nvc-check/trace/1, with the SHA-256 of the rest of itself, so that an
edited or cut one does not pass for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nvc_check.checker.report import (
    LegRow,
    PackageRow,
    Report,
    ResultRow,
    VerdictRow,
    exit_code_of,
    failure_of,
    verdict_of,
)
from nvc_check.models.atomic import whole_file
from nvc_check.models.digest import canonical_json, document_digest, tensor_digest
from nvc_check.models.errors import BadArtifactError, UsageError
from nvc_check.models.package import Package
from nvc_check.models.symbols import Symbols
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process import LegProcess
from nvc_check.runtimes.registry import check_names

SCHEMA = "nvc-check/trace/1"


class TensorDigest(BaseModel):
    """SHA-256 of one tensor of one frame, and its number of values."""

    model_config = ConfigDict(extra="forbid")
    sha256: str
    values: int


class Trace(BaseModel):
    """`tensors`: path -> one {tensor name: digest} per frame."""

    model_config = ConfigDict(extra="forbid")
    package: PackageRow
    symbols: str
    leg: dict[str, Any]
    tensors: dict[str, list[dict[str, TensorDigest]]]

    @property
    def name(self) -> str:
        return str(self.leg["name"])


def record(
    package: Package,
    symbols: Symbols,
    spec: LegSpec,
    out: Path,
    progress: Callable[[str], Any] = lambda step: None,
) -> Trace:
    """Runs one leg over all frames and writes its trace, which appears only when whole.

    Raises:
        ProviderUnavailableError, RunFailedError: from the leg.
        UsageError: `out` cannot be written.
    """
    check_names([spec])
    leg = LegProcess(spec, package.root)
    try:
        with whole_file(out) as part:
            info, paths = leg.open()
            tensors: dict[str, list[dict[str, TensorDigest]]] = {path: [] for path in paths}
            for number, frame in enumerate(symbols.frames):
                for path in paths:
                    _, decoded = leg.decode(path, symbols.read(number, path))
                    digests = {n: TensorDigest(sha256=tensor_digest(t), values=t.size) for n, t in decoded.items()}
                    tensors[path].append(digests)
                progress(frame.name)
            described = {"name": spec.name, **vars(info)}
            trace = Trace(
                package=PackageRow.of(package.manifest),
                symbols=symbols.digest,
                leg=described,
                tensors=tensors,
            )
            document = {"schema": SCHEMA, **trace.model_dump()}
            part.write_text(canonical_json({**document, "digest": document_digest(document)}), encoding="utf-8")
        return trace
    finally:
        leg.close()


def read_trace(file: Path) -> Trace:
    """Raises BadArtifactError where the file is missing, cut, edited or of another version."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        schema, digest = document.pop("schema"), document.pop("digest")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadArtifactError(f"{file}: not a whole trace ({error}); record it again") from error
    if schema != SCHEMA:
        raise BadArtifactError(f"{file}: schema {schema!r}, expected {SCHEMA!r}; record it again with this version")
    if digest != document_digest({"schema": schema, **document}):
        raise BadArtifactError(
            f"{file}: its digest does not fit its content: it was altered or damaged; record it again"
        )
    try:
        return Trace.model_validate(document)
    except ValidationError as error:
        raise BadArtifactError(
            f"{file}: not a trace of {SCHEMA} ({error.errors()[0]['msg']}); record it again"
        ) from error


def compare_traces(files: list[Path], *, across_packages: bool = False, strict: bool = False) -> Report:
    """Merges traces; the first trace of the path's reference leg, else the first trace, is compared against.

    Raises:
        UsageError: fewer than two traces.
        BadArtifactError: a bad trace, or traces of different packages (unless `across_packages`) or symbols.
    """
    if len(files) < 2:
        raise UsageError("compare: one trace; give at least two traces, or a package with --input or --symbols")
    traces = [read_trace(file) for file in files]
    first = traces[0]
    symbols: dict[str, str] = {}  # of each package: symbols are bound to one, so two packages never share them
    for file, trace in zip(files, traces, strict=True):
        if trace.package.digest != first.package.digest and not across_packages:
            raise BadArtifactError(
                f"{file}: trace of package {trace.package.digest[:12]}…, {files[0]} is of {first.package.digest[:12]}…;"
                " record both from one package, or say --across-packages"
            )
        expected = symbols.setdefault(trace.package.digest, trace.symbols)
        if trace.symbols != expected:
            raise BadArtifactError(
                f"{file}: trace of symbols {trace.symbols[:12]}…, another of its package is of {expected[:12]}…;"
                " record both from one symbols file"
            )
    names = _distinct([trace.name for trace in traces])
    results = [row for path in ("fp32", "int") for row in _path_results(path, traces, names)]
    scope = first.package.scope
    verdict = VerdictRow(fp32=verdict_of(results, "fp32", scope), int=verdict_of(results, "int", scope))
    legs = [_leg_row(trace, name, path) for trace, name in zip(traces, names, strict=True) for path in trace.tensors]
    return Report(
        package=first.package,
        symbols={"digest": first.symbols},
        legs=legs,
        results=results,
        rate=[],
        verdict=verdict,
        seconds=0.0,
        exit_code=exit_code_of(verdict, legs, strict),
    )


def _path_results(path: str, traces: list[Trace], names: list[str]) -> list[ResultRow]:
    preferred = {"int": "exact", "fp32": "torch"}[path]
    having = [(t, n) for t, n in zip(traces, names, strict=True) if path in t.tensors]
    having.sort(key=lambda pair: pair[0].leg["name"] != preferred)
    rows: list[ResultRow] = []
    references: dict[str, tuple[Trace, str]] = {}
    for trace, name in having:
        for tensor in sorted({key for frame in trace.tensors[path] for key in frame}):
            reference, reference_name = references.setdefault(tensor, (trace, name))
            if reference is not trace:
                rows.append(_row(path, tensor, name, trace, reference_name, reference))
    return rows


def _row(path: str, tensor: str, name: str, trace: Trace, reference_name: str, reference: Trace) -> ResultRow:
    ours = [frame.get(tensor) for frame in trace.tensors[path]]
    theirs = [frame.get(tensor) for frame in reference.tensors[path]]
    frames = max(len(ours), len(theirs))
    pairs = zip(ours + [None] * (frames - len(ours)), theirs + [None] * (frames - len(theirs)), strict=True)
    different = sum(1 for a, b in pairs if a is None or b is None or a.sha256 != b.sha256)
    return ResultRow(
        path=path,
        leg=name,
        reference=reference_name,
        tensor=tensor,
        frames=frames,
        frames_different=different,
        values=sum(digest.values for digest in theirs if digest),
        mismatched=None if different else 0,
        max_abs=None if different else 0.0,
        max_ulp=None,
        index_flips=None if different and tensor.endswith("indexes") else 0,
        first=None,
        psnr_mean=None,
        psnr_min=None,
        failure=failure_of(path, tensor, different > 0),
        by_frame=[],
    )


def _leg_row(trace: Trace, name: str, path: str) -> LegRow:
    return LegRow(
        name=name,
        path=path,
        engine=trace.leg["engine"],
        version=trace.leg["version"],
        device=trace.leg["device"],
        status="ok",
        fingerprint=trace.leg["fingerprint"],
        seconds=0.0,
        reason="",
    )


def _distinct(names: list[str]) -> list[str]:
    """Traces of the same leg from several machines are numbered: cpu, cpu#2, ..."""
    return [n if names[:i].count(n) == 0 else f"{n}#{names[:i].count(n) + 1}" for i, n in enumerate(names)]
