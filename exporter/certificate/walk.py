"""Proves a finished ONNX graph exact, node by node: an abstract interpretation from its inputs to its outputs.

A node is exact if its mathematically exact result and every partial sum in any order is an integer below 2^24 on its
grid, so that float32 rounds nothing. Bounds come from the graph alone (types, Clip, saturation), not from calibration.
Any ONNX file of opset 11 to 23 is read; what has no rule is not exact, and what depends on it neither.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from nvc_check.exporter.certificate.abstract import Abstract, Float64, Shape, of_constant, uniform
from nvc_check.exporter.certificate.document import STANDARD, flaw
from nvc_check.exporter.certificate.factors import factors_of
from nvc_check.exporter.certificate.idioms import known
from nvc_check.exporter.certificate.idioms.forms import node_form, seam_forms
from nvc_check.exporter.certificate.idioms.kernels import Topology, kernel, placement_hazards
from nvc_check.exporter.certificate.idioms.rewrites import rewrite_hazards
from nvc_check.exporter.certificate.refusals import refusal
from nvc_check.exporter.certificate.rules.attributes import check_attributes
from nvc_check.exporter.certificate.rules.layout import MOVEMENT
from nvc_check.exporter.certificate.rules.selection import INTEGERS
from nvc_check.exporter.certificate.rules.shapes import ALL_FOLDED, folded
from nvc_check.exporter.certificate.rules.table import RULES
from nvc_check.exporter.certificate.targets import EVERY, TARGETS, Hazard
from nvc_check.exporter.certificate.terms import Call, Outcome, Refused
from nvc_check.exporter.certificate.verdicts import EXACT, NOT_EXACT, PROVED, Certificate, NodeCertificate
from nvc_check.models.grid import FLOAT32_EXACT

INT32 = 1 << 31
SMALLEST, LARGEST = -126, 2.0**127  # exponents of normal float32: a runtime may flush what is smaller to zero
MALFORMED = (TypeError, ValueError, IndexError, KeyError, AttributeError, AssertionError, ArithmeticError)
QUANTIZE = "quantize the input: QuantizeLinear with a power-of-two scale, or integers into the graph"


def certify(model: onnx.ModelProto) -> Certificate:
    """The certificate of `model`; integer inputs have the full range of their type, float inputs no grid."""
    walk = _Walk(model)
    with np.errstate(all="ignore"):  # what overflows is not finite, and refused for that
        nodes = tuple(walk.node(node, position) for position, node in enumerate(model.graph.node))
    nodes = nodes or (walk.nothing(),)
    assumptions = tuple(sorted({a for node in nodes for a in node.assumptions}))
    targets = {name: not any(node.failures(target) for node in nodes) for name, target in TARGETS.items()}
    exact = all(node.exact for node in nodes)
    unmeasured = {name: known.unmeasured(walk.forms, name) for name, proved in targets.items() if proved}
    verdicts = {name: _verdict(proved, unmeasured.get(name)) for name, proved in targets.items()}
    conditions = tuple(sorted(walk.conditions))
    return Certificate(model.graph.name, exact, assumptions, nodes, targets, conditions, verdicts, unmeasured)


def _verdict(proved: bool, unmeasured: tuple[str, ...] | None) -> str:
    return NOT_EXACT if not proved else PROVED if unmeasured else EXACT


def forms_of(model: onnx.ModelProto) -> tuple[str, ...]:
    """The forms of its nodes and seams, each once; of nodes that are refused, none."""
    walk = _Walk(model)
    with np.errstate(all="ignore"):
        for position, node in enumerate(model.graph.node):
            walk.node(node, position)
    return tuple(walk.forms)


def tensor_ranges(model: onnx.ModelProto) -> dict[str, tuple[Float64, Float64]]:
    """Tensor -> lowest and highest value that the graph lets it have, (C,) per channel or (1,); of exact tensors."""
    walk = _Walk(model)
    for position, node in enumerate(model.graph.node):
        walk.node(node, position)
    return {name: (value.low, value.high) for name, value in walk.values.items() if value is not None}


class _Walk:
    """What is known of every tensor on the way through a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.flaw = flaw(model)
        if self.flaw is not None:  # of such a file not even the tables below can be trusted
            model = onnx.ModelProto(graph=onnx.GraphProto(name=model.graph.name))
        self.room = ALL_FOLDED
        self.opset = next((item.version for item in model.opset_import if item.domain in STANDARD), 0)
        self.shapes = _shapes(model)
        self.topology = Topology(model.graph)
        self.conditions: set[str] = set()
        self.forms: dict[str, None] = {}  # a set that keeps its order
        self.quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
        self.inputs = {item.name for item in model.graph.input}
        self.initializers = {item.name for item in model.graph.initializer}
        self.values: dict[str, Abstract | None] = {}
        for item in model.graph.initializer:  # one that is an input too may be another value at run time
            self.values[item.name] = None if item.name in self.inputs else _initializer(item)
        for item in model.graph.sparse_initializer:
            self.values[item.values.name] = None
        for graph_input in model.graph.input:
            if graph_input.name not in self.initializers:
                self.values[graph_input.name] = self._input(graph_input)

    def _input(self, info: onnx.ValueInfoProto) -> Abstract | None:
        kind = info.type.tensor_type.elem_type
        if not kind:
            return None
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        shape, one = self.shapes.get(info.name), np.ones(1)
        if str(dtype) in INTEGERS:
            low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
            return Abstract(0 * one, low * one, high * one, dtype=str(dtype), shape=shape)
        if str(dtype) == "float32":
            return Abstract(-149 * one, -np.inf * one, np.inf * one, shape=shape)
        return None

    def node(self, node: onnx.NodeProto, position: int) -> NodeCertificate:
        name = node.name or f"{node.op_type}_{position}"
        try:
            call, outcome = self._outcome(node)
            outcome = self._checked(node, call, outcome)
        except Refused as refusal:
            return self._refused(node, name, refusal)
        except MALFORMED as error:
            form = Refused(f"a form of {node.op_type} without a rule ({error})", "check the file with onnx.checker")
            return self._refused(node, name, form)
        self.conditions.update(outcome.conditions)
        verdict = self._verdict(node, name, call, outcome)
        self.forms[node_form(node, self.values)] = None
        self.forms.update(dict.fromkeys(seam_forms(node, self.values, self.topology, self.quantized)))
        return verdict

    def _outcome(self, node: onnx.NodeProto) -> tuple[Call, Outcome]:
        if self.flaw is not None:
            raise Refused(*self.flaw)
        if node.domain not in STANDARD or (node.op_type not in RULES):
            raise refusal(node.op_type, node.domain)
        for name in node.input:
            if name and self.values.get(name) is None:
                self._unknown(name)
        inputs = tuple(self.values[name] if name else None for name in node.input)
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        call = Call(node.op_type, attributes, inputs, tuple(self.shapes.get(name) for name in node.output))
        for name, value in zip(node.input, inputs, strict=True):
            if value is not None and value.monotone and node.op_type != "Clip":
                raise Refused("an input may exceed 2^24 and is not clipped first", "Clip straight behind the Cast")
            if value is not None and not value.finite and node.op_type not in ("Clip", "QuantizeLinear", "Shape"):
                what = f"input {name} is float32 and on no grid" if name in self.inputs else f"{name} is not finite"
                raise Refused(what, QUANTIZE)
            if value is not None and value.constant is not None:
                _check_normal(name, value)
        check_attributes(call)
        constants = folded(node, call, self.opset, self.room)
        if constants is not None:
            self.room -= sum(np.size(value.constant) for value in constants if value.constant is not None)
            return call, Outcome(tuple(constants), kernel="constant")
        return call, RULES[node.op_type](call)

    def _unknown(self, name: str) -> None:
        producer = self.topology.producer.get(name)
        if producer is not None:
            raise Refused(f"an input is not on a known grid: {name}, of {producer.op_type} {producer.name}")
        if name in self.inputs & self.initializers:
            raise Refused(f"{name} is an input too: a caller may override it", "take it out of the graph's inputs")
        if name in self.inputs:
            raise Refused(f"input {name} has an element type without exact form", QUANTIZE)
        raise Refused(f"{name} is of a type or kind without exact form", "dense float32, int32 or int8 constants")

    def _checked(self, node: onnx.NodeProto, call: Call, outcome: Outcome) -> Outcome:
        """The outcome with shapes, bound and general hazards; Refused where a value leaves its type's exact range."""
        results, hazards = [], [*outcome.hazards, *rewrite_hazards(node, call, self.topology, self.values)]
        bound = outcome.bound
        for name, shape, value in zip(node.output, call.shapes, outcome.results, strict=True):
            settled = _settled(replace(value, factors=factors_of(call)), shape)
            if settled.constant is None and outcome.kernel == MOVEMENT:
                settled = self._in_range(name, node, settled, 0.0)  # what is only moved may lie on any grid
            elif settled.constant is None:
                bound = max(bound, settled.integers)
                settled = self._in_range(name, node, settled, bound)
            results.append(settled)
        computed = [v for v in (*call.inputs, *results) if v is not None and v.constant is None]
        if any(v.dtype == "int64" and v.reach.max() >= INT32 for v in computed):
            hazards.append(_WIDE)
        hazards.extend(placement_hazards(node.op_type, call.inputs, results))
        unique = tuple(dict.fromkeys(hazards))
        return replace(outcome, results=tuple(results), bound=bound if np.isfinite(bound) else 0.0, hazards=unique)

    def _in_range(self, name: str, node: onnx.NodeProto, value: Abstract, bound: float) -> Abstract:
        if not value.finite:
            raise Refused("values without a bound", "Clip in front")
        if value.dtype == "float32":
            if (value.exponent < SMALLEST).any() or value.reach.max() >= LARGEST:
                raise Refused("values beyond 2^127 or below 2^-126", "a grid nearer to 1")
            if not bound < FLOAT32_EXACT:
                if node.op_type == "Cast" and self.topology.only_read_by(name, "Clip"):
                    return replace(value, monotone=True)
                raise Refused(f"bound {bound:.0f} is not below 2^24 = {FLOAT32_EXACT}", "Clip in front, or limbs")
        elif value.dtype != "bool":
            limits = np.iinfo(np.dtype(value.dtype))
            if value.low.min() < limits.min or value.high.max() > limits.max:
                raise Refused(f"bound {bound:.0f} overflows {value.dtype}", "Clip in front")
        return value

    def _verdict(self, node: onnx.NodeProto, name: str, call: Call, outcome: Outcome) -> NodeCertificate:
        self.values.update(zip(node.output, outcome.results, strict=True))
        against = [hazard for hazard in outcome.hazards if "any" in hazard.targets]
        return NodeCertificate(
            name=name,
            op_type=node.op_type,
            exact=not against,
            bound=outcome.bound,
            operand_bits=outcome.operand_bits,
            rounding=outcome.rounding,
            assumptions=outcome.assumptions,
            reason=against[0].reason if against else "",
            cure=against[0].cure if against else "",
            kernel=outcome.kernel or kernel(node, True, self.topology, self.values),
            hazards=outcome.hazards,
        )

    def nothing(self) -> NodeCertificate:
        """What stands in the certificate of a graph without nodes: an empty claim is none."""
        return self._refused(onnx.NodeProto(), "(graph)", Refused(*(self.flaw or ("the graph has no nodes", ""))))

    def _refused(self, node: onnx.NodeProto, name: str, refused: Refused) -> NodeCertificate:
        self.values.update(dict.fromkeys(node.output))
        reason = str(refused)
        return NodeCertificate(
            name=name,
            op_type=node.op_type,
            exact=False,
            bound=0.0,
            operand_bits="",
            rounding="",
            assumptions=(),
            reason=reason,
            cure=refused.cure,
            kernel=kernel(node, False, self.topology, self.values),
            hazards=(Hazard(EVERY, reason, refused.cure),),
        )


_WIDE = Hazard(("any", "openvino"), "int64 beyond 2^31: OpenVINO computes it in int32", "int32, or a Clip in front")


def _initializer(item: onnx.TensorProto) -> Abstract | None:
    try:
        value = of_constant(numpy_helper.to_array(item))
    except MALFORMED:  # strings, 4-bit types
        return None
    return value if value.dtype in (*INTEGERS, "float32") else None


def _check_normal(name: str, value: Abstract) -> None:
    """Raises Refused for constants that a runtime may flush to zero."""
    array = value.constant
    if array is not None and array.dtype == np.float32:
        magnitudes = np.abs(array[array != 0])
        if magnitudes.size and float(magnitudes.min()) < 2.0**SMALLEST:
            raise Refused(f"{name} holds subnormal numbers, which runtimes flush to zero", "constants of 2^-126 on")


def _settled(value: Abstract, shape: Shape) -> Abstract:
    """With its shape; without channels of its own where the shape does not show that there are as many."""
    value = replace(value, shape=shape if shape is not None or value.constant is None else value.constant.shape)
    if len(value.low) > 1 or len(value.high) > 1 or len(value.exponent) > 1:
        if value.shape is None or len(value.shape) < 2 or value.shape[1] not in (len(value.low), None):
            return uniform(value)
        exponent, low, high = np.broadcast_arrays(value.exponent, value.low, value.high)
        return replace(value, exponent=exponent, low=low, high=high)
    return value


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Sizes that follow from the graph's inputs and constants; what the file claims of other tensors is left out."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except Exception:  # protobuf and ONNX raise classes of their own; then nothing is known
        inferred = bare
    found: dict[str, Shape] = {item.name: tuple(item.dims) for item in model.graph.initializer}
    for info in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        tensor = info.type.tensor_type
        if tensor.HasField("shape"):
            found[info.name] = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return found
