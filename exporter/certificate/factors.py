"""Constants that a runtime may multiply with one another before it meets the data (A5).

Factors that are harmless one by one overflow or underflow once they are folded into one: x * 2^100 * 2^100 * 2^-200,
weights of 2^-80 behind a scale of 2^-80. Every tensor therefore carries the octaves that products of the constants
behind it can reach, until a rounding stands between: nothing is folded across that.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nvc_check.exporter.certificate.abstract import Abstract
from nvc_check.exporter.certificate.terms import Call, Refused

LOWEST, HIGHEST = -126.0, 127.0  # octaves of normal float32 numbers
ROUNDED: Final = frozenset({"Ceil", "Floor", "QuantizeLinear", "Round"})
PRODUCTS: Final = frozenset({"Conv", "ConvTranspose", "Div", "Gemm", "MatMul", "Mul", "PRelu"})
SUMS: Final = frozenset({"Add", "Sub"})
QUANTIZERS: Final = frozenset({"DequantizeLinear", "QuantizeLinear"})
Octaves = tuple[float, float]


def factors_of(call: Call) -> Octaves:
    """Lowest and highest octave of the products of constants behind the outputs of a node; (0, 0) behind a rounding.

    Raises:
        Refused: a product of constants that is no normal float32 number.
    """
    computed = [v.factors for v in call.inputs if v is not None and v.constant is None]
    if call.op_type in PRODUCTS:
        low, high = sum(v[0] for v in computed), sum(v[1] for v in computed)
    else:
        low, high = min((v[0] for v in computed), default=0.0), max((v[1] for v in computed), default=0.0)
    for position, value in enumerate(call.inputs):
        if value is None or value.constant is None or value.dtype != "float32":
            continue
        least, most = _octaves(value)
        if _added(call.op_type, position):
            low, high = min(low, least), max(high, most)
        elif call.op_type in PRODUCTS or (call.op_type in QUANTIZERS and position == 1):
            divides = call.op_type in ("Div", "QuantizeLinear")
            least, most = (-most, -least) if divides else (least, most)
            low, high = low + min(least, 0.0), high + max(most, 0.0)
    if computed and (low < LOWEST or high > HIGHEST):
        raise Refused(
            f"products of the constants behind it span 2^{low:.0f} to 2^{high:.0f},"
            " which is no float32 once they are folded into one",
            "factors nearer to 1, or a Floor between them",
        )
    return (0.0, 0.0) if call.op_type in ROUNDED else (low, high)


def _added(op_type: str, position: int) -> bool:
    """Whether an input is a summand: it is multiplied by what comes behind, not by what came before."""
    return op_type in SUMS or (op_type in ("Conv", "ConvTranspose", "Gemm") and position == 2)


def _octaves(value: Abstract) -> Octaves:
    magnitudes = np.abs(np.asarray(value.constant, np.float64).reshape(-1))
    magnitudes = magnitudes[magnitudes > 0]
    if not magnitudes.size:
        return 0.0, 0.0
    return float(np.floor(np.log2(magnitudes.min()))), float(np.ceil(np.log2(magnitudes.max())))
