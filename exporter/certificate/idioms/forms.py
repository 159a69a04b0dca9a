"""The form of a node and of each of its edges: what an optimizer can see of them, and nothing that it cannot.

A form is a text, so that a list of forms can be read, compared and written down. Of a node: operator, attributes by
class (a kernel of one tap or of more, padding or none, a whole or another axis), each input as computed or as a class
of constants (sign, powers of two, integers, one or many), element types, rank. Of an edge, the seam: producer,
consumer, input, whether others read it too where that matters, and whether anything in the graph is quantized, which is
when low-precision passes run. Sizes, channel counts and values within a class are left out: the certificate bounds what
they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper

from nvc_check.exporter.certificate.abstract import Abstract
from nvc_check.exporter.certificate.idioms.kernels import Topology

Values = Mapping[str, Abstract | None]
KERNELS: Final = frozenset({"Conv", "ConvInteger", "ConvTranspose", "QLinearConv"})
WEIGHTED: Final = KERNELS | {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"}
QUANTIZERS: Final = frozenset({"DequantizeLinear", "QuantizeLinear"})
ALIKE: Final = frozenset({"Concat", "Max", "Min"})  # any number of inputs, all of them treated alike
SUMS: Final = frozenset({"Add", "Sub"})
# what optimizers move across other operators, which they do for all readers or for none
MOVED_ACROSS: Final = frozenset({"DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose"})
FEW: Final = 8  # elements of an attribute that are told apart


def node_form(node: onnx.NodeProto, values: Values) -> str:
    """Everything of the node alone."""
    return f"{brief(node, values)} {_attributes(node, values)}-> {_types(node.output, values)}{_rank(node, values)}"


def seam_forms(node: onnx.NodeProto, values: Values, topology: Topology, quantized: bool) -> list[str]:
    """One for each input that another node makes."""
    context = "quantized" if quantized else "float"
    found = []
    for position, name in enumerate(node.input):
        producer = topology.producer.get(name)
        if producer is not None:
            alone = "" if producer.op_type not in MOVED_ACROSS else " alone" if topology.reader(name) else " shared"
            place = "any" if node.op_type in ALIKE | SUMS | {"Mul"} else position
            found.append(f"{brief(producer, values)} > {place}{alone} > {brief(node, values)} [{context}]")
    return list(dict.fromkeys(found))


def brief(node: onnx.NodeProto, values: Values) -> str:
    """The operator with its inputs: computed, or a class of constants."""
    first = values.get(node.output[0]) if node.output else None
    if first is not None and first.dtype == "int64":
        return f"sizes:{node.op_type}"
    inputs = [_input(node, position, values.get(name) if name else None) for position, name in enumerate(node.input)]
    if node.op_type in ALIKE:
        inputs = [*dict.fromkeys(sorted(inputs)), "..."]
    while inputs[-2:] == ["sizes", "sizes"]:
        inputs.pop()
    return f"{node.op_type}{_kernel(node, values)}({', '.join(inputs)})"


def _input(node: onnx.NodeProto, position: int, value: Abstract | None) -> str:
    if value is None:
        return "none"
    if value.constant is None:
        return value.dtype
    if value.dtype == "int64":
        return "sizes"
    if node.op_type in SUMS:
        return "constant"
    if node.op_type in WEIGHTED and position:
        return "weights" if position == 1 else "constant"
    return f"{value.dtype} {'one' if value.constant.size == 1 else 'many'}{_kind(node.op_type, position, value)}"


def _kind(op_type: str, position: int, value: Abstract) -> str:
    """What is told apart of constants: factors and scales, zero points, limits, what a Pad fills in."""
    numbers = np.asarray(value.constant, np.float64).reshape(-1)
    if op_type in ("Mul", "Div") or (op_type in QUANTIZERS and position == 1):
        magnitudes = np.abs(numbers[numbers != 0])
        kind = "powers" if (np.frexp(magnitudes)[0] == 0.5).all() else "numbers"
        return f" {_sign(numbers)} {kind}"
    if op_type == "Clip":
        return " integers" if (numbers == np.rint(numbers)).all() else " numbers"
    if op_type in QUANTIZERS and position == 2:
        return f" {int(numbers[0])}" if numbers.size and (numbers == numbers[0]).all() else " several"
    if op_type == "Pad" and position == 2:
        return " zero" if not numbers.any() else " other"
    return ""


def _sign(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    if not numbers.any():
        return "zero"
    return "positive" if (numbers > 0).all() else "negative" if (numbers < 0).all() else "signed"


def _kernel(node: onnx.NodeProto, values: Values) -> str:
    """Of a convolution: groups; whether it has taps beside the one, strides."""
    if node.op_type not in KERNELS:
        return ""
    weight = values.get(node.input[3 if node.op_type == "QLinearConv" else 1])
    sizes = () if weight is None or weight.shape is None else weight.shape[2:]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    point = "point" if all(size == 1 for size in sizes) else "taps"
    groups = "" if attributes.get("group", 1) == 1 else " groups"
    step = "" if set(attributes.get("strides", ())) <= {1} else " strides"
    return f"{len(sizes)}d {point}{step}{groups}"


def _attributes(node: onnx.NodeProto, values: Values) -> str:
    parts = []
    for attribute in sorted(node.attribute, key=lambda item: item.name):
        value = helper.get_attribute_value(attribute)
        if attribute.name in ("group", "strides", "kernel_shape", "value", "alpha", "axes"):
            continue  # told by the kernel, by the constants, or by the rank
        if attribute.name == "pads":
            half = len(value) // 2
            said = "none" if not any(value) else "even" if value[:half] == value[half:] else "uneven"
        elif attribute.name == "dilations":
            said = "none" if set(value) <= {1} else "some"
        elif attribute.name == "output_padding":
            said = "some" if any(value) else "none"
        elif attribute.name == "axis":
            said = _axis(int(value), values.get(node.input[0]) if node.input else None)
        else:
            said = _text(value)
        if said != "none":
            parts.append(f"{attribute.name}={said}")
    return f"{{{' '.join(parts)}}} " if parts else ""


def _axis(axis: int, value: Abstract | None) -> str:
    rank = None if value is None or value.shape is None else len(value.shape)
    axis = axis + rank if axis < 0 and rank is not None else axis
    return "last" if rank is not None and axis == rank - 1 and axis > 1 else str(axis)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Sequence):
        return ",".join(str(item) for item in list(value)[:FEW])
    return str(value)


def _types(names: Sequence[str], values: Values) -> str:
    return ", ".join(value.dtype if (value := values.get(name)) is not None else "unknown" for name in names)


def _rank(node: onnx.NodeProto, values: Values) -> str:
    value = values.get(node.output[0]) if node.output else None
    return "" if value is None or value.shape is None else f" rank {len(value.shape)}"
