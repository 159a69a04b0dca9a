"""Hyper-decoders as ONNX files: two transposed convolutions and a 3x3 one, as those of codecs are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from property.fuzz import on_onnxruntime

from nvc_check.exporter.entropy_graph import EntropyGraph, entropy_graph
from nvc_check.models.precision import Precisions

Array = NDArray[Any]
THRESHOLDS = np.arange(1, 64, dtype=np.int32) * 500
CHANNELS = 5
node = helper.make_node


def random_weights(seed: int, width: int = 6) -> dict[str, Array]:
    """Laplace weights as trained ones are. From a width of 16 on a ConvTranspose is made phase by phase."""
    rng = np.random.default_rng(seed)
    shapes = {"up0": (CHANNELS, width, 5, 5), "up1": (width, width + 1, 5, 5), "last": (8, width + 1, 3, 3)}
    made = {f"{name}.weight": rng.laplace(0, 0.2, shape) for name, shape in shapes.items()}
    made |= {f"{name}.bias": rng.normal(0, 1, size) for name, size in (("up0", width), ("up1", width + 1), ("last", 8))}
    return made


def hyper_decoder(weights: dict[str, Array], slope: float = 0.0, medians: Array | None = None) -> onnx.ModelProto:
    """z -> scales_hat, means, four channels each, of any size."""
    stored = {**weights, "medians": np.zeros(CHANNELS) if medians is None else medians}
    stored["medians"] = stored["medians"].reshape(1, -1, 1, 1)
    nodes, read = [node("Add", ["z", "medians"], ["z_hat"], name="add_medians")], "z_hat"
    up: dict[str, Any] = {"kernel_shape": [5, 5], "strides": [2, 2], "pads": [2] * 4, "output_padding": [1, 1]}
    for name in ("up0", "up1"):
        nodes.append(node("ConvTranspose", [read, f"{name}.weight", f"{name}.bias"], [name], name=name, **up))
        read = f"{name}_bent"
        bent = node("Relu", [name], [read]) if slope == 0 else node("LeakyRelu", [name], [read], alpha=slope)
        nodes.append(bent)
    nodes += [
        node("Conv", [read, "last.weight", "last.bias"], ["last"], name="last", kernel_shape=[3, 3], pads=[1] * 4),
        node("Split", ["last"], ["scales_hat", "means"], name="apart", axis=1, num_outputs=2),
    ]
    graph = helper.make_graph(
        nodes,
        "entropy",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, CHANNELS, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, None, None])
            for name in ("scales_hat", "means")
        ],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def integers(model: onnx.ModelProto, symbols: list[Array], precisions: Precisions | None = None) -> EntropyGraph:
    return entropy_graph(ir.from_proto(model), symbols, precisions or Precisions())


def written(graph: EntropyGraph, flavour: str, thresholds: Array = THRESHOLDS) -> onnx.ModelProto:
    return onnx.load_model_from_string(ir.to_proto(graph.write(thresholds, flavour)).SerializeToString())


def real_means(model: onnx.ModelProto, z: Array) -> Array:
    _, means = on_onnxruntime(model.SerializeToString(), {"z": z.astype(np.float32)}, "ORT_DISABLE_ALL")
    return means


def decibels(wanted: Array, found: Array) -> float:
    return float(10 * np.log10(wanted.var() / np.mean((found - wanted) ** 2)))
