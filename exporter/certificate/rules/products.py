"""The certificate's rules for matrix products, and what all products share: weight bits and the pair bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.certificate.abstract import Abstract, Float64, Linear, capped, of_constant, uniform
from nvc_check.exporter.certificate.rules.arithmetic import union_of_channels
from nvc_check.exporter.certificate.targets import Hazard, operand_hazards
from nvc_check.exporter.certificate.terms import Call, Outcome, Refused, Rule, one, require_type
from nvc_check.models.grid import FLOAT32_EXACT, finest_exponents, pair_sums

PAIR = 128  # 255 * 128 < 2^15


def weight_bits(rows: NDArray[np.float64]) -> int:
    """Significant bits of the weights (channels, n) of one output channel on their common grid, the most of all."""
    return int((np.abs(rows).max(axis=1, initial=0) / np.exp2(finest_exponents(rows))).max(initial=0)).bit_length()


def pair_hazards(weight: Abstract, x: Abstract, axis: int) -> tuple[Hazard, ...]:
    """int8 weights run as VPMADDUBSW on x86 without VNNI, which saturates sums of two products at 16 bits."""
    if weight.stored is None or weight.stored.dtype != np.int8 or (x.codes is not None and x.codes[1] < PAIR):
        return ()
    pairs = pair_sums(weight.stored.astype(np.int64), axis)
    if pairs.max(initial=0) <= PAIR:
        return ()
    return (
        Hazard(
            ("any", "avx2", "openvino"),
            f"output channel {int(pairs.argmax())}: the two largest int8 weights sum to {pairs.max()},"
            f" more than {PAIR}",
            "store them as uint8 with zero point 128, or 7-bit weights, or activations below 128",
        ),
    )


def _matmul(call: Call) -> Outcome:
    return product(call.input(0), call.input(1), call.rank)


def product(a: Abstract, b: Abstract, rank: int | None) -> Outcome:
    """a (..., M, K) @ b (..., K, N): the sum of K products, in any order."""
    require_type(a, "float32")
    require_type(b, "float32")
    if b.constant is not None:
        return _times_weights(a, b, rank)
    if a.constant is not None:
        flipped = replace(of_constant(np.swapaxes(np.atleast_2d(a.constant), -1, -2)), stored=_turned(a.stored))
        return _times_weights(uniform(b), flipped, None)
    count = next((v.shape[axis] for v, axis in ((a, -1), (b, -2)) if v.shape is not None and len(v.shape) > 1), None)
    if count is None:
        raise Refused("the number of products in a sum is unknown", "static shapes")
    a, b = union_of_channels(a), union_of_channels(b)
    reach, exponent = a.reach * b.reach * count, capped(a.exponent + b.exponent)
    _below(reach / np.exp2(exponent), "a sum")
    bits = operand_hazards(max(a.bits, b.bits), f"operands of {a.bits} and {b.bits} bits")
    facts = {"bound": float((reach / np.exp2(exponent)).max()), "operand_bits": f"{a.bits}x{b.bits}"}
    return one(Abstract(exponent, -reach, reach), assumptions=("A1", "A3", "A5"), hazards=bits, **facts)


def _turned(stored: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if stored is None else np.swapaxes(np.atleast_2d(stored), -1, -2)


def _times_weights(x: Abstract, weight: Abstract, rank: int | None) -> Outcome:
    """Per column of the weights where the columns are the result's channels (rank 2), else for all alike."""
    assert weight.constant is not None
    matrix = weight.constant.astype(np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    columns = np.moveaxis(matrix, -2, -1).reshape(-1, matrix.shape[-2])  # (batches * N, K)
    if x.shape is None or len(x.shape) != 2 or rank != 2:
        x = uniform(x)
    exponent, low, high = (np.broadcast_to(v, columns.shape[1]) for v in (x.exponent, x.low, x.high))
    low, high = np.minimum(low, 0), np.maximum(high, 0)  # partial sums leave products out
    grid = capped((finest_exponents(columns[:, :, None]) + exponent).min(axis=1))
    positive: Float64 = np.maximum(columns, 0.0)
    negative: Float64 = np.minimum(columns, 0.0)
    bounds = ((positive - negative) @ np.maximum(-low, high)) / np.exp2(grid)
    _below(bounds, "a sum")
    bits = weight_bits(columns)
    folded = bits + (x.linear.bits if x.linear is not None and not x.linear.products else 0)
    hazards = operand_hazards(max(x.bits, folded), f"operands of {x.bits} and {folded} bits")
    lowest: Float64 = positive @ low + negative @ high
    highest: Float64 = positive @ high + negative @ low
    result = Abstract(grid, lowest, highest, linear=Linear(bounds, bits, np.zeros(1), products=True))
    return one(
        result if rank == 2 and matrix.ndim == 2 else uniform(result),
        bound=float(bounds.max(initial=0)),
        operand_bits=f"{x.bits}x{bits}",
        assumptions=("A1", "A3", "A5"),
        hazards=(*hazards, *(pair_hazards(weight, x, weight.stored.ndim - 1) if weight.stored is not None else ())),
    )


def _below(bounds: NDArray[np.float64], what: str) -> None:
    if (bounds >= FLOAT32_EXACT).any():
        raise Refused(
            f"{what} reaches {float(bounds.max()):.0f}, not below 2^24 = {FLOAT32_EXACT}",
            "coarser weights, fewer products in one sum, or limbs",
        )


def _gemm(call: Call) -> Outcome:
    """alpha and beta of 1; the bias is added after the product."""
    if call.get("alpha", 1.0) != 1.0 or call.get("beta", 1.0) != 1.0:
        raise Refused("Gemm with alpha or beta has no rule here", "alpha and beta of 1")
    weight = call.input(1)
    if weight.constant is None:
        raise Refused("weights that are not constant have no rule in Gemm", "MatMul")
    if call.get("transB", 0):
        weight = replace(of_constant(weight.constant.T), stored=_turned(weight.stored))
    turned = bool(call.get("transA", 0))
    outcome = product(replace(uniform(call.input(0)), shape=None) if turned else call.input(0), weight, 2)
    bias = call.optional(2)
    if bias is None:
        return outcome
    from nvc_check.exporter.certificate.rules.arithmetic import ARITHMETIC

    (total,) = outcome.results
    added = ARITHMETIC["Add"](
        Call("Add", {}, (replace(total, shape=call.shapes[0] or (None, None)), bias), call.shapes)
    )
    steps = float(((total.reach + uniform(bias).reach) / np.exp2(added.results[0].exponent)).max())
    return replace(outcome, results=added.results, bound=max(outcome.bound, steps))


PRODUCTS: dict[str, Rule] = {"Gemm": _gemm, "MatMul": _matmul}
