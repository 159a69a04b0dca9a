"""Arithmetic that breaks one assumption each: what the suite must find, on any machine.

The oracle evaluates the graph, but for one operator, or rounds each tensor that a node gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from conformance.case import Array, Case

from nvc_check.runtimes.oracle.engine import ExactGraph
from nvc_check.runtimes.oracle.operators import OPERATORS
from nvc_check.runtimes.oracle.sums import SUMS

Sum = Callable[[Array, Array, dict[str, Any]], Array]
# Winograd's F(4x4, 3x3), Lavin and Gray 2016: what cuDNN, XNNPACK and others may choose for such a Conv
B = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
              [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], np.float32)  # fmt: skip
G = np.array([[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
              [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32)  # fmt: skip
A = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)


def kept_bits(values: Array, bits: int) -> Array:
    """To the nearest float of `bits` significant bits, as a cast to TF32 (11) or bfloat16 (8) does."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.rint(fraction * 2.0**bits), exponent - bits)


def _sums_of(bits_of_operands: int, bits_of_sums: int) -> dict[str, Sum]:
    def of(op_type: str) -> Sum:
        exact = SUMS[op_type]

        def total(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
            x, weight = (kept_bits(array, bits_of_operands) for array in (x, weight))
            return kept_bits(exact(x, weight, attributes), bits_of_sums)

        return total

    return {op_type: of(op_type) for op_type in SUMS}


def _winograd(x: Array, weight: Array, attributes: dict[str, Any]) -> Array:
    """3x3, stride 1, padding 1, sides that divide by 4; all in float32."""
    padded = np.pad(x[0].astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    filters = G @ weight.astype(np.float32) @ G.T
    result = np.zeros((1, len(weight), *x.shape[2:]), np.float32)
    for row in range(0, x.shape[2], 4):
        for column in range(0, x.shape[3], 4):
            tile = B @ padded[:, row : row + 6, column : column + 6] @ B.T
            products = np.einsum("ocij,cij->oij", filters, tile)
            result[0, :, row : row + 4, column : column + 4] = A @ products @ A.T
    return result.astype(np.float64)


def _half_up(attributes: dict[str, Any], x: Array, scale: Array, zero: Array) -> Array:
    return np.clip(np.floor(x / scale + 0.5) + zero.astype(np.float64), 0, 255).astype(zero.dtype)


def _wraps(attributes: dict[str, Any], x: Array, scale: Array, zero: Array) -> Array:
    return (np.rint(x / scale).astype(np.int64) + zero).astype(zero.dtype)


def _reciprocal(attributes: dict[str, Any], x: Array, *_: Array) -> Array:
    """A fused step that multiplies where the graph divides and rounds up where it takes the floor."""
    return np.floor(x + 2.0**-3)


def _stored(bits: int) -> Callable[[Case], Array]:
    """Every float that a node gives is rounded."""

    def rounding(function: Callable[..., Array]) -> Callable[..., Array]:
        def rounded(*given: Any) -> Array:
            made = function(*given)
            return kept_bits(made, bits) if made.dtype.kind == "f" else made

        return rounded

    def evaluate(case: Case) -> Array:
        used = {node.op_type for node in case.model.graph.node} & OPERATORS.keys()
        with patch.dict(OPERATORS, {name: rounding(OPERATORS[name]) for name in used}):
            return ExactGraph(case.model)(case.inputs)["y"]

    return evaluate


def _summing(sums: dict[str, Sum]) -> Callable[[Case], Array]:
    def evaluate(case: Case) -> Array:
        with patch.dict(SUMS, sums):
            return ExactGraph(case.model, assert_exact=False)(case.inputs)["y"]

    return evaluate


def _with(op_type: str, function: Callable[..., Any]) -> Callable[[Case], Array]:
    def evaluate(case: Case) -> Array:
        with patch.dict(OPERATORS, {op_type: function}):
            return ExactGraph(case.model)(case.inputs)["y"]

    return evaluate


VIOLATIONS: Final[dict[str, Callable[[Case], Array]]] = {
    "a1:sums of 23 bits": _summing(_sums_of(24, 23)),
    "a1:sums of 11 bits, float16": _summing(_sums_of(24, 11)),
    "a2:Winograd": _summing({"Conv": _winograd}),
    "a3:multipliers of 10 bits": _summing(_sums_of(10, 24)),
    "a3:multipliers of 7 bits": _summing(_sums_of(7, 24)),
    "a3:stored as TF32": _stored(11),
    "a3:stored as bfloat16": _stored(8),
    "a4:ties up": _with("QuantizeLinear", _half_up),
    "a4:wraps": _with("QuantizeLinear", _wraps),
    "a5:floor fused with a product": _with("Floor", _reciprocal),
}
