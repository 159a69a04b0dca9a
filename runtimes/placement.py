"""The placement audit: for every node that ran, on which provider, and as what.

    integer   an integer kernel: all data are integers, or a quantized operator with an integer accumulator
    carrier   floats that carry integers: a node in float32 or wider, of a graph whose certificate says exact
    float     anything else in floats; its rounding may be seen
    compiled  inside a subgraph that the provider compiled and does not tell about

An engine's loaded graph has `ran()` where it can tell; an engine that cannot states what it is instead (`stated`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import BadArtifactError
from nvc_check.runtimes.leg import RanNode

WIDE: Final = ("float32", "float64")  # below, an exact graph is none: A3 of its assumptions
FLOATS: Final = ("bfloat16", "float16", "float32", "float64")  # the narrowest first


@dataclass
class Placement:
    """What ran on one path of a leg.

    Attributes:
        rows: [graph, provider, kind, precision, operator, nodes' names], nodes alike together.
        fell_back: nodes that ran elsewhere than asked for: `graph/node (operator on provider)`.
        stated: of engines without nodes to audit, what ran instead; else "".
    """

    rows: list[list[Any]] = field(default_factory=list)
    fell_back: list[str] = field(default_factory=list)
    stated: str = ""

    def add(self, graph: str, nodes: Iterable[RanNode], exact: bool) -> None:
        """The nodes of `graph`; `exact`: whether its certificate says so."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for node in nodes:
            key = (graph, node.provider, kind_of(node.precision, exact), node.precision, node.op_type)
            groups.setdefault(key, []).append(node.name)
            if node.fell_back:
                self.fell_back.append(f"{graph}/{node.name} ({node.op_type} on {node.provider})")
        self.rows.extend([*key, names] for key, names in groups.items())


def kind_of(precision: str, exact: bool) -> str:
    """integer, carrier, float or compiled, as above."""
    if precision in ("integer", "compiled"):
        return precision
    return "carrier" if exact and precision in WIDE else "float"


def precision_of(op_type: str, types: Iterable[str]) -> str:
    """Precision of a node: `types` are its data types, of the first input and the outputs, spelled as ONNX does."""
    if op_type.startswith(("QLinear", "QGemm")) or "Integer" in op_type:
        return "integer"
    found = set(types)
    return next((name for name in FLOATS if name in found), "integer")


def exact_graphs(package: Package) -> frozenset[str]:
    """The integer graphs (files relative to the package) that its certificate says are exact.

    Raises:
        BadArtifactError: certificate.json is not one.
    """
    try:
        document = json.loads((package.root / "certificate.json").read_text(encoding="utf-8"))
        return frozenset(name for name, entry in document.items() if entry["exact"] is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadArtifactError(
            f"{package.root}/certificate.json: not a certificate ({error}); export the package again"
        ) from error
