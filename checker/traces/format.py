"""The trace document, schema nvc-check/trace/2 (docs/trace.md, docs/trace.schema.json).

It has the SHA-256 of the rest of itself, so that an edited or cut one does not pass for a whole one.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nvc_check.checker.report import PackageRow, PlacementRow
from nvc_check.models.artifacts.symbols import FrameInfo
from nvc_check.models.digest import document_digest
from nvc_check.models.errors import BadArtifactError

SCHEMA: Literal["nvc-check/trace/2"] = "nvc-check/trace/2"
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TracedClipping(_Strict):
    """Of so many values of an input of the integer path, how many lay outside its range and were clipped to it."""

    values: int = Field(ge=0)
    clipped: int = Field(ge=0)

    @model_validator(mode="after")
    def _counted(self) -> TracedClipping:
        if self.clipped > self.values:
            raise ValueError(f"{self.clipped} of {self.values} values clipped")
        return self


class TracedFrame(_Strict):
    """Size in pixels, before padding; what the symbols file says of it: bits and PSNR per path, what was clipped."""

    name: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    bits: dict[Literal["fp32", "int"], float] = {}
    psnr: dict[Literal["fp32", "int"], float] = {}
    clipped: dict[str, TracedClipping] = {}

    @classmethod
    def of(cls, info: FrameInfo) -> TracedFrame:
        return cls.model_validate(asdict(info))

    def info(self) -> FrameInfo:
        return FrameInfo.parsed(self.model_dump())


class TracedNoise(_Strict):
    """Of an output of a user's decoder, sums over all frames: the leg's integer path against its own FP32 path.

    `signal`: squared deviations of the FP32 values from their mean, `noise`: squared differences from them; None where
    the shapes differ; `calibration_db`: signal to noise over the calibration, as the package says.
    """

    values: int = Field(ge=0)
    signal: float = Field(ge=0)
    noise: float | None = Field(ge=0)
    calibration_db: float | None


class TracedLeg(_Strict):
    """What ran. `name` as spelled on the command line, `label` as its user calls the machine, or "".

    `fingerprint` has the engine's settings and the machine: cpu, machine, cores, flags, os, python, numpy, onnx, and
    gpu where there is one.
    """

    name: str
    label: str
    engine: str
    version: str
    device: str
    fingerprint: dict[str, str]


class TracedTensor(_Strict):
    """SHA-256 of little-endian C-order data: integers as int32, floats as float32 with -0.0 as +0.0."""

    sha256: Sha256
    values: int = Field(ge=0)
    shape: list[int]

    @model_validator(mode="after")
    def _counted(self) -> TracedTensor:
        if self.values != math.prod(self.shape):
            raise ValueError(f"{self.values} values in a tensor of shape {self.shape}")
        return self


class TracedPath(_Strict):
    """What ran on a path, and per frame {tensor: digest}."""

    placement: PlacementRow
    frames: list[dict[str, TracedTensor]]


class Trace(_Strict):
    """`stored`: the archive holds the tensors too; `digest`: SHA-256 of this document's canonical JSON without it."""

    schema_: Literal["nvc-check/trace/2"] = Field(alias="schema")
    package: PackageRow
    symbols: Sha256
    leg: TracedLeg
    frames: list[TracedFrame]
    fidelity: dict[str, TracedNoise] = {}
    paths: dict[Literal["fp32", "int"], TracedPath]
    stored: bool
    digest: Sha256

    @model_validator(mode="after")
    def _all_frames(self) -> Trace:
        for path, traced in self.paths.items():
            if len(traced.frames) != len(self.frames):
                raise ValueError(f"path {path} has {len(traced.frames)} frames, expected {len(self.frames)}")
        return self

    @classmethod
    def signed(cls, **fields: Any) -> Trace:
        """With the digest filled in."""
        unsigned = cls(schema=SCHEMA, digest="0" * 64, **fields)
        return unsigned.model_copy(update={"digest": document_digest(unsigned.document())})

    def document(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True)

    @property
    def name(self) -> str:
        return f"{self.leg.name} ({self.leg.label})" if self.leg.label else self.leg.name


def parsed(file: Path, text: str) -> Trace:
    """The trace whose JSON is `text`.

    Raises:
        BadArtifactError: cut, edited, of another version, or not as the schema says.
    """
    try:
        document = json.loads(text)
        schema, digest = document["schema"], document["digest"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadArtifactError(f"{file}: not a whole trace ({error}); record it again") from error
    if schema != SCHEMA:
        raise BadArtifactError(f"{file}: schema {schema!r}, expected {SCHEMA!r}; record it again with this version")
    if digest != document_digest(document):
        raise BadArtifactError(
            f"{file}: its digest does not fit its content: it was altered or damaged; record it again"
        )
    try:
        return Trace.model_validate(document)
    except ValidationError as error:
        raise BadArtifactError(
            f"{file}: not a trace of {SCHEMA} ({error.errors()[0]['msg']}); record it again"
        ) from error
