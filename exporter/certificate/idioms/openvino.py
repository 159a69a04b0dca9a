"""Rewrites of OpenVINO 2026.4 that change what neighbouring nodes compute, against A5; found by tests/property/fuzz.py.

Most belong to its low-precision passes, which run where anything in a graph is quantized.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np
import onnx

from nvc_check.exporter.certificate.abstract import Abstract
from nvc_check.exporter.certificate.idioms.kernels import EXCHANGED, EXCHANGED_STEPS, Topology
from nvc_check.exporter.certificate.targets import Hazard
from nvc_check.exporter.certificate.terms import Call
from nvc_check.models.grid import FLOAT32_EXACT, finest_exponents, is_power_of_two

Values = Mapping[str, Abstract | None]
OPENVINO: Final = ("any", "openvino")
AFFINE: Final = frozenset({"Add", "Sub", "Mul", "Div"})
PASSED: Final = EXCHANGED | AFFINE | {"Clip"}
ROUNDED: Final = frozenset({"Clip", "DequantizeLinear", "Identity", "QuantizeLinear", "Relu"})
CARRIED: Final = AFFINE | {"Clip", "DequantizeLinear", "Pad", "QuantizeLinear", "Relu"}
ELEMENTWISE: Final = {"Abs", "Ceil", "Floor", "LeakyRelu", "Max", "Min", "Neg", "PRelu", "Round", "Where"}


def openvino_hazards(node: onnx.NodeProto, call: Call, topology: Topology, values: Values) -> list[Hazard]:
    """What OpenVINO would make of `node` and those before it."""
    if node.op_type == "Clip":
        return _clipped_off_grid(node, call, topology, values)
    if node.op_type == "QuantizeLinear":
        return [
            *_largest_rounded(node, topology, values),
            *_tie_behind_sum(node, topology, values),
            *_negative_factor(node, topology, values),
        ]
    if node.op_type in AFFINE:
        return [
            *_taken_into_dequantize(node, topology, values),
            *_scaled_and_shifted(node, topology, values),
            *_scaled_and_added(node, topology, values),
            *_scaled_in_convolution(node, topology, values),
        ]
    if node.op_type == "Conv":
        return [
            *_points(node, call, topology, values),
            *_joined_with_zero_point(node, call, topology, values),
            *_exchanged_channels(node, topology, values),
        ]
    return []


def _behind(
    name: str, topology: Topology, values: Values, passed: Collection[str] = PASSED
) -> Iterator[onnx.NodeProto]:
    """The nodes before a tensor, nearest first, as far as they move elements, shift, scale or clip by constants."""
    for _ in range(EXCHANGED_STEPS):
        node = topology.producer.get(name)
        variable = [] if node is None else [n for n in node.input if n and not _constant(values.get(n))]
        if node is None or len(variable) != 1 or node.op_type not in passed:
            return
        yield node
        name = variable[0]


def _clipped_off_grid(node: onnx.NodeProto, call: Call, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO takes a Clip into the FakeQuantize before it, and rounds on a grid of the Clip's limits.

    Also past a Concat, and past an Add of a constant, which it takes in: then the limits are refused wherever they are.
    """
    name, shifted = topology.source(node.input[0]), False
    for _ in range(EXCHANGED_STEPS):
        step = topology.producer.get(name)
        variable = [] if step is None else [n for n in step.input if not _constant(values.get(n))]
        if step is None or step.op_type not in ("Add", "Sub", "Mul", "Div") or len(variable) != 1:
            break
        shifted = shifted or step.op_type in ("Add", "Sub")
        name = topology.source(variable[0])
    joined = topology.producer.get(name)
    parts = joined.input if joined is not None and joined.op_type == "Concat" else [name]
    if all(topology.origin(part) != "DequantizeLinear" for part in parts):
        return []
    finest = min((v.exponent.min() for v in call.inputs[1:] if v is not None), default=np.inf)
    if finest >= call.input(0).exponent.max() and not shifted:
        return []
    cure = "limits that are multiples of the scale, or the Clip in front of QuantizeLinear"
    return [
        Hazard(OPENVINO, "limits off the grid of the dequantized input: OpenVINO rounds on another grid then", cure)
    ]


def _scaled_and_shifted(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO computes x * m - b as (x - b / m) * m, b / m rounded, if anything in the graph is quantized."""
    quantized = any(item.op_type == "QuantizeLinear" for item in topology.producer.values())
    if not quantized or node.op_type not in ("Add", "Sub"):
        return []
    for step in _behind(node.output[0], topology, values):
        factors = [values.get(n) for n in step.input if _constant(values.get(n))]
        if step.op_type in ("Mul", "Div") and not all(_powers_of_two(value) for value in factors):
            cure = "a factor that is a power of two, the shift in front of the factor, or a Floor between them"
            reason = f"a shift behind {step.op_type} {step.name}: OpenVINO shifts first, by a quotient"
            return [Hazard(OPENVINO, reason, cure)]
    return []


def _scaled_and_added(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO adds dequantized x * m and y * n as (x + y * (n / m)) * m, n / m rounded."""
    if node.op_type not in ("Add", "Sub") or any(_constant(values.get(n)) for n in node.input):
        return []
    for name in node.input:
        steps = list(_behind(name, topology, values))
        factors = [values.get(n) for s in steps if s.op_type in ("Mul", "Div") for n in s.input]
        scaled = not all(_powers_of_two(value) for value in factors if _constant(value))
        if scaled and topology.origin(_start(steps, values)) == "DequantizeLinear":
            cure = "factors that are powers of two, or a Floor between factor and sum"
            reason = f"a sum of dequantized values, one times a factor behind {name}: OpenVINO divides the factors"
            return [Hazard(OPENVINO, reason, cure)]
    return []


def _scaled_in_convolution(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO takes a factor behind a quantized Conv into the Conv: one factor k as 1 / (1 / k), and one for each
    channel wrong where groups have several channels. Right: one power of two, or factors for channels without groups.
    """
    factors = [v for n in node.input if (v := values.get(n)) is not None and v.constant is not None]
    if node.op_type not in ("Mul", "Div") or not factors:
        return []
    steps = list(_behind(node.output[0], topology, values, ROUNDED | {"Mul", "Div"}))
    source = topology.producer.get(_start(steps, values)) if steps else None
    if source is None or source.op_type != "Conv" or all(step.op_type != "DequantizeLinear" for step in steps):
        return []
    weight = values.get(source.input[1])
    groups = next((attribute.i for attribute in source.attribute if attribute.name == "group"), 1)
    apart = weight is not None and weight.shape is not None and weight.shape[1] == 1
    one = factors[0].constant is not None and np.size(factors[0].constant) == 1
    if _powers_of_two(factors[0]) if one else groups == 1 or apart:
        return []
    reason = f"a factor behind {source.name} of integer weights: OpenVINO takes it into the Conv, wrong"
    return [Hazard(OPENVINO, reason, "a Floor between them")]


def _tie_behind_sum(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO sends ties to odd integers where it rounds a scaled sum of two dequantized tensors."""
    x, scale = values.get(node.input[0]), values.get(node.input[1])
    if x is None or scale is None or scale.constant is None or (x.exponent >= np.log2(np.min(scale.constant))).all():
        return []  # integers have no ties
    steps = list(_behind(node.input[0], topology, values))
    total = topology.producer.get(_start(steps, values) if steps else node.input[0])
    if total is None or total.op_type not in ("Add", "Sub"):
        return []
    for name in total.input:
        before = list(_behind(name, topology, values))
        if topology.origin(_start(before, values) if before else name) != "DequantizeLinear":
            return []
    reason = f"ties behind {total.name} of dequantized tensors: OpenVINO may send them to odd integers"
    return [Hazard(OPENVINO, reason, "Floor of the sum and a half in front of QuantizeLinear")]


def _start(steps: list[onnx.NodeProto], values: Values) -> str:
    """What the first of the nodes that _behind gave reads."""
    return next(str(n) for n in steps[-1].input if n and not _constant(values.get(n)))


def _largest_rounded(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO saturates a ReduceMax that it rounds in the same kernel at half of the range, or worse.

    Whatever works element by element between them is taken into that kernel too.
    """
    names = [node.input[0]]
    for _ in range(EXCHANGED_STEPS):
        steps = [step for name in names if (step := topology.producer.get(name)) is not None]
        for step in steps:
            if step.op_type in ("ReduceMax", "ReduceMin"):
                cure = f"QuantizeLinear in front of {step.op_type}: rounding keeps the order"
                reason = f"{step.op_type} {step.name} before rounding: OpenVINO computes it wrong"
                return [Hazard(OPENVINO, reason, cure)]
        passed = [step for step in steps if step.op_type in PASSED | ELEMENTWISE]
        names = list(dict.fromkeys(n for step in passed for n in step.input if n and not _constant(values.get(n))))
    return []


def _taken_into_dequantize(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO takes shifts and factors into the FakeQuantize before them.

    It computes lowest + n * step then, so the lowest and highest value that the type has must fit 24 bits, whichever
    of them occur.
    """
    steps = list(_behind(node.output[0], topology, values))
    if not steps:
        return []
    source = topology.producer.get(_start(steps, values))
    if source is None or source.op_type != "DequantizeLinear":
        return []
    stored, scale = values.get(source.input[0]), values.get(source.input[1])
    zero = values.get(source.input[2]) if len(source.input) > 2 else None
    if stored is None or scale is None or scale.constant is None or stored.dtype not in ("int8", "uint8"):
        return []
    limits = np.iinfo(np.dtype(stored.dtype))
    shift = np.zeros(1) if zero is None or zero.constant is None else np.asarray(zero.constant, np.float64)
    step_size = np.asarray(scale.constant, np.float64)
    ends = np.stack([np.ravel((limit - shift) * step_size) for limit in (limits.min, limits.max)])
    grid = float(np.log2(step_size).min())
    for step in steps[::-1]:
        constants = [np.asarray(v.constant, np.float64) for n in step.input if (v := values.get(n)) and _constant(v)]
        if step.op_type not in AFFINE or not constants:
            continue
        by = constants[0]
        exponent = float(finest_exponents(by.reshape(1, -1)).min())
        if step.op_type in ("Add", "Sub"):
            ends, grid = ends + np.array([[-1], [1]]) * np.abs(by).max(), min(grid, exponent)
        elif step.op_type == "Mul":
            ends, grid = ends * np.abs(by).max(), grid + exponent
        else:
            ends, grid = ends / np.abs(by).min(), grid - float(np.log2(np.abs(by)).max())
        if np.abs(ends).max() / 2.0**grid >= FLOAT32_EXACT:
            reason = f"{step.op_type} of what {source.name} gives: OpenVINO starts from {stored.dtype}'s lowest value"
            return [Hazard(OPENVINO, f"{reason}, beyond 24 bits", "uint8 with zero point 0, or a coarser constant")]
    return []


def _points(node: onnx.NodeProto, call: Call, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO mixes up the axes around a 1x1 Conv of integer weights: with strides, or behind a Transpose."""
    weight = call.input(1)
    if weight.stored is None or weight.constant is None or np.prod(weight.constant.shape[2:]) > 1:
        return []
    if max(call.get("strides", [1])) > 1:
        cure = "a Slice with steps in front of a 1x1 Conv of stride 1"
        return [Hazard(OPENVINO, "a 1x1 Conv of integer weights with strides: OpenVINO mixes up its axes", cure)]
    for step in _behind(node.input[0], topology, values, PASSED | {"QuantizeLinear", "DequantizeLinear"}):
        if step.op_type == "Transpose":
            reason = f"a 1x1 Conv of integer weights behind {step.name}: OpenVINO mixes up its axes"
            return [Hazard(OPENVINO, reason, "the Transpose behind the Conv, or weights as float32")]
    return []


def _joined_with_zero_point(node: onnx.NodeProto, call: Call, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO computes a Conv of integer weights wrong on an int8 tensor with a zero point that was a Concat before.

    Seen with one part from a MatMul; uint8 with the same zero point is right.
    """
    source = topology.producer.get(node.input[0])
    if call.input(1).stored is None or source is None or source.op_type != "DequantizeLinear" or len(source.input) < 3:
        return []
    stored, zero = values.get(source.input[0]), values.get(source.input[2])
    quantize = topology.producer.get(source.input[0])
    plain = zero is None or zero.constant is None or not np.any(zero.constant)
    if plain or stored is None or stored.dtype != "int8" or quantize is None or quantize.op_type != "QuantizeLinear":
        return []
    steps = list(_behind(quantize.input[0], topology, values))
    joined = topology.producer.get(_start(steps, values) if steps else quantize.input[0])
    if joined is None or joined.op_type != "Concat":
        return []
    reason = f"int8 with a zero point behind {joined.name}: OpenVINO computes the Conv of integer weights wrong"
    return [Hazard(OPENVINO, reason, "uint8 with zero point 128, or QuantizeLinear in front of the Concat")]


def _negative_factor(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO takes factors into the FakeQuantize behind, negative ones wrong."""
    for step in _behind(node.input[0], topology, values):
        factors = [v for n in step.input if (v := values.get(n)) is not None and _constant(v)]
        if step.op_type in ("Mul", "Div") and any(np.min(np.asarray(v.constant)) < 0 for v in factors):
            reason = f"a negative factor, {step.name}, in front of QuantizeLinear: OpenVINO takes it in, wrong"
            return [Hazard(OPENVINO, reason, "a Floor between them, or Sub")]
    return []


def _exchanged_channels(node: onnx.NodeProto, topology: Topology, values: Values) -> list[Hazard]:
    """OpenVINO moves a Gather that exchanges channels into the weights of the Conv behind, the wrong way round."""
    for step in _behind(node.input[0], topology, values, CARRIED | {"Gather"}):
        axis = next((attribute.i for attribute in step.attribute if attribute.name == "axis"), 0)
        index = values.get(step.input[1]) if step.op_type == "Gather" and axis == 1 else None
        if index is None or index.constant is None:
            continue
        read = np.ravel(np.asarray(index.constant))
        if (
            read.min() >= 0
            and len(np.unique(read)) == len(read) == read.max() + 1
            and (read[read] != np.arange(len(read))).any()
        ):
            reason = f"channels exchanged by {step.name} in front of a Conv: OpenVINO exchanges the weights backwards"
            return [Hazard(OPENVINO, reason, "Slices and a Concat in the place of the Gather, or other weights")]
    return []


def _constant(value: Abstract | None) -> bool:
    return value is not None and value.constant is not None


def _powers_of_two(value: Abstract | None) -> bool:
    return value is not None and value.constant is not None and is_power_of_two(np.abs(np.asarray(value.constant)))
