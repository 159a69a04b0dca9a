"""Which attributes each operator may have, and with which values its rule holds. One that is not here has no rule.

Left out are those that runtimes read in more than one way: auto_pad, output_shape, ceil_mode, negative pads, blocks of
quantization, saturation of float8. Operators not listed take no attribute at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from nvc_check.exporter.certificate.terms import Call, Refused

Holds = Callable[[Any, Call], bool]


def _any(value: Any, call: Call) -> bool:
    return True


def _only(*allowed: Any) -> Holds:
    return lambda value, call: (value.decode() if isinstance(value, bytes) else value) in allowed


def _from(lowest: int) -> Holds:
    return lambda value, call: all(item >= lowest for item in value)


def _kernel_shape(value: Any, call: Call) -> bool:
    """That of the weights, which are the input that the rules read."""
    weight = call.optional(3 if call.op_type == "QLinearConv" else 1)
    return weight is not None and weight.shape is not None and tuple(value) == tuple(weight.shape[2:])


def _output_padding(value: Any, call: Call) -> bool:
    strides = call.get("strides", [1] * len(value))
    return len(strides) == len(value) and all(0 <= more < step for more, step in zip(value, strides, strict=True))


def _pads_of_pool(value: Any, call: Call) -> bool:
    sizes = list(call.get("kernel_shape", ()))
    return len(value) == 2 * len(sizes) and all(0 <= pad < size for pad, size in zip(value, sizes * 2, strict=True))


_CONVOLUTION: Final[Mapping[str, Holds]] = {
    "auto_pad": _only("NOTSET"),
    "dilations": _from(1),
    "group": lambda value, call: value >= 1,
    "kernel_shape": _kernel_shape,
    "pads": _from(0),
    "strides": _from(1),
}
_REDUCTION: Final[Mapping[str, Holds]] = {"axes": _any, "keepdims": _only(0, 1), "noop_with_empty_axes": _only(0, 1)}
ATTRIBUTES: Final[Mapping[str, Mapping[str, Holds]]] = {
    "Cast": {"to": _any, "saturate": _only(1)},
    "Concat": {"axis": _any},
    "Constant": dict.fromkeys(("value", "value_float", "value_floats", "value_int", "value_ints"), _any),
    "ConstantOfShape": {"value": _any},
    "Conv": _CONVOLUTION,
    "ConvInteger": _CONVOLUTION,
    "ConvTranspose": {**_CONVOLUTION, "output_padding": _output_padding},
    "CumSum": {"exclusive": _only(0, 1), "reverse": _only(0, 1)},
    "DepthToSpace": {"blocksize": _any, "mode": _only("DCR", "CRD")},
    "DequantizeLinear": {"axis": _any, "block_size": _only(0), "output_dtype": _only(0, 1)},
    "Flatten": {"axis": _any},
    "Gather": {"axis": _any},
    "GatherElements": {"axis": _any},
    "GatherND": {"batch_dims": _only(0)},
    "Gemm": {"alpha": _any, "beta": _any, "transA": _any, "transB": _only(0, 1)},
    "LeakyRelu": {"alpha": _any},
    "MaxPool": {
        "auto_pad": _only("NOTSET"),
        "ceil_mode": _only(0),
        "dilations": lambda value, call: set(value) == {1},
        "kernel_shape": _from(1),
        "pads": _pads_of_pool,
        "storage_order": _only(0),
        "strides": _from(1),
    },
    "Mod": {"fmod": _only(0)},
    "Pad": {"mode": _only("constant", "edge", "reflect")},
    "QLinearConv": _CONVOLUTION,
    "QuantizeLinear": {
        "axis": _any,
        "block_size": _only(0),
        "output_dtype": _only(0),
        "precision": _only(0),
        "saturate": _only(1),
    },
    "ReduceMax": _REDUCTION,
    "ReduceMean": _REDUCTION,
    "ReduceMin": _REDUCTION,
    "ReduceSum": _REDUCTION,
    "Reshape": {"allowzero": _only(0)},
    "Resize": {
        "antialias": _only(0),
        "coordinate_transformation_mode": _any,
        "cubic_coeff_a": _any,  # of the cubic mode, which has no rule
        "exclude_outside": _only(0),
        "extrapolation_value": _any,  # of tf_crop_and_resize, which has no rule
        "keep_aspect_ratio_policy": _only("stretch"),
        "mode": _any,
        "nearest_mode": _any,
    },
    "Shape": {"start": _any, "end": _any},
    "SpaceToDepth": {"blocksize": _any},
    "Split": {"axis": _any, "num_outputs": _any, "split": _any},
    "Squeeze": {"axes": _any},
    "Transpose": {"perm": _any},
    "Unsqueeze": {"axes": _any},
}


def check_attributes(call: Call) -> None:
    """Raises Refused for an attribute, or a value of one, that no rule reads."""
    known = ATTRIBUTES.get(call.op_type, {})
    for name, value in call.attributes.items():
        if name not in known:
            raise Refused(f"{call.op_type} with {name} has no rule", f"leave {name} out, or write what it means")
        if not known[name](value, call):
            shown = value.decode() if isinstance(value, bytes) else value
            raise Refused(f"{call.op_type} with {name} = {shown} has no rule", _CURES.get(name, "write it otherwise"))


_CURES: Final = {
    "auto_pad": "auto_pad NOTSET and explicit pads",
    "ceil_mode": "ceil_mode 0, and a Pad of what is missing",
    "pads": "pads from 0 on, and a Slice of what is too much",
    "block_size": "one scale per tensor or per channel",
}
