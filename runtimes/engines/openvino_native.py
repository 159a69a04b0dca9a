"""The leg `openvino`: OpenVINO's own API on the CPU device, reading the ONNX files directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import openvino

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, RanNode, Runnable, Tensors, checked_options
from nvc_check.runtimes.placement import precision_of

DETAILS = ("layerType", "runtimePrecision", "outputPrecisions", "originalLayersNames", "primitiveType")
NOT_RUN = ("Input", "Const", "Output")
PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
SPELLED = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64"}
EXACT_PROPERTIES: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
KNOBS: Knobs = {"precision": ("f32", "bf16", "default"), "threads": None, "flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> OpenVinoEngine:
    return OpenVinoEngine(checked_options(spec, KNOBS))


class OpenVinoEngine:
    """precision=f32 unless told otherwise: by default a CPU that has bf16 multiplies in it, silently.

    And one that has VNNI rounds the inputs of products with 8-bit weights to 8 bits, by their own range ("dynamic
    quantization"), f32 or not: precision=default shows what both do.
    """

    paths = ("fp32", "int")

    def __init__(self, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        precision = options.get("precision", "f32")
        self._core = openvino.Core()
        self._properties: dict[str, Any] = {}
        if precision != "default":
            self._properties.update(EXACT_PROPERTIES, INFERENCE_PRECISION_HINT=precision)
        if "threads" in options:
            self._properties["INFERENCE_NUM_THREADS"] = int(options["threads"])
        settings = {
            "precision": precision,
            "threads": options.get("threads", "default"),
            "flavour": self.flavour,
        }
        self.info = EngineInfo("openvino", openvino.__version__, "cpu", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        try:
            compiled = self._core.compile_model(str(model), "CPU", self._properties)
        except RuntimeError as error:
            raise RunFailedError(f"{model.name}: OpenVINO cannot compile it ({str(error).splitlines()[0]})") from error
        declared = [item.name for item in onnx.load(model, load_external_data=False).graph.output]
        return Compiled(compiled, declared)


class Compiled:
    """A compiled model, whose runtime graph tells what ran.

    Args:
        declared: the graph's outputs; a port also bears the names of tensors that became one with its output.
    """

    def __init__(self, compiled: Any, declared: list[str]) -> None:
        self._compiled = compiled
        self._inputs = {name for port in compiled.inputs for name in port.get_names()}
        self._outputs = {name: port for port in compiled.outputs for name in declared if name in port.get_names()}

    def __call__(self, inputs: Tensors) -> Tensors:
        results = self._compiled({name: value for name, value in inputs.items() if name in self._inputs})
        return {name: results[port].copy() for name, port in self._outputs.items()}

    def ran(self) -> tuple[RanNode, ...]:
        """Nodes of the runtime graph, named after the ONNX nodes that each was fused from."""
        nodes = []
        for operator in self._compiled.get_runtime_model().get_ordered_ops():
            detail = {key: str(operator.rt_info[key].astype(str)) for key in DETAILS}
            layer, ran_in, given = detail["layerType"], detail["runtimePrecision"], detail["outputPrecisions"]
            if layer in NOT_RUN:
                continue
            # a product's sums are integers where its operands are, whatever it gives
            types = [ran_in] if layer in PRODUCTS else [ran_in, *given.split(",")]
            precision = precision_of(layer, [SPELLED.get(name, "") for name in types])
            name = detail["originalLayersNames"] or operator.get_friendly_name()
            nodes.append(RanNode(name, layer, f"OpenVINO {detail['primitiveType']}", precision))
        return tuple(nodes)
