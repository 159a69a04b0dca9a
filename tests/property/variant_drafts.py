"""Small float ONNX graphs, written operator by operator: what the attribute variants are drafted with."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Arrays = dict[str, NDArray[Any]]
Shape = Sequence[int | str]
SIDES = {"n": 1, "c": 4, "h": 8, "w": 10}  # of the calibration
OTHER_SIDES = {"n": 1, "c": 4, "h": 11, "w": 7}
WIDTH = 4  # channels of most tensors
TYPES: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}


@dataclass(frozen=True)
class Variant:
    """One graph.

    Attributes:
        kind: the family of operators.
        what: the attribute or form that is varied.
        listed: the exporter is said to have it: a refusal is shown apart.
    """

    kind: str
    what: str
    model: onnx.ModelProto
    listed: bool

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.kind} {self.what}".encode()))

    @property
    def has_other_sizes(self) -> bool:
        return any(side.dim_param for value in self._inputs() for side in value.type.tensor_type.shape.dim)

    def example(self, rng: np.random.Generator, sides: Mapping[str, int] = SIDES) -> Arrays:
        """Inputs by name, in their types: normal, standard deviation 2; integers where the type is one."""
        return {value.name: _values(rng, value.type.tensor_type, sides) for value in self._inputs()}

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        weights = {tensor.name for tensor in self.model.graph.initializer}
        return [value for value in self.model.graph.input if value.name not in weights]


def _values(rng: np.random.Generator, typed: onnx.TypeProto.Tensor, sides: Mapping[str, int]) -> NDArray[Any]:
    shape = [side.dim_value or sides[side.dim_param] for side in typed.shape.dim]
    dtype = TYPES.get(typed.elem_type)
    values = rng.normal(0, 2, shape)
    if dtype is None:
        return np.rint(2 * values).astype(helper.tensor_dtype_to_np_dtype(typed.elem_type))
    return values.astype(dtype)


class Draft:
    """A graph on the way. Constants may be given as arrays wherever a value is read; values are known by name."""

    def __init__(self, kind: str, what: str, opset: int = 18) -> None:
        self.kind, self.what, self.opset = kind, what, opset
        self.rng = np.random.default_rng(zlib.crc32(what.encode()))
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.constants: list[onnx.TensorProto] = []

    def input(self, width: int = WIDTH, shape: Shape | None = None, name: str = "", of: int = TensorProto.FLOAT) -> str:
        """By default (1, width, h, w) of symbolic sides."""
        name = name or f"latent_{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, of, (1, width, "h", "w") if shape is None else shape))
        return name

    def constant(self, values: Any, name: str = "", dtype: Any = np.float32) -> str:
        array = np.asarray(values)
        array = array.astype(dtype) if array.dtype.kind == "f" else array
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int) -> NDArray[np.float32]:
        """Normal, of the size that leaves a layer's values as large as they were."""
        fed = max(1, int(np.prod(shape[1:])))
        return self.rng.normal(0, fed**-0.5, shape).astype(np.float32)

    def vector(self, width: int = WIDTH, low: float = 0.5, high: float = 1.5) -> NDArray[np.float32]:
        return self.rng.uniform(low, high, width).astype(np.float32)

    def op(
        self, op_type: str, *inputs: Any, outputs: Sequence[str] | None = None, name: str = "", **attributes: Any
    ) -> str:
        """The name of the first output."""
        place = len(self.nodes)
        given = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        outputs = [f"value_{place}"] if outputs is None else list(outputs)
        name = name or f"{op_type.lower()}_{place}"
        self.nodes.append(helper.make_node(op_type, given, outputs, name, **attributes))
        return outputs[0]

    def conv(
        self,
        x: str,
        before: int = WIDTH,
        after: int = WIDTH,
        kernel: int | tuple[int, int] = 3,
        bias: bool = True,
        op_type: str = "Conv",
        declared: bool = True,
        **attributes: Any,
    ) -> str:
        """A layer of random weights. By default no padding at all, as ONNX has it."""
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        group = attributes.get("group", 1)
        transposed = op_type == "ConvTranspose"
        shape = (before, after // group, *sides) if transposed else (after, before // group, *sides)
        arrays = [self.weight(*shape), *([self.rng.normal(0, 0.3, after).astype(np.float32)] if bias else [])]
        if declared:
            attributes["kernel_shape"] = sides
        return self.op(op_type, x, *arrays, **attributes)

    def layer(self, x: str, before: int = WIDTH, after: int = WIDTH) -> str:
        """An ordinary one, to stand in front of or behind what is varied: 3x3, the same size."""
        return self.conv(x, before, after, pads=(1, 1, 1, 1))

    def done(self, *outputs: str, listed: bool = False, ir_version: int = 0, imports: Sequence[Any] = ()) -> Variant:
        """Output shapes are ONNX's own inference, as exporters write them."""
        opsets = [helper.make_opsetid("", self.opset), *imports]
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "variant", self.inputs, values, self.constants)
        version = ir_version or max(4, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=version)
        del model.graph.output[:]
        model.graph.output.extend(_typed(model, outputs))
        return Variant(self.kind, self.what, model, listed)


def _typed(model: onnx.ModelProto, outputs: Sequence[str]) -> list[onnx.ValueInfoProto]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value for value in (*graph.value_info, *graph.input)}
    made = []
    for name in outputs:
        value = known.get(name)
        if value is not None and value.type.tensor_type.HasField("shape"):
            made.append(value)
        else:
            of = value.type.tensor_type.elem_type if value is not None else 0
            made.append(helper.make_tensor_value_info(name, of or TensorProto.FLOAT, [None] * 4))
    return made
