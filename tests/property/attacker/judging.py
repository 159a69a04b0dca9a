"""What the certificate says of a graph against what engines compute: exact arithmetic is the truth."""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
from conformance.legs import LegUnderTest
from numpy.typing import NDArray
from onnx import TensorProto
from property.attacker.drawn import drawn
from property.attacker.graphs import AttackGraph, Inputs
from property.attacker.mutants import MutantGraph

from nvc_check.exporter.certificate.walk import certify
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.oracle.engine import ExactGraph

Array = NDArray[Any]
Results = list[list[Array]]  # by set of inputs and output
Runner = Callable[[onnx.ModelProto, list[Inputs]], Results]
Verdicts = dict[str, str]
Certifier = Callable[[onnx.ModelProto], Verdicts]
EXACT, PROVED, REFUSED = "exact", "exact in arithmetic", "not exact"
FAILED = "gave no result"
SECONDS = 15  # for one graph; a longer one ends its process
LIMIT_OF_SESSIONS = 200  # node keeps every session that it made
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
    certificate = certify(model)
    verdicts: Verdicts | None = getattr(certificate, "verdicts", None)
    if verdicts is None:
        return {name: EXACT if exact else REFUSED for name, exact in certificate.targets.items()}
    return dict(verdicts)


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

    def claim(self, leg: str) -> str:
        """The strongest verdict that the leg tests."""
        if leg == "oracle":
            claims = set(self.verdicts.values())
        else:
            claims = {self.verdicts[name] for name in (target_of(leg), "any") if name in self.verdicts}
        return next((verdict for verdict in (EXACT, PROVED) if verdict in claims), REFUSED)

    def wrong(self, claim: str) -> dict[str, str]:
        """By leg. The reference evaluator lacks operators of older opsets, which is no fault of a graph."""
        missing = {leg for leg, found in self.legs.items() if leg == "reference" and found.startswith(FAILED)}
        found = {leg: found for leg, found in self.legs.items() if found and leg not in missing}
        return {leg: text for leg, text in found.items() if self.claim(leg) == claim}


def judge(seed: int, legs: Sequence[str], certifier: Certifier = certified) -> Judged:
    """Runs the graph of `seed` on the legs for which the certificate claims something."""
    signal.alarm(SECONDS)
    try:
        return _judged(seed, legs, certifier)
    finally:
        signal.alarm(0)


def _judged(seed: int, legs: Sequence[str], certifier: Certifier) -> Judged:
    try:
        graph = drawn(seed)
    except Exception as error:  # no model at all
        return Judged(seed, False, f"{type(error).__name__}: {error}")
    judged = Judged(seed, graph.valid, " ".join(n.op_type for n in graph.model.graph.node if n.op_type != "Constant"))
    if not graph.valid:
        return judged
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
    """Whether the leg's process can be given such arrays."""
    ends = [*graph.model.graph.input, *graph.model.graph.output]
    return leg not in ("wasm", "webgpu") or all(end.type.tensor_type.elem_type in CARRIED for end in ends)


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


def _on_oracle(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
    graph = ExactGraph(model)
    with np.errstate(all="ignore"):
        found = [graph(one) for one in inputs]
    return [[np.asarray(one[output.name]) for output in model.graph.output] for one in found]


def _on_onnxruntime(level: str) -> Runner:
    def run(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [session.run(None, one) for one in inputs]

    return run


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def _on_openvino(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
    settings = {**EXACT_PROPERTIES, "INFERENCE_NUM_THREADS": 1}
    compiled = _core().compile_model(_core().read_model(model.SerializeToString()), "CPU", settings)
    read = {name for port in compiled.inputs for name in port.get_names()}
    found = []
    for one in inputs:
        results = compiled({name: value for name, value in one.items() if name in read})
        found.append([np.array(results[port]) for port in compiled.outputs])
    return found


def _on_reference(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        return [[np.asarray(value) for value in evaluator.run(None, one)] for one in inputs]


class _Apart:
    """A leg in an environment of its own, started anew before its process grows too large."""

    def __init__(self, name: str) -> None:
        self._name, self._leg, self._graphs = name, LegUnderTest(name), 0
        atexit.register(self._close)

    def _close(self) -> None:
        self._leg.close()

    def __call__(self, model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
        self._graphs += 1
        if self._graphs % LIMIT_OF_SESSIONS == 0:
            self._close()
            self._leg = LegUnderTest(self._name)
        found = [self._leg.outputs(model, one) for one in inputs]
        return [[_shaped(one[output.name], output) for output in model.graph.output] for one in found]


def _shaped(array: Array, output: onnx.ValueInfoProto) -> Array:
    """The wire makes scalars vectors."""
    return array if output.type.tensor_type.shape.dim else array.reshape(())


@cache
def _apart(name: str) -> _Apart:
    return _Apart(name)


def _on_wasm(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
    return _apart("wasm")(model, inputs)


def _on_webgpu(model: onnx.ModelProto, inputs: list[Inputs]) -> Results:
    return _apart("webgpu")(model, inputs)


RUNNERS: dict[str, Runner] = {
    "oracle": _on_oracle,
    "ort off": _on_onnxruntime("ORT_DISABLE_ALL"),
    "ort all": _on_onnxruntime("ORT_ENABLE_ALL"),
    "openvino": _on_openvino,
    "reference": _on_reference,
    "wasm": _on_wasm,
    "webgpu": _on_webgpu,
}
