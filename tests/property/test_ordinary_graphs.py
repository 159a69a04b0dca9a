"""Graphs that are exact, written as engineers write them: engines agree on all, and the certificate proves most."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import openvino
import pytest
from onnx.reference import ReferenceEvaluator
from property.fuzz import Results, on_onnxruntime, on_openvino, on_oracle
from property.ordinary_graphs import KINDS, inexact_graphs, ordinary_graphs
from property.ordinary_sketch import OrdinaryGraph

from nvc_check.exporter.certificate.walk import certify

GRAPHS = list(ordinary_graphs())
INEXACT = {graph.name: graph for graph in inexact_graphs()}
PROVED = ("exact in arithmetic", "exact")
LEAST_PROVED = 0.7
LEAST_GRAPHS = 5  # with each of these, or with one of several
OPERATORS = (
    "Abs", "Neg", "Sign", "Min", "Max", "Where", "Less", "Greater", "Equal And Or Not", "Gather", "GatherElements",
    "Resize", "Slice", "Pad", "Concat", "Split", "Transpose", "Reshape", "Flatten", "Squeeze Unsqueeze", "Expand",
    "Tile", "DepthToSpace SpaceToDepth", "Cast", "Clip", "Floor", "Ceil Round", "Mul", "Add", "Sub", "Div", "MatMul",
    "Gemm", "Conv", "ConvTranspose", "QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger", "Relu",
    "LeakyRelu", "MaxPool", "AveragePool", "ReduceSum ReduceMax", "CumSum",
)  # fmt: skip


@pytest.fixture(scope="module")
def core() -> openvino.Core:
    return openvino.Core()


def test_names_are_unique() -> None:
    counts = Counter(graph.name for graph in (*GRAPHS, *INEXACT.values()))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("operators", OPERATORS)
def test_each_operator_is_there_often_enough(operators: str) -> None:
    names = set(operators.split())
    assert sum(any(node.op_type in names for node in graph.model.graph.node) for graph in GRAPHS) >= LEAST_GRAPHS


@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_gives_the_same_bits(kind: str, core: openvino.Core) -> None:
    """Types, shapes and signs of zeros included. OpenVINO and the reference evaluator may leave a graph out."""
    different, ran, graphs = [], Counter[str](), [graph for graph in GRAPHS if graph.kind == kind]
    for graph in graphs:
        found = results(graph, core)
        ran.update(found.keys())
        different += [(graph.name, engine) for engine in found if bits(found[engine]) != bits(found["ort off"])]
    assert not different
    assert ran["ort all"] == len(graphs) and min(ran["openvino"], ran["reference"]) >= len(graphs) / 2


def results(graph: OrdinaryGraph, core: openvino.Core) -> dict[str, Results]:
    """Engine -> the outputs for all sets of inputs."""
    data = graph.model.SerializeToString()
    found = {
        "ort off": [y for inputs in graph.inputs for y in on_onnxruntime(data, inputs, "ORT_DISABLE_ALL")],
        "ort all": [y for inputs in graph.inputs for y in on_onnxruntime(data, inputs, "ORT_ENABLE_ALL")],
    }
    try:
        found["openvino"] = [y for inputs in graph.inputs for y in on_openvino(core, data, inputs)]
    except RuntimeError as refusal:
        print(f"{graph.name}: left out by OpenVINO: {refusal}")
    try:
        found["reference"] = [y for inputs in graph.inputs for y in on_reference(graph, inputs)]
    except RuntimeError as refusal:
        print(f"{graph.name}: left out by onnx.reference: {refusal}")
    return found


def on_reference(graph: OrdinaryGraph, inputs: dict[str, Any]) -> Results:
    with np.errstate(all="ignore"):
        return [np.asarray(value) for value in ReferenceEvaluator(graph.model).run(None, inputs)]


def bits(outputs: Results) -> list[tuple[str, tuple[int, ...], bytes]]:
    return [(array.dtype.str, array.shape, array.tobytes()) for array in outputs]


@pytest.mark.parametrize("target", ["any", "ort-cpu", "openvino"])
def test_most_are_exact_in_arithmetic(target: str) -> None:
    verdicts = {graph.name: certify(graph.model).verdicts[target] for graph in GRAPHS}
    refused = [name for name, verdict in verdicts.items() if verdict not in PROVED]
    share = 1 - len(refused) / len(verdicts)
    print(f"{target}: {100 * share:.0f} % of {len(verdicts)} graphs are exact in arithmetic; refused: {refused}")
    assert share >= LEAST_PROVED


@pytest.mark.parametrize("name", INEXACT)
def test_what_is_not_exact_is_refused(name: str) -> None:
    verdicts = certify(INEXACT[name].model).verdicts
    assert [target for target, verdict in verdicts.items() if verdict in PROVED] == []


@pytest.mark.parametrize("name", ["a tenth, down", "sums beyond 2^24"])
def test_it_really_is_not_exact(name: str) -> None:
    """And the comparison of bits sees it."""
    graph = INEXACT[name]
    exact = on_oracle(graph.model, graph.inputs[0])
    assert exact is not None
    assert bits(exact) != bits(on_onnxruntime(graph.model.SerializeToString(), graph.inputs[0], "ORT_DISABLE_ALL"))
