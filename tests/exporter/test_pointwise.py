"""Functions of one number become one table each: the right function, the same bits, and nothing else is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exporter.onnx_files import SIDE, compiled, decibels, latents, model, node, real, weights
from onnx import TensorProto, helper

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.network.pointwise import CURVED, POINTWISE, join_functions
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions

CONV = node("Conv", ["x", "w", "b"], ["c"], "first", pads=[1] * 4)
LAST = node("Conv", ["f", "v"], ["y"], "last", pads=[1] * 4)
CONSTANTS = {
    "w": weights(8, 4, 3, 3, size=0.15),
    "b": weights(8, seed=2),
    "v": weights(3, 8, 3, 3, seed=1),
    "half": np.array(0.5, np.float32),
    "one": np.array(1, np.float32),
    "root": np.array(np.sqrt(2), np.float32),
    "three": np.array(3, np.float32),
    "cubic": np.array(0.044715, np.float32),
    "slope": np.array(np.sqrt(2 / np.pi), np.float32),
    "six": np.array(6, np.float32),
    "zero": np.array(0, np.float32),
}
STEEP = ("Reciprocal", "Sqrt")  # tests/exporter/test_normalization.py: of positive numbers
SINGLE: dict[str, tuple[str, dict[str, Any], int]] = {
    name: (name, {}, 20) for name in CURVED if name not in ("Swish", *STEEP)
}
SINGLE |= {
    "Elu, alpha": ("Elu", {"alpha": 0.3}, 18),
    "Celu, alpha": ("Celu", {"alpha": 2.0}, 18),
    "Selu, both": ("Selu", {"alpha": 1.2, "gamma": 0.8}, 18),
    "HardSigmoid, both": ("HardSigmoid", {"alpha": 0.1, "beta": 0.7}, 18),
    "Gelu, tanh": ("Gelu", {"approximate": "tanh"}, 20),
    "ThresholdedRelu, alpha": ("ThresholdedRelu", {"alpha": 0.4}, 18),
}
MANY = {
    "SiLU": [node("Sigmoid", ["c"], ["s"]), node("Mul", ["c", "s"], ["f"])],
    "Gelu by Erf": [
        node("Div", ["c", "root"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["p"]),
        node("Mul", ["c", "p"], ["m"]),
        node("Mul", ["m", "half"], ["f"]),
    ],
    "Gelu by Tanh": [
        node("Pow", ["c", "three"], ["p"]),
        node("Mul", ["p", "cubic"], ["q"]),
        node("Add", ["c", "q"], ["s"]),
        node("Mul", ["s", "slope"], ["u"]),
        node("Tanh", ["u"], ["t"]),
        node("Add", ["one", "t"], ["a"]),
        node("Mul", ["c", "a"], ["m"]),
        node("Mul", ["half", "m"], ["f"]),
    ],
    "HardSwish by Clip": [
        node("Add", ["c", "three"], ["a"]),
        node("Clip", ["a", "zero", "six"], ["l"]),
        node("Div", ["l", "six"], ["d"]),
        node("Sigmoid", ["d"], ["s"]),
        node("Mul", ["c", "s"], ["f"]),
    ],
    "Mish by Softplus": [
        node("Softplus", ["c"], ["p"]),
        node("Tanh", ["p"], ["t"]),
        node("Mul", ["c", "t"], ["f"]),
    ],
    "one less": [node("Sigmoid", ["c"], ["s"]), node("Sub", ["one", "s"], ["f"])],
    "residual": [node("Tanh", ["c"], ["t"]), node("Add", ["c", "t"], ["f"])],
}


def net(nodes: list[onnx.NodeProto], opset: int = 20) -> onnx.ModelProto:
    small = (
        {"w": CONSTANTS["w"] / 4} if any(each.op_type == "Exp" for each in nodes) else {}
    )  # its values have long tails
    used = {name for each in (CONV, *nodes, LAST) for name in each.input}
    return model([CONV, *nodes, LAST], {k: v for k, v in {**CONSTANTS, **small}.items() if k in used}, opset)


def single(name: str) -> onnx.ModelProto:
    op_type, attributes, opset = SINGLE[name]
    return net([node(op_type, ["c"], ["f"], "bent", **attributes)], opset)


NETS = {**{name: single(name) for name in SINGLE}, **{name: net(nodes) for name, nodes in MANY.items()}}


# dB less at w16a16: a value falls on the other side of a jump; values beyond the calibration decide
LESS = {"Thresholded": 15, "Exp": 20}


@pytest.mark.parametrize(("text", "least"), [("w8a8", 23), ("w8a16", 33), ("w16a16", 55)])
@pytest.mark.parametrize("name", NETS)
def test_the_function_is_computed_the_same_everywhere(name: str, text: str, least: float) -> None:
    made = compiled(NETS[name], precisions=Precisions(Precision.of(text)))
    for graph in made.graphs.values():
        assert certify(ir.to_proto(graph)).exact
    least -= LESS.get(name.partition("Relu")[0], 0) if text == "w16a16" else 0
    assert decibels(made, NETS[name], latents(9)) >= least
    assert sum(1 for site in made.losses if site.op_type == POINTWISE) == 1
    assert len(made.losses) == 3


@pytest.mark.parametrize("name", ["SiLU", "Exp", "Softplus", "Tanh"])
def test_far_from_the_calibration_engines_agree(name: str) -> None:
    for text in ("w8a8", "w16a16"):
        made = compiled(NETS[name], precisions=Precisions(Precision.of(text)))
        real(made, {key: 50 * array for key, array in latents(5).items()})


def test_a_function_that_two_others_read_stands_for_each() -> None:
    nodes = [
        node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["c", "s"], ["f"]),
        node("Conv", ["s", "v"], ["z"], "other", pads=[1] * 4),
    ]
    source = model([CONV, *nodes, LAST, node("Add", ["y_", "z"], ["y"])], CONSTANTS | {}, 20)
    for each in source.graph.node:
        if each.name == "last":
            each.output[0] = "y_"
    made = compiled(source)
    assert sum(1 for site in made.losses if site.op_type == POINTWISE) == 2
    assert decibels(made, source, latents(9)) >= 24


def joined(nodes: list[onnx.NodeProto], constants: dict[str, Any], outputs: list[str]) -> list[str]:
    graph = helper.make_graph(
        nodes,
        "functions",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, SIDE, SIDE]) for name in ("x", "z")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, SIDE, SIDE]) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()],
    )
    made = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    join_functions(made.graph, "ours")
    return [each.op_type for each in made.graph]


@pytest.mark.parametrize(
    ("nodes", "constants", "left"),
    [
        # of another tensor, of channels, of no curved function, of the tensor's neighbours
        ([node("Sigmoid", ["x"], ["s"]), node("Mul", ["z", "s"], ["y"])], {}, [POINTWISE, "Mul"]),
        (
            [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "k"], ["y"])],
            {"k": np.ones((1, 4, 1, 1))},
            [POINTWISE, "Mul"],
        ),
        (
            [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "k"], ["y"])],
            {"k": np.ones((1, 1, 1, 1, 1))},
            [POINTWISE, "Mul"],
        ),
        ([node("Mul", ["x", "k"], ["s"]), node("Add", ["s", "x"], ["y"])], {"k": 2}, ["Mul", "Add"]),
        ([node("Mul", ["x", "x"], ["y"])], {}, ["Mul"]),
        ([node("Pow", ["x", "k"], ["y"])], {"k": 0.5}, [POINTWISE]),
        ([node("Pow", ["k", "x"], ["y"])], {"k": 2}, ["Pow"]),
        ([node("Sigmoid", ["x"], ["s"]), node("Div", ["k", "s"], ["y"])], {"k": 1}, [POINTWISE]),
        ([node("Div", ["x", "z"], ["y"])], {}, [POINTWISE, "Mul"]),
        ([node("Abs", ["x"], ["a"]), node("Div", ["x", "a"], ["y"])], {}, [POINTWISE]),
        ([node("Sigmoid", ["x"], ["s"]), node("Softmax", ["s"], ["y"])], {}, [POINTWISE, "Softmax"]),
        ([node("Pow", ["x", "k"], ["y"])], {"k": 3}, [POINTWISE]),
        ([node("Pow", ["x", "k"], ["y"])], {"k": 2}, ["Mul"]),
    ],
)
def test_what_is_a_function_of_one_number(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], left: list[str]
) -> None:
    assert joined(nodes, constants, ["y"]) == left


def test_an_output_on_the_way_stays() -> None:
    nodes = [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])]
    assert joined(nodes, {}, ["y", "s"]) == [POINTWISE, POINTWISE]


def test_what_is_not_finite_is_refused() -> None:
    """Exp of the calibration, infinite in float64."""
    source = model(
        [node("Mul", ["x", "large"], ["c"]), node("Exp", ["c"], ["y"], "bent")],
        {"large": np.array(1e3, np.float32)},
        18,
    )
    with pytest.raises(ExportRefusedError, match=r"node bent \(Pointwise\).*no finite|another function"):
        compiled(source)
