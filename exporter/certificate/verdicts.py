"""What is said of a graph and of each of its nodes: proved where, measured where, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from nvc_check.exporter.certificate.targets import TARGETS, UNFOLD, WINOGRAD, Hazard, Target

EXACT, PROVED, NOT_EXACT = "exact", "exact in arithmetic", "not exact"


@dataclass(frozen=True)
class NodeCertificate:
    """Verdict on one node.

    Attributes:
        exact: on every runtime that meets `assumptions`.
        bound: largest magnitude that a value or partial sum can reach, in steps of its grid; 0 where unknown.
        operand_bits: of the inputs of a multiplication, e.g. "8x8", else "".
        rounding: the rounding rule where the node has one, else "".
        assumptions: on the runtime, A1 to A5 of certificate_targets.ASSUMPTIONS.
        reason: why it is not exact, else "".
        cure: what would make it exact; "" where it is exact, or only follows a node that is not.
        kernel: how ONNX Runtime's CPU provider runs it, e.g. "integer kernel" or "float carrier".
        hazards: for which targets it is not exact, with reason and cure; assumptions apart.
    """

    name: str
    op_type: str
    exact: bool
    bound: float
    operand_bits: str
    rounding: str
    assumptions: tuple[str, ...]
    reason: str
    cure: str = ""
    kernel: str = ""
    hazards: tuple[Hazard, ...] = ()

    def failures(self, target: Target) -> tuple[Hazard, ...]:
        """Why the node is not exact on `target`; empty where it is."""
        found = tuple(hazard for hazard in self.hazards if target.name in hazard.targets)
        missing = set(self.assumptions) - target.guarantees
        return (*found, Hazard((target.name,), WINOGRAD, UNFOLD)) if missing else found


@dataclass(frozen=True)
class Certificate:
    """Of one graph.

    Attributes:
        exact: every node is, on every runtime that meets `assumptions`.
        targets: name -> whether the graph is proved there, with the target's guarantees, and no known fault meets it.
        conditions: on the inputs, e.g. "sizes up to 8192".
        verdicts: name -> "exact", "exact in arithmetic" or "not exact"; exact is what is proved, and all of whose forms
            were measured there.
        unmeasured: name -> the forms that were never measured there, where the graph is proved.
    """

    graph: str
    exact: bool
    assumptions: tuple[str, ...]
    nodes: tuple[NodeCertificate, ...]
    targets: dict[str, bool]
    conditions: tuple[str, ...] = ()
    verdicts: dict[str, str] = field(default_factory=dict)
    unmeasured: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def failures(self, target: str) -> Iterable[tuple[NodeCertificate, Hazard]]:
        """The nodes that are not exact on `target`, each with its first reason."""
        for node in self.nodes:
            for hazard in node.failures(TARGETS[target])[:1]:
                yield node, hazard

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def stored(self) -> dict[str, Any]:
        """What a package keeps: not what was measured where, which later versions know better."""
        return {key: value for key, value in asdict(self).items() if key not in ("verdicts", "unmeasured")}
