"""The report of a comparison: schema nvc-check/report/1, verdicts and exit code."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from nvc_check.models.artifacts.package import OUTPUT, Manifest

SCHEMA = "nvc-check/report/1"
# what decides the verdict of the integer path
DECIDING = {
    "hyperprior": ("indexes", "means"),
    "decoder": ("indexes", "means", "frame"),
    "codec": ("indexes", "means", "frame", "y", "z"),
}

Verdict = Literal["identical", "different", "not compared"]
Status = Literal["ok", "unavailable", "failed"]
Kind = Literal["integer", "carrier", "float", "compiled"]  # as runtimes/placement.py says


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageRow(_Strict):
    name: str
    kind: str
    precision: str
    scope: str
    digest: str
    exact: bool

    @classmethod
    def of(cls, manifest: Manifest) -> PackageRow:
        return cls(**{name: getattr(manifest, name) for name in cls.model_fields})


class PlacedRow(_Strict):
    """Nodes of one graph that ran alike: on `provider`, as `kind`, with data of `precision`."""

    graph: str
    provider: str
    kind: Kind
    precision: str
    op_type: str
    nodes: list[str]


class CountRow(_Strict):
    provider: str
    kind: Kind
    nodes: int


class PlacementRow(_Strict):
    """The placement audit of one leg and path.

    `fell_back`: nodes that ran elsewhere than the leg asked for; `stated`: what ran, of engines that have no nodes.
    """

    counts: list[CountRow]
    fell_back: list[str]
    stated: str
    nodes: list[PlacedRow]

    @classmethod
    def of(cls, audit: dict[str, Any]) -> PlacementRow:
        """From the fields of a Placement of runtimes/placement.py."""
        rows = [PlacedRow(**dict(zip(PlacedRow.model_fields, row, strict=True))) for row in audit["rows"]]
        counts = Counter[tuple[str, Kind]]()
        for row in rows:
            counts[row.provider, row.kind] += len(row.nodes)
        counted = [CountRow(provider=p, kind=k, nodes=n) for (p, k), n in sorted(counts.items())]
        return cls(counts=counted, fell_back=audit["fell_back"], stated=audit["stated"], nodes=rows)


class LegRow(_Strict):
    """One leg on one path.

    `seconds`: inside the engine, loading and running; `reason`: why it is not ok; `compared`: of its values, how many
    were compared with another leg's; `placement`: None where nothing ran.
    """

    name: str
    path: str
    engine: str
    version: str
    device: str
    status: Status
    fingerprint: dict[str, str]
    seconds: float
    reason: str
    compared: int = 0
    placement: PlacementRow | None = None


class First(_Strict):
    frame: int
    index: int


class FrameRow(_Strict):
    """One frame of a ResultRow, as checker/difference.py's FrameDifference says."""

    frame: int
    mismatched: int
    max_abs: float
    pixels: int | None
    psnr: float | None


class ResultRow(_Strict):
    """One tensor of one leg against the reference; None (no `by_frame`) where only digests were compared.

    `failure` names what a difference means: index flip, latent flip, drift, or tensor missing where one of the two legs
    did not give it; "" where identical.
    """

    path: str
    leg: str
    reference: str
    tensor: str
    frames: int
    frames_different: int
    values: int
    mismatched: int | None
    max_abs: float | None
    max_ulp: int | None
    index_flips: int | None
    first: First | None
    psnr_mean: float | None
    psnr_min: float | None
    failure: str
    by_frame: list[FrameRow]


class RateRow(_Strict):
    """Bits from the frozen tables, escapes included, and PSNR against the source, at the encoder."""

    path: str
    bits: float
    bits_per_pixel: float
    psnr: float


class FidelityRow(_Strict):
    """One output of a user's decoder: how near the integers of `leg` are to the FP32 values of `reference`.

    `snr_db`: 10 log10(variance of FP32 / mean squared difference) over all frames, 999 where nothing differs, None
    where the shapes do; `calibration_db`: the same over the calibration, None where the package does not say.
    """

    tensor: str
    leg: str
    reference: str
    values: int
    snr_db: float | None
    calibration_db: float | None


class ClippedRow(_Strict):
    """Of an input of the integer path, how many values lay outside its range and were clipped to it."""

    input: str
    values: int
    clipped: int


class VerdictRow(_Strict):
    fp32: Verdict
    int: Verdict


class SweepPath(_Strict):
    """A variant against the base, over the tensors that decide."""

    verdict: Verdict
    values: int
    mismatched: int
    index_flips: int


class SweepRow(_Strict):
    """One knob turned to one value; `reason` where that leg did not run or failed."""

    knob: str
    value: str
    leg: str
    reason: str
    fp32: SweepPath
    int: SweepPath


class Report(_Strict):
    """A comparison.

    Attributes:
        seconds: wall time of decoding and comparing all frames, engines already started; 0 for traces.
        fidelity: of a user's decoder; a codec's is in `rate`, at the encoder.
        clipped: by the encoder or when the inputs were read; none where a trace does not say.
        warnings: what a verdict does not tell: the integer path is far from FP32 on this input.
        assumptions: on a runtime, that the package's certificate needs, A1 to A5; none for traces, without graphs.
    """

    package: PackageRow
    symbols: dict[str, str]
    legs: list[LegRow]
    results: list[ResultRow]
    rate: list[RateRow]
    fidelity: list[FidelityRow] = []
    clipped: list[ClippedRow] = []
    warnings: list[str] = []
    verdict: VerdictRow
    seconds: float
    exit_code: int
    assumptions: list[str] = []
    sweep: list[SweepRow] | None = None

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **self.model_dump()}, indent=2, allow_nan=False) + "\n"


def failure_of(path: str, tensor: str, different: bool, *, missing: bool = False) -> str:
    """What a difference in `tensor` means, in the design's words."""
    if missing:
        return "tensor missing"
    if not different:
        return ""
    if tensor.endswith("indexes"):
        return "index flip"
    return "latent flip" if path == "int" and tensor.endswith("means") else "drift"


def decides(path: str, tensor: str, scope: str) -> bool:
    """On the integer path the tensors in scope, and what a user's decoder gives; on the FP32 path all."""
    return path == "fp32" or tensor.rsplit("/", maxsplit=1)[-1] in DECIDING[scope] or tensor.startswith(OUTPUT)


def verdict_of(results: list[ResultRow], path: str, scope: str) -> Verdict:
    deciding = [row for row in results if row.path == path and row.values and decides(row.path, row.tensor, scope)]
    if not deciding:
        return "not compared"
    return "different" if any(row.frames_different for row in deciding) else "identical"


def with_compared(legs: list[LegRow], results: list[ResultRow]) -> list[LegRow]:
    """`legs` with their `compared` filled in; a reference's values count once, however many legs they served."""
    values: dict[tuple[str, str], dict[str, int]] = {}
    for row in results:
        for leg in (row.leg, row.reference):
            of = values.setdefault((leg, row.path), {})
            of[row.tensor] = max(of.get(row.tensor, 0), row.values)
    return [leg.model_copy(update={"compared": sum(values.get((leg.name, leg.path), {}).values())}) for leg in legs]


def exit_code_of(verdict: VerdictRow, legs: list[LegRow], strict: bool) -> int:
    """1 different, 6 a run failed, 5 a leg unavailable or not compared on the integer path, else 0."""
    if verdict.int == "different" or (strict and verdict.fp32 == "different"):
        return 1
    statuses = {leg.status for leg in legs}
    if "failed" in statuses:
        return 6
    empty = [leg for leg in legs if leg.path == "int" and leg.status == "ok" and not leg.compared]
    if "unavailable" in statuses or verdict.int == "not compared" or empty:
        return 5
    return 0
