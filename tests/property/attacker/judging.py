"""What the certificate says of a graph against what engines compute: exact arithmetic is the truth."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from property.attacker.drawn import drawn
from property.attacker.engines import RUNNERS, Array, Results
from property.attacker.graphs import AttackGraph
from property.attacker.mutants import MutantGraph

from nvc_check.exporter.certificate.walk import certify

Verdicts = dict[str, str]
Certifier = Callable[[onnx.ModelProto], Verdicts]
EXACT, PROVED, REFUSED = "exact", "exact in arithmetic", "not exact"
FAILED = "gave no result"
SECONDS = 15  # of the processor, for one graph; a longer one ends its process
SHARED = 8  # times as long by the clock, where others use the processor too
LEAST_SCALE = 2.0**-14  # below, the reference evaluator's cast to int32 overflows before it saturates
CARRIED = (TensorProto.FLOAT, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8)  # by the wire to node


@cache
def target_of(leg: str) -> str:
    """Whose verdict a leg tests, beside that of `any`; WebAssembly multiplies in pairs of 16 bits as AVX2 does."""
    if leg.startswith("ort"):
        cpu = Path("/proc/cpuinfo")
        paired = sys.platform == "linux" and cpu.is_file() and "vnni" not in cpu.read_text(encoding="utf-8")
        return "avx2" if paired else "ort-cpu"
    return {"wasm": "avx2", "webgpu": "webgpu", "openvino": "openvino"}.get(leg, "any")


def certified(model: onnx.ModelProto) -> Verdicts:
    return dict(certify(model).verdicts)


def everything_exact(model: onnx.ModelProto) -> Verdicts:
    """The certificate that an attacker must see through."""
    return dict.fromkeys(("any", "ort-cpu", "avx2", "openvino", "webgpu", "cuda"), EXACT)


@dataclass
class Judged:
    """A graph, its verdicts, and by leg "" for the oracle's bits, else what was wrong.

    Attributes:
        zeros: legs that gave a zero of the other sign somewhere, which counts as equal.
    """

    seed: int
    valid: bool
    operators: str = ""
    verdicts: Verdicts = field(default_factory=dict)
    legs: dict[str, str] = field(default_factory=dict)
    zeros: list[str] = field(default_factory=list)
    raised: str = ""  # by the certificate itself
    spoiled: bool = False  # its process ended, though not when the graph was alone in one
    any_size: bool = False

    def claim(self, leg: str) -> str:
        """The strongest verdict that the leg tests."""
        if leg == "oracle":
            claims = set(self.verdicts.values())
        else:
            claims = {self.verdicts[name] for name in (target_of(leg), "any") if name in self.verdicts}
        return next((verdict for verdict in (EXACT, PROVED) if verdict in claims), REFUSED)

    def untaken(self) -> bool:
        """Whether the inputs drawn are too small for a graph of any size, whose kernels must fit in."""
        return self.any_size and all(self.legs.get(leg, "").startswith(FAILED) for leg in ("oracle", "ort off"))

    def wrong(self, claim: str) -> dict[str, str]:
        """By leg. The reference evaluator lacks operators of older opsets, which is no fault of a graph."""
        if self.untaken():
            return {}
        missing = {leg for leg, found in self.legs.items() if leg == "reference" and found.startswith(FAILED)}
        found = {leg: found for leg, found in self.legs.items() if found and leg not in missing}
        return {leg: text for leg, text in found.items() if self.claim(leg) == claim}


def judge(seed: int, legs: Sequence[str], certifier: Certifier = certified) -> Judged:
    """Runs the graph of `seed` on the legs for which the certificate claims something."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(SHARED * SECONDS)
    try:
        return _judged(seed, legs, certifier)
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _judged(seed: int, legs: Sequence[str], certifier: Certifier) -> Judged:
    try:
        graph = drawn(seed)
    except Exception as error:  # no model at all
        return Judged(seed, False, f"{type(error).__name__}: {error}")
    judged = Judged(seed, graph.valid, " ".join(n.op_type for n in graph.model.graph.node if n.op_type != "Constant"))
    if not graph.valid:
        return judged
    judged.any_size = any(dim.dim_param for end in graph.model.graph.input for dim in end.type.tensor_type.shape.dim)
    try:
        judged.verdicts = certifier(graph.model)
    except Exception as error:
        judged.raised = f"{type(error).__name__}: {error}"
        return judged
    if judged.claim("oracle") != REFUSED and not graph.meaning:
        judged.legs["oracle"] = f"{FAILED}: shapes do not fit each other"
    elif judged.claim("oracle") != REFUSED:
        truth: Results | None = None
        for leg in ("oracle", *(leg for leg in legs if judged.claim(leg) != REFUSED and _takes(leg, graph))):
            try:
                results = RUNNERS[leg](graph.model, graph.inputs)
            except Exception as error:
                judged.legs[leg] = f"{FAILED}: {type(error).__name__}: {' '.join(str(error).split())}"[:300]
                continue
            truth = truth or results  # of another leg where the oracle knows an operator less
            judged.legs[leg] = _compared(graph.model, truth, results)
            if leg != "oracle" and _signs_differ(truth, results):
                judged.zeros.append(leg)
    return judged


def _takes(leg: str, graph: AttackGraph | MutantGraph) -> bool:
    """Whether the leg can be given such arrays and computes such scales."""
    if leg == "reference":
        return _smallest_scale(graph.model) >= LEAST_SCALE
    ends = [*graph.model.graph.input, *graph.model.graph.output]
    return leg not in ("wasm", "webgpu") or all(end.type.tensor_type.elem_type in CARRIED for end in ends)


def _smallest_scale(model: onnx.ModelProto) -> float:
    """Of its QuantizeLinear nodes, where it is a constant."""
    constants = {item.name: item for item in model.graph.initializer}
    constants |= {n.output[0]: n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"}
    names = {n.input[1] for n in model.graph.node if n.op_type == "QuantizeLinear"} & constants.keys()
    scales = [numpy_helper.to_array(constants[name]) for name in names if constants[name].data_type]
    return min((float(scale.min()) for scale in scales), default=1.0)


def _compared(model: onnx.ModelProto, truth: Results, results: Results) -> str:
    for index, (expected, found) in enumerate(zip(truth, results, strict=True)):
        for output, a, b in zip(model.graph.output, expected, found, strict=True):
            wrong = _difference(a, b)
            if wrong:
                return f"{output.name} of inputs {index}: {wrong}"
    return ""


def _signs_differ(truth: Results, results: Results) -> bool:
    pairs = [pair for a, b in zip(truth, results, strict=True) for pair in zip(a, b, strict=True)]
    floats = [(a, b) for a, b in pairs if a.dtype.kind == "f" == b.dtype.kind and a.shape == b.shape]
    return any(np.any(np.signbit(a) != np.signbit(b)) for a, b in floats)


def _difference(truth: Array, found: Array) -> str:
    if truth.shape != found.shape:
        return f"shape {found.shape}, expected {truth.shape}"
    same = (truth == found) | ((truth != truth) & (found != found))  # noqa: PLR0124 (NaN)
    if np.all(same):
        return ""
    place = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{np.count_nonzero(~same)} of {truth.size} differ, {found[place]!r} for {truth[place]!r}"
