"""A factor in front of a convolution goes into its weights, where it costs nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from exporter.onnx_files import compiled, decibels, latents, model, node, weights

FACTORS = {
    "one": np.array(1 / 255, np.float32),
    "per channel": np.array([0.3, -1.7, 1 / 3, 12], np.float32).reshape(1, 4, 1, 1),
}
LAYERS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "Conv": ("Conv", (6, 4, 3, 3), {"pads": [1] * 4}),
    "Conv in groups": ("Conv", (6, 2, 3, 3), {"group": 2, "pads": [1] * 4}),
    "depthwise": ("Conv", (8, 1, 3, 3), {"group": 4}),
    "ConvTranspose": ("ConvTranspose", (4, 5, 4, 4), {"strides": [2, 2], "pads": [1] * 4}),
    "ConvTranspose in groups": ("ConvTranspose", (4, 3, 3, 3), {"group": 2, "strides": [2, 2]}),
}


def net(layer: str, factor: str, op_type: str, first: bool = False) -> onnx.ModelProto:
    kind, shape, attributes = LAYERS[layer]
    operands = ["k", "x"] if first else ["x", "k"]
    nodes = [node(op_type, operands, ["s"]), node(kind, ["s", "w"], ["y"], "layer", **attributes)]
    return model(nodes, {"w": weights(*shape), "k": FACTORS[factor]}, 18)


@pytest.mark.parametrize("op_type", ["Mul", "Div"])
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("layer", LAYERS)
def test_it_goes_into_the_weights(layer: str, factor: str, op_type: str) -> None:
    source = net(layer, factor, op_type)
    made = compiled(source)
    assert [site.op_type for site in made.losses] == [LAYERS[layer][0]]
    assert decibels(made, source, latents(9)) >= 35


def test_what_stays_in_front() -> None:
    """A number divided by the tensor, a factor that something else reads, one of every place."""
    first = net("Conv", "one", "Mul", first=True)
    assert [site.op_type for site in compiled(first).losses] == ["Conv"]
    shared = net("Conv", "per channel", "Mul")
    shared.graph.node[-1].output[0] = "z"
    shared.graph.node.append(node("Conv", ["s", "w"], ["t"], "other", pads=[1] * 4))
    shared.graph.node.append(node("Add", ["z", "t"], ["y"]))
    assert [site.op_type for site in compiled(shared).losses] == ["Mul", "Conv", "Conv", "Add"]
