"""Means of neighbouring pixels, and gates: ONNX Runtime's function, the same bits everywhere, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exporter.onnx_files import SIDE, compiled, decibels, latents, model, node, real, weights

from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions

CONV = node("Conv", ["x", "w"], ["c"], "first", pads=[1] * 4)
LAST = node("Conv", ["f", "v"], ["y"], "last", pads=[1] * 4)
CONSTANTS = {"w": weights(8, 4, 3, 3, size=0.15), "v": weights(3, 8, 3, 3, seed=1)}
POOLS: dict[str, dict[str, Any]] = {
    "2": {"kernel_shape": [2, 2]},
    "2, apart": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "3, apart": {"kernel_shape": [3, 3], "strides": [2, 2]},
    "3, zeros count": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    "unequal, zeros count": {"kernel_shape": [1, 4], "pads": [0, 1, 0, 2], "count_include_pad": 1},
    "dilated": {"kernel_shape": [2, 2], "dilations": [2, 1]},
    "VALID": {"kernel_shape": [3, 2], "auto_pad": "VALID"},
    "none": {"kernel_shape": [2, 2], "ceil_mode": 0, "pads": [0, 0, 0, 0]},
}
LARGER = [
    (factor, where)
    for factor in (2, 3, 4, 8)
    for where in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric")
]


def pooled(attributes: dict[str, Any]) -> onnx.ModelProto:
    return model([CONV, node("AveragePool", ["c"], ["f"], "mean", **attributes), LAST], CONSTANTS, 19)


def enlarged(scales: tuple[float, float], where: str, **attributes: Any) -> onnx.ModelProto:
    resize = node(
        "Resize", ["c", "", "by"], ["f"], "up", mode="linear", coordinate_transformation_mode=where, **attributes
    )
    return model([CONV, resize, LAST], {**CONSTANTS, "by": np.array([1, 1, *scales], np.float32)}, 19)


def gated(size: tuple[int | str, int | str]) -> onnx.ModelProto:
    """Squeeze and excitation."""
    nodes = [
        CONV,
        node("Relu", ["c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["g"], "squeeze"),
        node("Conv", ["g", "a"], ["h"], "narrow"),
        node("Relu", ["h"], ["k"]),
        node("Conv", ["k", "b"], ["i"], "wide"),
        node("Sigmoid", ["i"], ["s"]),
        node("Mul", ["r", "s"], ["f"], "gate"),
        LAST,
    ]
    more = {"a": weights(4, 8, 1, 1, seed=2, size=0.6), "b": weights(8, 4, 1, 1, seed=3, size=0.6)}
    return model(nodes, {**CONSTANTS, **more}, shape=(1, 4, *size))


def check(source: onnx.ModelProto, text: str, least: float) -> None:
    made = compiled(source, precisions=Precisions(Precision.of(text)))
    assert all(certify(ir.to_proto(graph)).exact for graph in made.graphs.values())
    assert decibels(made, source, latents(9)) >= least
    real(made, {"x": 50 * latents(5)["x"]})  # far outside


@pytest.mark.parametrize(("text", "least"), [("w8a8", 30), ("w16a16", 55)])
@pytest.mark.parametrize("what", POOLS)
def test_average_pooling(what: str, text: str, least: float) -> None:
    check(pooled(POOLS[what]), text, least)


@pytest.mark.parametrize(("factor", "where"), LARGER)
def test_linear_resizing(factor: int, where: str) -> None:
    check(enlarged((factor, factor), where), "w8a8", 28)


def test_linear_resizing_with_more_bits() -> None:
    check(enlarged((2, 2), "half_pixel"), "w16a16", 45)


@pytest.mark.parametrize(("text", "least"), [("w8a8", 28), ("w8a16", 30)])
def test_a_gate_of_a_fixed_size(text: str, least: float) -> None:
    check(gated((SIDE, SIDE + 2)), text, least)


REFUSED = {
    "zeros do not count": (pooled({"kernel_shape": [3, 3], "pads": [1] * 4}), "node mean"),
    "the last window is cut": (pooled({"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}), "node mean"),
    "padded by size": (pooled({"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}), "node mean"),
    "corners": (enlarged((2, 2), "align_corners"), r"node up \(Resize\): mode linear, align_corners"),
    "unequal factors": (enlarged((2, 3), "half_pixel"), "node up .*one whole factor"),
    "no whole factor": (enlarged((1.5, 1.5), "half_pixel"), "node up .*one whole factor"),
    "smaller": (enlarged((0.5, 0.5), "half_pixel"), "node up .*one whole factor"),
    "antialias": (enlarged((2, 2), "half_pixel", antialias=1), "node up"),
    "a mean over any size": (gated(("h", "w")), "node squeeze .*GlobalAveragePool"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_another_function_is_refused(what: str) -> None:
    source, said = REFUSED[what]
    with pytest.raises(ExportRefusedError, match=said):
        compiled(source)
