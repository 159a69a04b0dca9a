"""Small ONNX graphs for the certificate's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def graph(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    inputs: dict[str, tuple[int, list[Any]]],
    output: tuple[str, int],
) -> onnx.ModelProto:
    """A checked model of opset 18; `inputs`: name -> (element type, shape)."""
    rank = max(len(shape) for _, shape in inputs.values())
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(output[0], output[1], [None] * rank)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def clipped_convolution(
    weight: NDArray[np.float32], reach: int, bias: float = 0.0, op_type: str = "Conv", **attributes: Any
) -> onnx.ModelProto:
    """int32 x, clipped to [0, reach], through one (transposed) convolution."""
    channels = weight.shape[0 if op_type == "ConvTranspose" else 1]
    outputs = weight.shape[1 if op_type == "ConvTranspose" else 0]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Clip", ["f", "low", "high"], ["c"], "clip"),
        helper.make_node(op_type, ["c", "w", "b"], ["y"], "conv", **attributes),
    ]
    constants = {
        "low": np.array(0, np.float32),
        "high": np.array(reach, np.float32),
        "w": weight,
        "b": np.full(outputs, bias, np.float32),
    }
    return graph(nodes, constants, {"x": (TensorProto.INT32, [1, channels, 8, 8])}, ("y", TensorProto.FLOAT))
