"""The certificate's rule for Conv and ConvTranspose, per output channel and stride phase with the real weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_check.exporter.abstract import Abstract, wide
from nvc_check.exporter.certificate_rules import Attributes, Outcome, Refused
from nvc_check.models.grid import FLOAT32_EXACT, finest_exponents, pair_sums

OPERAND_BITS = 8  # what bf16 multipliers keep; float32 and TF32 keep more


def convolution(
    op_type: str, attributes: Attributes, x: Abstract, weight: Abstract, bias: Abstract | None = None
) -> Outcome:
    """Bound of every partial sum, operand bits, pair bound; Refused where one fails."""
    if weight.constant is None or (bias is not None and bias.constant is None):
        raise Refused("weights that are not constant have no bound")
    if attributes.get("group", 1) != 1 or set(attributes.get("dilations", [1])) != {1}:
        raise Refused("groups and dilations have no rule here")
    transposed = op_type == "ConvTranspose"
    kernel = np.moveaxis(weight.constant, 1, 0) if transposed else weight.constant  # (C_out, C_in, k, k)
    kernel = kernel.astype(np.float64)
    channels = kernel.shape[1]
    exponent, low, high = wide(x, channels)
    low, high = np.minimum(low, 0), np.maximum(high, 0)  # zero padding
    constants = np.zeros(kernel.shape[0]) if bias is None else bias.constant.astype(np.float64)  # type: ignore[union-attr]

    grid = _grids(kernel, exponent, constants)
    reach = np.maximum(-low, high)
    sums, lows, highs = [], [], []
    for part in _phases(kernel, attributes.get("strides", [1, 1]) if transposed else [1, 1]):
        positive, negative = np.maximum(part, 0).sum(axis=(2, 3)), np.minimum(part, 0).sum(axis=(2, 3))
        sums.append((positive - negative) @ reach + np.abs(constants))
        lows.append(positive @ low + negative @ high + constants)
        highs.append(positive @ high + negative @ low + constants)
    bounds = np.max(sums, axis=0) / np.exp2(grid)
    worst = int(np.argmax(bounds))
    if bounds[worst] >= FLOAT32_EXACT:
        raise Refused(
            f"output channel {worst}: sums reach {bounds[worst]:.0f}, not below 2^24 = {FLOAT32_EXACT};"
            " coarser weights or fewer input channels"
        )
    weight_bits = _weight_bits(kernel)
    if max(x.bits, weight_bits) > OPERAND_BITS:
        raise Refused(f"operands of {x.bits} and {weight_bits} bits, more than {OPERAND_BITS}: split them into limbs")
    _require_pair_bound(weight.stored, 1 if transposed else 0)
    assumptions = ["A1", "A3"]
    if not transposed and max(kernel.shape[2:]) > 1 and set(attributes.get("strides", [1])) == {1}:
        assumptions.append("A2")
    facts: dict[str, Any] = {
        "bound": float(bounds[worst]),
        "operand_bits": f"{x.bits}x{weight_bits}",
        "assumptions": tuple(sorted(assumptions)),
    }
    return Abstract(grid, np.min(lows, axis=0), np.max(highs, axis=0)), facts


def _grids(kernel: np.ndarray[Any, Any], exponent: np.ndarray[Any, Any], constants: np.ndarray[Any, Any]) -> Any:
    """(C_out,) the finest exponent among the products of each output channel and its bias."""
    steps = finest_exponents(kernel.reshape(*kernel.shape[:2], -1)) + exponent
    return np.minimum(steps.min(axis=1), finest_exponents(constants.reshape(-1, 1)))


def _phases(kernel: np.ndarray[Any, Any], stride: list[int]) -> list[np.ndarray[Any, Any]]:
    """The taps that meet in one output position, for each phase of a transposed convolution."""
    return [
        kernel[:, :, row :: stride[0], column :: stride[1]] for row in range(stride[0]) for column in range(stride[1])
    ]


def _weight_bits(kernel: np.ndarray[Any, Any]) -> int:
    """Significant bits of the weights of one output channel on their common grid, the most over the channels."""
    rows = kernel.reshape(len(kernel), -1)
    return int((np.abs(rows).max(axis=1) / np.exp2(finest_exponents(rows))).max()).bit_length()


def _require_pair_bound(stored: np.ndarray[Any, Any] | None, axis: int) -> None:
    """int8 weights run as VPMADDUBSW on x86 without VNNI, which saturates sums of two products at 16 bits."""
    if stored is None or stored.dtype != np.int8:
        return
    pairs = pair_sums(stored.astype(np.int64), axis)
    if pairs.max() > 128:
        raise Refused(
            f"output channel {int(pairs.argmax())}: the two largest int8 weights sum to {pairs.max()}, more than 128;"
            " store them as uint8 with zero point 128"
        )
