"""Filters that training has switched off: nothing is left behind the Relu or Clip, and the graph stays exact."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from exporter.onnx_files import compiled, latents, model, node, real, weights
from property.fuzz import on_onnxruntime

from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.precision import Precision, Precisions

BEHIND = {
    "Relu": (node("Relu", ["c"], ["r"]), {}),
    "Clip": (node("Clip", ["c", "none", "one"], ["r"]), {"none": np.float32(0), "one": np.float32(1)}),
    "LeakyRelu": (node("LeakyRelu", ["c"], ["r"], alpha=0.1), {}),
}


@pytest.mark.parametrize("biases", [(-1, -1, -1, -1), (1, -1, -1, -1), (-100, -100, -100, -100), (100, 100, 100, 100)])
@pytest.mark.parametrize(("text", "within"), [("w8a8", 0.03), ("w6a6", 0.1), ("w16a16", 0.003)])
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("behind", BEHIND)
def test_what_saturates_as_a_whole(
    behind: str, op_type: str, text: str, within: float, biases: tuple[int, ...]
) -> None:
    bend, limits = BEHIND[behind]
    first = node(op_type, ["x", "w", "b"], ["c"], "first", pads=[1] * 4)
    constants = {
        "w": weights(4, 4, 3, 3, size=1e-6),
        "b": np.array(biases, np.float32),
        "v": weights(3, 4, 3, 3, seed=1),
        "d": weights(3, seed=2),
        **{name: np.asarray(value) for name, value in limits.items()},
    }
    source = model([first, bend, node("Conv", ["r", "v", "d"], ["y"], "last", pads=[1] * 4)], constants)
    made = compiled(source, precisions=Precisions(Precision.of(text)))
    assert all(certify(ir.to_proto(graph)).exact for graph in made.graphs.values())
    inputs = latents(9)
    (wanted,) = on_onnxruntime(source.SerializeToString(), inputs, "ORT_DISABLE_ALL")
    assert np.abs(real(made, inputs)["y"] - wanted).max() < within * max(1, np.abs(wanted).max())
