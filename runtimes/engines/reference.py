"""The leg `reference`: the ONNX project's own reference evaluator, in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, RanNode, Runnable, Tensors, checked_options
from nvc_check.runtimes.placement import precision_of

KNOBS: Knobs = {"flavour": ("qdq", "carrier")}
# ONNX data types as RanNode spells them
SPELLED: Final = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
# onnx.reference 1.23 has DequantizeLinear from this opset on; what it added does not concern 8-bit integers
FIRST_OPSET = 19


def open_engine(spec: LegSpec, package: Package) -> ReferenceEngine:
    return ReferenceEngine(checked_options(spec, KNOBS))


class ReferenceEngine:
    """Slow: plain numpy, no fusion; what the operators' definitions say."""

    paths = ("fp32", "int")

    def __init__(self, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        settings = {"flavour": self.flavour}
        self.info = EngineInfo("onnx.reference", onnx.__version__, "cpu", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        try:
            proto = _raised(onnx.load(model))
            evaluator = ReferenceEvaluator(proto)
        except Exception as error:  # one class per missing operator
            raise RunFailedError(f"{model.name}: onnx.reference cannot load it ({error})") from error
        return Evaluated(evaluator, as_written(proto, f"numpy {np.__version__}"))


class Evaluated:
    """A graph that is evaluated node by node, as written."""

    def __init__(self, evaluator: ReferenceEvaluator, nodes: tuple[RanNode, ...]) -> None:
        self._evaluator, self._nodes = evaluator, nodes
        self._inputs = {str(name) for name in evaluator.input_names}
        self._outputs = [str(name) for name in evaluator.output_names]

    def __call__(self, inputs: Tensors) -> Tensors:
        results: Any = self._evaluator.run(None, {n: value for n, value in inputs.items() if n in self._inputs})
        return dict(zip(self._outputs, results, strict=True))

    def ran(self) -> tuple[RanNode, ...]:
        return self._nodes


def _raised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same operators under the opset that the evaluator has them in."""
    for opset in model.opset_import:
        if not opset.domain and 13 <= opset.version < FIRST_OPSET:
            opset.version = FIRST_OPSET
    return model


def as_written(model: onnx.ModelProto, provider: str) -> tuple[RanNode, ...]:
    """The nodes of `model` as they stand, for evaluators that run them one by one."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {item.name: item.type.tensor_type.elem_type for item in (*inferred.value_info, *inferred.input)}
    types |= {item.name: item.type.tensor_type.elem_type for item in inferred.output}
    types |= {item.name: item.data_type for item in model.graph.initializer}
    return tuple(
        RanNode(
            node.name or node.output[0],
            node.op_type,
            provider,
            precision_of(node.op_type, [SPELLED.get(types.get(n, 1), "") for n in (*node.input[:1], *node.output)]),
        )
        for node in model.graph.node
    )
