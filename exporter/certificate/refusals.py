"""What to say of operators that have no exact form."""

from __future__ import annotations

from nvc_check.exporter.certificate.terms import Refused

TABLE = "a look-up table of integers (Gather) over a quantized input"
CURES = {
    **dict.fromkeys(("Acos", "Asin", "Atan", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Tanh"), TABLE),
    **dict.fromkeys(("Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu", "Swish"), TABLE),
    **dict.fromkeys(("Erf", "Exp", "Log", "LogSoftmax", "Pow", "Reciprocal", "Sigmoid", "Softmax"), TABLE),
    **dict.fromkeys(("Softplus", "Softsign", "Sqrt"), TABLE),
    "AveragePool": "ReduceSum over shifted Slices, then Mul by a power of two",
    "BatchNormalization": "fold it into the convolution before quantization",
    "GridSample": "Gather of the four neighbours, weights on a grid, one rounding",
    "InstanceNormalization": "another normalization: its divisor depends on the data",
    "LayerNormalization": "another normalization: its divisor depends on the data",
}
FLOW = {"If", "Loop", "Scan", "SequenceMap"}
SHIFTS = {"BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"}


SAYINGS = {
    **{name: (f"{name} is implementation-defined", cure) for name, cure in CURES.items()},
    **dict.fromkeys(FLOW, ("control flow has no rule here", "a graph per branch, unrolled loops")),
    **dict.fromkeys(SHIFTS, ("OpenVINO computes shifts and bit masks in float32", "Mul by 2^-k, then Floor")),
    "GridSample": (
        "GridSample rounds its coordinates differently on each runtime, unless height and width are powers of two,"
        " and no standard says how it interpolates",
        CURES["GridSample"],
    ),
}


def refusal(op_type: str, domain: str) -> Refused:
    """Why an operator without a rule is not exact."""
    if domain not in ("", "ai.onnx"):
        if op_type.startswith(("Q", "Dynamic")):
            reason = f"{domain}.{op_type} requantizes by a rule of its own"
            return Refused(reason, "QuantizeLinear and DequantizeLinear with power-of-two scales")
        return Refused(f"{domain}.{op_type} is no standard operator", "standard ONNX operators")
    return Refused(*SAYINGS.get(op_type, (f"{op_type} has no exact form here", f"operators in use, or {TABLE}")))
