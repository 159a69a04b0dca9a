"""A transposed convolution as convolutions of its phases gives the same sums, pixel for pixel."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.network.torch_layers import Activation, Layer
from nvc_check.exporter.quantize.integer_layers import IntegerLayer
from nvc_check.exporter.write.subpixel import APART_FROM, interleaved, phase_convolutions


def depth_to_space(phases: NDArray[np.float64], stride: int) -> NDArray[np.float64]:
    """DepthToSpace-13, mode DCR."""
    _, wide, height, width = phases.shape
    apart = phases.reshape(stride, stride, wide // stride**2, height, width)
    return apart.transpose(2, 3, 0, 4, 1).reshape(1, -1, stride * height, stride * width)


@pytest.mark.parametrize("outputs", [3, APART_FROM])
@pytest.mark.parametrize(
    ("taps", "stride", "padding", "output_padding"),
    [(5, 2, 2, 1), (3, 2, 1, 1), (4, 2, 1, 0), (2, 2, 0, 0), (6, 3, 2, 1)],
)
def test_phases_together_are_the_transposed_convolution(
    outputs: int, taps: int, stride: int, padding: int, output_padding: int
) -> None:
    rng = np.random.default_rng(taps)
    weight = rng.integers(-127, 128, (4, outputs, taps, taps))
    geometry = (stride, padding, output_padding)
    layer = Layer("up", True, weight.astype(np.float64), np.zeros(outputs), *geometry, Activation(), "")
    made = IntegerLayer(layer, weight, np.zeros(outputs), np.zeros(outputs, np.int64), 0.0, 0.0, 0, 255)
    parts = phase_convolutions(made)
    assert len(parts) == (stride**2 if outputs >= APART_FROM else 1)
    assert sum(len(part.weight) for part in parts) == stride**2 * outputs
    x = torch.from_numpy(rng.integers(0, 128, (1, 4, 5, 7)).astype(np.float64))
    sums = []
    for part in parts:
        top, left, bottom, right = part.pads
        padded = functional.pad(x, (left, right, top, bottom))
        sums.append(functional.conv2d(padded, torch.from_numpy(part.weight.astype(np.float64))).numpy())
    expected = functional.conv_transpose2d(x, torch.from_numpy(layer.weight), None, *geometry).numpy()
    assert np.array_equal(depth_to_space(np.concatenate(sums, axis=1), stride), expected)


@pytest.mark.parametrize(("stride", "channels"), [(2, 3), (2, 16), (3, 5)])
def test_the_moves_are_depth_to_space(stride: int, channels: int) -> None:
    """ONNX Runtime, with height and width that the graph does not know; a wrong order would show in every value."""
    wide = stride**2 * channels
    given = ir.Value(name="x", type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape([1, wide, "h", "w"]))
    graph = GraphWriter("moves", [given])
    picture = interleaved(graph, given, stride, channels, "up")
    model = graph.finish([(picture, "picture", ir.DataType.UINT8, [1, channels, "high", "wide"])])
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto)
    engine = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in ((1, 1), (3, 5), (4, 2)):
        x = np.random.default_rng(7).integers(0, 256, (1, wide, height, width)).astype(np.uint8)
        (found,) = engine.run(None, {"x": x})
        assert np.array_equal(found, depth_to_space(x.astype(np.float64), stride))
