"""What a leg is, and the one interface that every engine implements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.errors import UsageError

Tensors = dict[str, NDArray[Any]]
Knobs = Mapping[str, tuple[str, ...] | None]
"""An engine file's KNOBS: its options and their values (None: a positive number); a sweep runs through them."""


@dataclass(frozen=True)
class LegSpec:
    """A leg as spelled on the command line.

    `cpu:opt=off,threads=1` is engine `cpu` with two options, `cpu@haswell` the same engine on an emulated processor.
    """

    name: str
    engine: str
    options: dict[str, str]
    machine: str = ""
    allow_fallback: bool = False  # nodes may run elsewhere than on the engine's device

    @classmethod
    def parse(cls, spelled: str) -> LegSpec:
        """Raises UsageError where `spelled` is not NAME[@PROCESSOR] or NAME[@PROCESSOR]:KEY=VALUE,KEY=VALUE."""
        match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*)(?:@([a-z0-9-]+))?(?::(.+))?", spelled)
        if not match:
            raise UsageError(f"provider {spelled!r}: expected a name, or name:option=value,option=value")
        options: dict[str, str] = {}
        for pair in (match[3] or "").split(",") if match[3] else []:
            key, equals, value = pair.partition("=")
            if not (key and equals and value) or key in options:
                raise UsageError(f"provider {spelled!r}: option {pair!r}, expected option=value, each once")
            options[key] = value
        return cls(spelled, match[1], options, match[2] or "")


@dataclass(frozen=True)
class EngineInfo:
    """What ran: engine and version, device, and the settings that can change bits.

    `fingerprint` of an engine has its settings; its process adds the machine (fingerprint.py).
    """

    engine: str
    version: str
    device: str
    fingerprint: dict[str, str]


@dataclass(frozen=True)
class RanNode:
    """One node as it ran.

    Attributes:
        provider: what ran it, as the engine calls it.
        precision: `integer`, the narrowest float type of its data (`float32`), or `compiled` where nobody tells.
        fell_back: it ran elsewhere than the leg asked for.
    """

    name: str
    op_type: str
    provider: str
    precision: str
    fell_back: bool = False


class Runnable(Protocol):
    """A loaded graph. One that can tell what ran has `ran() -> tuple[RanNode, ...]`, valid after the first call."""

    def __call__(self, inputs: Tensors) -> Tensors:
        """Named inputs to named outputs; dtypes as the graph declares them."""
        ...


class Engine(Protocol):
    """One runtime on one device with its options set; made by the `open_engine` of its file.

    One whose graphs cannot tell what ran has `stated: str`, a line that says what runs in their place.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths it can run: `fp32`, `int`."""
        ...

    @property
    def flavour(self) -> str:
        """Which integer graph it takes: `qdq` or `carrier`."""
        ...

    def load(self, model: Path, graph: str) -> Runnable:
        """Loads the ONNX file `model`, which is the package's `graph` (e.g. `entropy`).

        Raises:
            ProviderUnavailableError: the provider would leave nodes to another one.
            RunFailedError: the engine cannot load or compile the graph.
        """
        ...


def checked_options(spec: LegSpec, known: Knobs) -> dict[str, str]:
    """The options, each of `known` with one of its values (None: a positive number).

    Raises:
        UsageError: an unknown option or value; lists the known ones.
    """
    for key, value in spec.options.items():
        if key not in known:
            raise UsageError(
                f"provider {spec.name}: unknown option {key!r}; {spec.engine} has {', '.join(known) or 'none'}"
            )
        allowed = known[key]
        if allowed is None:
            if not value.isdecimal() or int(value) < 1:
                raise UsageError(f"provider {spec.name}: {key}={value}, expected a positive number")
        elif value not in allowed:
            raise UsageError(f"provider {spec.name}: {key}={value}, expected one of {', '.join(allowed)}")
    return spec.options


def float32(tensor: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor, dtype=np.float32)


def split_providers(spelled: str) -> list[LegSpec]:
    """`cpu:opt=off,threads=1,openvino` -> two legs: a comma begins a leg unless `option=value` follows it."""
    parts: list[str] = []
    for piece in spelled.split(","):
        if parts and "=" in piece and ":" not in piece:
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return [LegSpec.parse(part) for part in parts]
