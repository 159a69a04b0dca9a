"""The legs: each runs a model on sets of inputs, in this process or in an environment of its own."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
from conformance.legs import LegUnderTest
from numpy.typing import NDArray
from property.attacker.graphs import Inputs

from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.oracle.engine import ExactGraph

Array = NDArray[Any]
Results = list[list[Array]]  # by set of inputs and output
Runner = Callable[[onnx.ModelProto, list[Inputs]], Results]
LIMIT_OF_SESSIONS = 200  # node keeps every session that it made


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
