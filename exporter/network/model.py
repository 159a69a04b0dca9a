"""An ONNX file as users have it -> a float32 graph of one opset, batch 1, whose tensors' sizes are known.

Opsets 9 to 24 are read: what is below 18 is converted by ONNX's own converter. What is done is said in `notes`, and
`verify` (exporter/network/verify.py) compares the outcome with what ONNX Runtime makes of the file as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnx_ir.passes.common import InlinePass, LiftConstantsToInitializersPass, RemoveUnusedNodesPass
from onnxscript.optimizer import fold_constants

from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.text import document_text, is_text

OPSETS = range(9, 25)
DETACHED = 4  # the first IR version whose initializers need not be inputs
LARGEST = 1 << 24  # elements of a constant that is folded
CONVERTED = 18  # what older ones are converted to
HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
INPUTS, OUTPUTS = (TensorProto.FLOAT, TensorProto.INT32), (TensorProto.FLOAT,)
QUANTIZED = re.compile(r"Quantize|Dequantize|QLinear|MatMulInteger|ConvInteger|QGemm|QAttention")


@dataclass(frozen=True)
class Source:
    """A model as it was found, and as it is read.

    Attributes:
        original: as it is in the file, weights inside.
        prepared: float32, batch 1, opset 18 or above, without unused initializers among its inputs.
        sizes: input -> its shape with batch 1; None where any size goes.
        batch: the fixed batch of the original, 1 where it is open.
        notes: what was changed, for the user.
    """

    name: str
    original: onnx.ModelProto
    prepared: onnx.ModelProto
    sizes: dict[str, tuple[int | None, ...]]
    batch: int
    notes: tuple[str, ...]

    @property
    def open_size(self) -> bool:
        return any(None in shape for shape in self.sizes.values())


def read_source(file: Path) -> Source:
    """Raises UsageError where `file` is no whole ONNX model, ExportRefusedError where it cannot be prepared."""
    try:
        # by its path, as models may be larger than a protobuf; not where that is nothing that the checker could be told
        onnx.checker.check_model(file if is_text(str(file)) else onnx.load(file))
        graph = onnx.load(file, load_external_data=False).graph
        sparse = [item.values.name for item in graph.sparse_initializer]
        sparse += [node.output[0] for node in graph.node if any(a.HasField("sparse_tensor") for a in node.attribute)]
        if sparse:
            raise ExportRefusedError(f"{file}: sparse weights {sparse[0]}; export the model with dense ones")
        original = ir.to_proto(ir.external_data.load_to_model(ir.load(file)))  # a package is one folder: weights inside
    except ExportRefusedError:
        raise
    except Exception as error:  # protobuf and onnx_ir raise classes of their own
        raise UsageError(
            f"{file}: not a whole ONNX model ({(str(error).splitlines() or [repr(error)])[0]}); is this the right file?"
        ) from error
    return prepared_source(original, document_text(file.stem))


def prepared_source(original: onnx.ModelProto, name: str) -> Source:
    """Raises ExportRefusedError: a quantized model, an opset that is not read, control flow, local functions."""
    _refuse_what_cannot_be_read(original)
    notes: list[str] = []
    model = onnx.ModelProto()
    model.CopyFrom(original)
    _name_nodes(model.graph)
    _without_weights_among_inputs(model.graph)
    _in_float32(model, notes)
    opset = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if opset < CONVERTED:
        model = _converted(model, opset, notes)
    _name_nodes(model.graph)
    sizes, batch = {}, 1
    for value in model.graph.input:
        shape, found = _batch_of_one(value)
        sizes[value.name] = shape
        batch = max(batch, found)
    if batch > 1:
        notes.append(f"a batch of {batch} became one of 1")
    if any(None not in shape for shape in sizes.values()):
        fixed = ", ".join(f"{n} {'x'.join(map(str, shape))}" for n, shape in sizes.items() if None not in shape)
        notes.append(f"the model is of a fixed size: {fixed}")
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return Source(name, original, model, sizes, batch, tuple(notes))


def with_sizes(model: onnx.ModelProto, example: Mapping[str, NDArray[np.float32]]) -> ir.Model:
    """The graph for inputs of the example's sizes, simplified: every tensor has its shape, constants are folded."""
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for value in sized.graph.input:
        dims = value.type.tensor_type.shape
        dims.Clear()
        for size in example[value.name].shape:
            dims.dim.add().dim_value = size
    try:
        sized = onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True)
    except Exception as error:
        raise ExportRefusedError(
            f"shapes cannot be inferred ({str(error).splitlines()[0]}); check the model"
        ) from error
    made = ir.from_proto(sized)
    InlinePass()(made)
    lifted = LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
    lifted(made)
    # no rewrite rules: they turn an auto_pad into the pads of this size
    fold_constants(
        made,
        onnx_shape_inference=True,
        input_size_limit=LARGEST,
        output_size_limit=LARGEST,
        should_fold=lambda node: True if node.op_type == "ConstantOfShape" else None,
    )
    lifted(made)
    RemoveUnusedNodesPass()(made)
    return made


def _refuse_what_cannot_be_read(model: onnx.ModelProto) -> None:
    versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        found = ", ".join(map(str, versions)) or "none"
        raise ExportRefusedError(
            f"opset {found}, expected one of {OPSETS.start} to {OPSETS.stop - 1}: convert the model"
        )
    for node in model.graph.node:
        if QUANTIZED.search(node.op_type):
            name = node.name or node.output[0]
            raise ExportRefusedError(f"node {name} ({node.op_type}): the model is quantized; give the FP32 model")
        if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
            raise ExportRefusedError(
                f"node {node.name or node.output[0]} ({node.op_type}): training_mode 1, statistics of the batch;"
                " export the model in evaluation mode"
            )
    for value, known in (*((v, INPUTS) for v in _given(model.graph)), *((v, OUTPUTS) for v in model.graph.output)):
        kind = value.type.tensor_type.elem_type
        if kind not in (*known, *HALF):
            expected = " or ".join(helper.tensor_dtype_to_string(t).removeprefix("TensorProto.") for t in known)
            found = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else str(kind)
            raise ExportRefusedError(
                f"{value.name} is {found}, expected {expected}: cut the model where it is still float"
            )
        if not value.name.isprintable():
            raise UsageError(f"{value.name!r}: expected a name without control characters")


def _given(graph: onnx.GraphProto) -> Iterable[onnx.ValueInfoProto]:
    weights = {item.name for item in graph.initializer}
    return (value for value in graph.input if value.name not in weights)


def _without_weights_among_inputs(graph: onnx.GraphProto) -> None:
    """ONNX before IR version 4 lists every initializer as an input that a caller may replace."""
    given = list(_given(graph))
    del graph.input[:]
    graph.input.extend(given)


def _named_as(graph: onnx.GraphProto, original: onnx.GraphProto) -> None:
    """Nodes that the converter put in the place of others are called as these."""
    names = {node.output[0]: node.name for node in original.node}
    kept = {node.output[0] for node in graph.node}
    # where outputs have other names too, in their order
    gone = [node.name for node in original.node if node.output[0] not in kept]
    new = [node for node in graph.node if node.output[0] not in names and node.op_type != "Constant"]
    others = {node.output[0]: name for node, name in zip(new, gone, strict=True)} if len(new) == len(gone) else {}
    for node in graph.node:
        node.name = (names | others).get(node.output[0], node.name)


def _name_nodes(graph: onnx.GraphProto) -> None:
    """By operator and output where a node has no name: messages say what the user can find."""
    for node in graph.node:
        node.name = node.name or f"{node.op_type}_{node.output[0]}"


def _in_float32(model: onnx.ModelProto, notes: list[str]) -> None:
    """Weights and tensors of 16 bits as float32, which holds them all."""
    graph, found = model.graph, False
    for item in graph.initializer:
        if item.data_type in HALF:
            found = True
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item).astype(np.float32), item.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.t.data_type in HALF:
                found = True
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in HALF:
                found, attribute.i = True, TensorProto.FLOAT
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in HALF:
            found, value.type.tensor_type.elem_type = True, TensorProto.FLOAT
    if found:
        notes.append("16-bit floats became float32")


def _converted(model: onnx.ModelProto, opset: int, notes: list[str]) -> onnx.ModelProto:
    model.ir_version = max(model.ir_version, DETACHED)
    try:
        made = version_converter.convert_version(model, CONVERTED)
    except Exception as error:  # the converter raises RuntimeErrors of C++
        line = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefusedError(
            f"opset {opset}: ONNX cannot convert the model to {CONVERTED} ({line}); export it with opset {CONVERTED}"
        ) from error
    _named_as(made.graph, model.graph)
    notes.append(f"opset {opset} was converted to {CONVERTED}")
    return made


def _batch_of_one(value: onnx.ValueInfoProto) -> tuple[tuple[int | None, ...], int]:
    """(the input's shape with batch 1, its batch); the shape is changed in place."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or len(tensor.shape.dim) not in (2, 4):
        count = len(tensor.shape.dim) if tensor.HasField("shape") else "unknown"
        raise ExportRefusedError(f"input {value.name}: {count} dimensions, expected (N, C, h, w) or (N, C)")
    shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if not shape[1] or any(size is not None and size < 1 for size in shape):
        raise ExportRefusedError(f"input {value.name}: shape {shape}, expected (N, C, h, w) with C a number")
    batch = shape[0] or 1
    tensor.shape.dim[0].dim_value = 1
    return (1, *shape[1:]), batch
