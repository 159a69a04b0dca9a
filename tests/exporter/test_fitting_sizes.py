"""A graph whose sizes fit for no size of its inputs has no meaning; one that fits for some sizes has."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from exporter.graphs import graph
from onnx import TensorProto, helper

from nvc_check.exporter.certificate.fitting_sizes import unfit
from nvc_check.exporter.certificate.verdicts import NOT_EXACT
from nvc_check.exporter.certificate.walk import certify

FLOAT = TensorProto.FLOAT


def model(node: onnx.NodeProto, *shapes: list[int | str | None], **constants: np.ndarray) -> onnx.ModelProto:
    """Inputs a, b, ... of these shapes into one node that gives y."""
    names = list("abc"[: len(shapes)])
    return graph([node], constants, {n: (FLOAT, list(s)) for n, s in zip(names, shapes, strict=True)}, ("y", FLOAT))


def node(op_type: str, inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), ["y"], "node", **attributes)


CROPPED = {"from": np.array([2, 2]), "to": np.array([2**31, 2**31]), "axes": np.array([2, 3])}
MIRRORED = np.array([0, 0, 2, 2, 0, 0, 2, 2])
TO_FIVE, TO_TWENTY = np.array([1, 5, -1]), np.array([1, 20])


WEIGHT = {"w": np.ones((2, 2, 3, 3), np.float32)}
WINDOWS = [  # the least side that the window fits in
    ("Conv", {"strides": [2, 1]}, 3),
    ("Conv", {"dilations": [2, 1]}, 5),
    ("Conv", {"pads": [1, 0, 0, 0]}, 2),
    ("Conv", {"auto_pad": "SAME_UPPER"}, 1),
    ("Conv", {"auto_pad": "VALID"}, 3),
    ("ConvTranspose", {}, 1),
    ("MaxPool", {"kernel_shape": [3, 3]}, 3),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}, 3),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, 1),
]


@pytest.mark.parametrize(("op_type", "attributes", "least"), WINDOWS)
def test_a_window_fits_in_what_it_moves_over(op_type: str, attributes: dict[str, Any], least: int) -> None:
    """Runtimes refuse another; ONNX infers a size for it, even one above 0."""
    weights = op_type.startswith("Conv")
    for size in range(1, 7):
        window = node(op_type, "a w" if weights else "a", **attributes)
        made = model(window, [1, 2, size, 4], **(WEIGHT if weights else {}))
        assert (unfit(made) is None) == (size >= least), size
    window = node(op_type, "a w" if weights else "a", **attributes)
    assert unfit(model(window, [1, 2, "h", "w"], **(WEIGHT if weights else {}))) is None


@pytest.mark.parametrize(
    ("made", "fits"),
    [
        (model(node("Concat", "a b", axis=1), [1, 3, "h", "w"], [1, 5, "h", "w"]), True),
        (model(node("Concat", "a b", axis=1), [1, 3, "h", 4], [1, 5, "h", 5]), False),
        (model(node("Concat", "a b", axis=1), [1, 3, "h", "w"], [1, 3, "h", "h + 1"]), False),
        (model(node("Concat", "a b", axis=1), [1, 3, "h", "w"], [1, 3, "2*h//2", "w"]), True),
        (model(node("Add", "a b"), [1, 3, None, "w"], [1, 3, "h", "w"]), True),
        (model(node("Add", "a b"), [1, 3, 4, "w"], [1, 3, 5, "w"]), False),
        (model(node("MatMul", "a b"), ["r", "k"], ["k", 8]), True),
        (model(node("MatMul", "a b"), ["r", "k"], ["k", "k"]), True),
        (model(node("MatMul", "a b"), ["r", "2*k"], ["3*k", 8]), False),
        (model(node("Reshape", "a to"), [1, 4, "h"], to=TO_FIVE), True),  # for h of 60, not of 16
        (model(node("Reshape", "a to"), [1, 5, "h"], to=TO_FIVE), True),
        (model(node("Reshape", "a to"), [1, 4, 5], to=TO_TWENTY), True),
        (model(node("Reshape", "a to"), [1, 4, 6], to=TO_TWENTY), False),
        (model(node("Conv", "a w"), [1, 3, "h", "w"], w=np.ones((2, 3, 3, 3), np.float32)), True),
        (model(node("Conv", "a w"), [1, 4, "h", "w"], w=np.ones((2, 3, 3, 3), np.float32)), False),
        (model(node("Conv", "a w", group=3), [1, 6, "h", "w"], w=np.ones((3, 2, 3, 3), np.float32)), True),
        (model(node("ConvTranspose", "a w"), [1, 2, "h", "w"], w=np.ones((2, 3, 3, 3), np.float32)), True),
        (model(node("ConvTranspose", "a w"), [1, 3, "h", "w"], w=np.ones((2, 3, 3, 3), np.float32)), False),
        (model(node("Pad", "a pads", mode="reflect"), [1, 2, 3, "w"], pads=MIRRORED), True),
        (model(node("Pad", "a pads", mode="reflect"), [1, 2, 2, "w"], pads=MIRRORED), False),
        (model(node("Slice", "a from to axes"), [1, 2, "h", "w"], **CROPPED), True),
        (model(node("Slice", "a from to axes"), [1, 2, 2, "w"], **CROPPED), False),
        (model(node("Transpose", "a", perm=[0, 2, 1]), [1, 2, 3, 4]), False),
        (model(node("Transpose", "a", perm=[0, 2, 1]), [1, "__import__('os')", "h" * 500]), True),
    ],
)
def test_what_fits(made: onnx.ModelProto, fits: bool) -> None:
    assert (unfit(made) is None) is fits
    if not fits:
        assert set(certify(made).verdicts.values()) == {NOT_EXACT}


def test_the_reason_names_the_node() -> None:
    found = unfit(model(node("Reshape", "a to"), [1, 4, 6], to=TO_TWENTY))
    assert found is not None and "Reshape node makes 20 values of 24" in found[0]
