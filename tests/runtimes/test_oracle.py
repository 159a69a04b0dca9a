"""The oracle's operators against ONNX Runtime on integers, its largest accumulators, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.oracle.engine import ExactGraph

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(-9, 10, (1, 8, 6, 10)).astype(np.float32)
Y = RANDOM.integers(-9, 10, (1, 8, 6, 10)).astype(np.float32)
BOOL = Y > 0


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def whole(*shape: int) -> Any:
    return RANDOM.integers(-5, 6, shape).astype(np.float32)


def model_of(op_type: str, inputs: list[Any], outputs: int = 1, **attributes: Any) -> onnx.ModelProto:
    """One node; the first input is the graph's, the others are constants, None is a missing one."""
    names = ["" if array is None else f"in_{index}" for index, array in enumerate(inputs)]
    node = helper.make_node(op_type, names, [f"out_{index}" for index in range(outputs)], name="node", **attributes)
    first = [helper.make_tensor_value_info("in_0", helper.np_dtype_to_tensor_dtype(inputs[0].dtype), inputs[0].shape)]
    constants = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in list(zip(names, inputs, strict=True))[1:]
        if name
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output]
    for value in results:
        value.ClearField("type")
    graph = helper.make_graph([node], "one", first, results, constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Abs", [X], {}),
    ("And", [BOOL, ~BOOL[:, :1]], {}),
    ("Cast", [BOOL], {"to": TensorProto.FLOAT}),
    ("Cast", [X], {"to": TensorProto.BOOL}),
    ("Clip", [X, np.float32(-2)], {}),
    ("Clip", [X, None, np.float32(3)], {}),
    ("Concat", [X, Y], {"axis": -2}),
    ("ConstantOfShape", [ints(2, 3)], {"value": numpy_helper.from_array(np.array([7], np.int32))}),
    ("Conv", [X, whole(4, 8, 3, 3), whole(4)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", [X, whole(6, 4, 3, 2)], {"group": 2, "dilations": [2, 3]}),
    ("Conv", [X, whole(8, 1, 1, 5)], {"group": 8, "strides": [1, 5]}),
    ("ConvTranspose", [X, whole(8, 3, 5, 5), whole(6)], {"group": 2, "strides": [2, 2], "pads": [2, 2, 2, 2]}),
    ("ConvTranspose", [X, whole(8, 3, 3, 2)], {"dilations": [2, 1], "strides": [2, 3], "output_padding": [1, 0]}),
    ("CumSum", [X, np.array(3)], {}),
    ("CumSum", [X, ints(-2)], {"exclusive": 1}),
    ("CumSum", [X, np.array(1, np.int32)], {"reverse": 1}),
    ("CumSum", [X, ints(2)], {"exclusive": 1, "reverse": 1}),
    ("DepthToSpace", [X], {"blocksize": 2, "mode": "CRD"}),
    ("DepthToSpace", [X], {"blocksize": 2}),
    ("Div", [np.array([-(2**31), 2**31 - 1, -9, -8, -7, 0, 7, 8, 9], np.int32), np.array(8, np.int32)], {}),
    ("Div", [np.array([-(2**31), 2**31 - 1, -9, -8, -7, 0, 7, 8, 9], np.int32), np.array(-8, np.int32)], {}),
    ("Div", [X, np.float32(0.25)], {}),
    ("Div", [ints(7, -7, 8), ints(2, 2, -3)], {}),
    ("Equal", [X, Y], {}),
    ("Expand", [X[:, :, :1], ints(2, 1, 6, 1)], {}),
    ("Flatten", [X], {"axis": -1}),
    ("Gather", [X, np.array([[0, -1], [3, 3]], np.int32)], {"axis": 3}),
    ("GatherElements", [X, ints(*range(-5, 5)).reshape(1, 1, 1, 10)], {"axis": 3}),
    ("GatherND", [X, ints(0, 7, 0, -8).reshape(2, 2)], {}),
    ("GatherND", [X, ints(7, -1).reshape(1, 2)], {"batch_dims": 1}),
    ("GreaterOrEqual", [X, Y], {}),
    ("Less", [X, Y], {}),
    ("LessOrEqual", [X, Y], {}),
    ("MatMul", [X, whole(10, 3)], {}),
    ("Max", [X, Y, np.float32(2)], {}),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "strides": [2, 1]}),
    ("MaxPool", [X], {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "strides": [1, 3]}),
    ("Min", [X, Y, np.float32(-2)], {}),
    ("Neg", [X], {}),
    ("Not", [BOOL], {}),
    ("Or", [BOOL, ~BOOL[:, :1]], {}),
    ("Pad", [X, ints(0, 1, 2, 3, 0, 0, -1, 1)], {"mode": "constant"}),
    ("Pad", [X, ints(1, 2, 0, 3), np.float32(5), ints(3, 2)], {}),
    ("Pad", [X, ints(0, 0, 2, 3, 0, 0, 1, 1)], {"mode": "edge"}),
    ("Pad", [X, ints(0, 0, 2, 3, 0, 0, 1, 1)], {"mode": "reflect"}),
    ("Range", [np.array(2, np.int64), np.array(11, np.int64), np.array(4, np.int64)], {}),
    ("ReduceMax", [X, ints(-1, 1)], {"keepdims": 0}),
    ("ReduceSum", [X, ints(1, 3)], {}),
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    ("Reshape", [X, ints(0, -1, 5)], {}),
    ("Round", [X / 2], {}),
    ("Shape", [X], {"start": 1, "end": -1}),
    ("Slice", [X, ints(9, 5), ints(-99, 1), ints(3, 2), ints(-2, -1)], {}),
    ("Slice", [X, ints(0, 1), ints(1, 2**40)], {}),
    ("Split", [X, ints(2, 5, 3)], {"axis": -1, "outputs": 3}),
    ("Split", [X], {"axis": 3, "num_outputs": 3, "outputs": 3}),
    ("Squeeze", [X[:, :1]], {}),
    ("Squeeze", [X[:, :1], ints(1)], {}),
    ("Tile", [X, ints(1, 2, 1, 3)], {}),
    ("Transpose", [X], {"perm": [2, 0, 3, 1]}),
    ("Unsqueeze", [X, ints(0, -1)], {}),
    ("Where", [BOOL, X, Y[:, :1]], {}),
]


@pytest.mark.parametrize(("op_type", "inputs", "attributes"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_operator_as_onnxruntime(op_type: str, inputs: list[Any], attributes: dict[str, Any]) -> None:
    model = model_of(op_type, inputs, **attributes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"in_0": inputs[0]})
    got = list(ExactGraph(model)({"in_0": inputs[0]}).values())
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.array_equal(ours, theirs)
        assert (ours.dtype.kind == "f") == (theirs.dtype.kind == "f")


def test_largest_accumulator_is_in_steps_of_the_products_grid() -> None:
    """x in quarters, weights in eighths: 3/4 * 5/8 + 1/32 is 16 steps of 1/32; the largest of all calls stays."""
    weight, bias = np.full((1, 1, 1, 1), 5 / 8, np.float32), np.full(1, 1 / 32, np.float32)
    graph = ExactGraph(model_of("Conv", [np.zeros((1, 1, 1, 2), np.float32), weight, bias]))
    graph({"in_0": np.array([-0.25, 0.75], np.float32).reshape(1, 1, 1, 2)})
    assert graph.largest == {"node": 16.0}
    graph({"in_0": np.array([-0.25, 0.25], np.float32).reshape(1, 1, 1, 2)})
    assert graph.largest == {"node": 16.0}


@pytest.mark.parametrize(("shape", "says"), [((1, 1, 2, 5), "3x3 does not fit in 2x5"), ((1, 1, 9), "1 dimensions")])
def test_convolutions_without_evaluation(shape: tuple[int, ...], says: str) -> None:
    x, weight = np.ones(shape, np.float32), np.ones((1, 1, *[3] * (len(shape) - 2)), np.float32)
    with pytest.raises(RunFailedError, match=says):
        ExactGraph(model_of("Conv", [x, weight]))({"in_0": x})


def test_a_split_that_only_its_outputs_count() -> None:
    """As before opset 18."""
    model = model_of("Split", [X], axis=3, outputs=5)
    got = ExactGraph(model)({"in_0": X}).values()
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(got, np.split(X, 5, axis=3), strict=True))
    model = model_of("Split", [X], axis=3, outputs=3, split=[2, 5, 3])  # before opset 13
    got = ExactGraph(model)({"in_0": X}).values()
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(got, np.split(X, [2, 7], axis=3), strict=True))


@pytest.mark.parametrize("op_type", ["Conv", "MatMul"])
def test_sums_that_float64_would_round_are_refused(op_type: str) -> None:
    shape = (1, 1, 1, 1)
    x, weight = np.full(shape, 2.0**30 + 1), np.full(shape, 2.0**24 + 1)
    with pytest.raises(RunFailedError, match=r"node node .* 2\^53"):
        ExactGraph(model_of(op_type, [x, weight]))({"in_0": x})
    got = ExactGraph(model_of(op_type, [x, weight]), assert_exact=False)({"in_0": x})
    assert got["out_0"].shape == shape


def test_unknown_operators_are_refused() -> None:
    with pytest.raises(RunFailedError, match="no exact evaluation of Sigmoid"):
        ExactGraph(model_of("Sigmoid", [X]))


def test_quotients_that_round_are_refused() -> None:
    with pytest.raises(RunFailedError, match="powers of two"):
        ExactGraph(model_of("Div", [X, np.float32(3)]))({"in_0": X})


@pytest.mark.parametrize(("side", "around"), [(2, 2), (1, 1), (5, 7)])
def test_reflection_beyond_a_side_is_refused(side: int, around: int) -> None:
    """ONNX Runtime refuses it, OpenVINO gives an empty tensor or crashes."""
    graph = ExactGraph(model_of("Pad", [X[..., :side], ints(0, 0, 0, around, 0, 0, 0, 0)], mode="reflect"))
    with pytest.raises(RunFailedError, match=f"reflects beyond a side of {side}"):
        graph({"in_0": X[..., :side]})
    near = ExactGraph(model_of("Pad", [X, ints(0, 0, 0, X.shape[3] - 1, 0, 0, 0, 0)], mode="reflect"))
    assert near({"in_0": X})
