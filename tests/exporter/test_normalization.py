"""GDN and its inverse in all their spellings: roots, quotients and products of two tensors.

Balle et al., "Density modeling of images using a generalized normalization transformation", ICLR 2016; GDN1 of Johnston
et al., "Computationally efficient neural image compression", 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exporter.onnx_files import compiled, decibels, latents, model, node, real, weights

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.network.pointwise import POINTWISE, Pointwise
from nvc_check.models.precision import Precision, Precisions

WIDTH = 8
GAMMA = (np.abs(weights(WIDTH, WIDTH, 1, 1, seed=5)) / 8 + 0.1 * np.eye(WIDTH)[:, :, None, None]).astype(np.float32)
CONSTANTS = {
    "w": weights(WIDTH, 4, 3, 3) * np.exp2(np.arange(WIDTH) - 4).astype(np.float32).reshape(-1, 1, 1, 1),
    "b": weights(WIDTH, seed=2),
    "gamma": GAMMA,
    "beta": np.linspace(0.05, 2, WIDTH, dtype=np.float32),
    "v": weights(3, WIDTH, 3, 3, seed=1),
    "two": np.array(2, np.float32),
    "half": np.array(0.5, np.float32),
    "less": np.array(-0.5, np.float32),
    "one": np.array(1, np.float32),
}
LAST = node("Conv", ["f", "v"], ["y"], "last", pads=[1] * 4)


def normalized(squares: list[onnx.NodeProto], behind: list[onnx.NodeProto]) -> onnx.ModelProto:
    first = node("Conv", ["x", "w", "b"], ["c"], "first", pads=[1] * 4)
    norm = node("Conv", ["s", "gamma", "beta"], ["n"], "norm")
    nodes = [first, *squares, norm, *behind, LAST]
    used = {name for each in nodes for name in each.input}
    return model(nodes, {name: array for name, array in CONSTANTS.items() if name in used}, 20)


POWER, PRODUCT, ABSOLUTE = (
    [node("Pow", ["c", "two"], ["s"])],
    [node("Mul", ["c", "c"], ["s"])],
    [node("Abs", ["c"], ["s"])],
)
ROOT, TIMES = node("Sqrt", ["n"], ["r"]), node("Mul", ["c", "r"], ["f"], "times")
NETS = {
    "inverse GDN": normalized(POWER, [ROOT, TIMES]),
    "inverse GDN, x x": normalized(PRODUCT, [ROOT, node("Mul", ["r", "c"], ["f"], "times")]),
    "inverse GDN, power of a half": normalized(POWER, [node("Pow", ["n", "half"], ["r"]), TIMES]),
    "GDN, quotient": normalized(POWER, [ROOT, node("Div", ["c", "r"], ["f"], "times")]),
    "GDN, Reciprocal": normalized(POWER, [ROOT, node("Reciprocal", ["r"], ["q"]), node("Mul", ["c", "q"], ["f"])]),
    "GDN, 1 / x": normalized(POWER, [ROOT, node("Div", ["one", "r"], ["q"]), node("Mul", ["c", "q"], ["f"])]),
    "GDN, power of minus a half": normalized(PRODUCT, [node("Pow", ["n", "less"], ["r"]), TIMES]),
    "inverse GDN1": normalized(ABSOLUTE, [node("Mul", ["c", "n"], ["f"], "times")]),
    "GDN1": normalized(ABSOLUTE, [node("Div", ["c", "n"], ["f"], "times")]),
}


# dB less by a quotient: it is largest where the 16 bits of what it is made of are coarsest
LESS = {"w8a16": 6, "w12a12": 3, "w16a16": 9}


@pytest.mark.parametrize(("text", "least"), [("w8a8", 26), ("w4a4", 7), ("w8a16", 33), ("w12a12", 50), ("w16a16", 60)])
@pytest.mark.parametrize("name", NETS)
def test_it_is_computed_the_same_everywhere(name: str, text: str, least: float) -> None:
    made = compiled(NETS[name], precisions=Precisions(Precision.of(text)))
    for graph in made.graphs.values():
        assert certify(ir.to_proto(graph)).exact
    assert decibels(made, NETS[name], latents(9)) >= least - (LESS.get(text, 0) if name.startswith("GDN,") else 0)


@pytest.mark.parametrize("text", ["w8a8", "w16a16"])
@pytest.mark.parametrize("name", ["inverse GDN", "GDN, quotient", "GDN1"])
def test_far_from_the_calibration_engines_agree(name: str, text: str) -> None:
    made = compiled(NETS[name], precisions=Precisions(Precision.of(text)))
    real(made, {key: 50 * array for key, array in latents(5).items()})
    real(made, {key: 0 * array for key, array in latents(5).items()})


def test_what_a_root_reads_has_16_bits_unless_a_pattern_says_otherwise() -> None:
    def precisions(given: Precisions) -> dict[str, str]:
        made = compiled(NETS["inverse GDN"], precisions=given)
        return {layer.name: layer.precision for layer in made.layers}

    assert precisions(Precisions()) == {"first": "w8a8", "norm": "w8a16", "last": "w8a8"}
    chosen = Precisions(layers=(("norm", Precision(8, 8)),))
    assert precisions(chosen) == {"first": "w8a8", "norm": "w8a8", "last": "w8a8"}


def test_a_square_is_a_product_and_a_root_has_a_degree() -> None:
    """Of a function that scales with its argument the exponent is known; of another there is none."""
    degrees: dict[str, tuple[Any, float | None]] = {
        "root": (np.sqrt, 0.5),
        "inverse": (np.reciprocal, -1.0),
        "size": (np.abs, 1.0),
        "square": (np.square, 2.0),
        "inverse root": (lambda x: 1 / np.sqrt(x), -0.5),
        "third root": (np.cbrt, None),
        "shifted": (lambda x: np.sqrt(x + 1), None),
        "exponential": (np.exp, None),
        "logarithm": (np.log, None),
        "nothing": (np.zeros_like, None),
    }
    found = {name: Pointwise.of(function).degree for name, (function, _) in degrees.items()}
    assert found == {name: degree for name, (_, degree) in degrees.items()}
    kinds = [site.op_type for site in compiled(NETS["inverse GDN, x x"]).losses]
    assert kinds == ["Conv", "Mul", "Conv", POINTWISE, "Mul", "Conv"]
