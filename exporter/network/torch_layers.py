"""Reads a chain of (transposed) convolutions and activations out of an FP32 ONNX graph.

Its inputs are integer symbols, to which constant medians or an input of means may be added, and which may be put
together along the channels.

The integer exporter works on this, not on torch classes, so that any decoder of these operators goes through it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.models.errors import ExportRefusedError

Float64 = NDArray[np.float64]

SMALLEST_SLOPE = 2.0**-22


@dataclass(frozen=True)
class Activation:
    """clip(max(x, slope * x), upper): Relu is slope 0, Identity slope 1; upper is None or the bound of a Clip."""

    slope: float = 1.0
    upper: float | None = None


@dataclass(frozen=True)
class Layer:
    """One convolution and what follows it.

    Attributes:
        name: of the ONNX node.
        transposed: ConvTranspose instead of Conv.
        weight: float64, ONNX layout: Conv (C_out, C_in, k, k), ConvTranspose (C_in, C_out, k, k).
        bias: (C_out,) float64.
        source: name of the layer whose output this one reads; "" is the graph's input.
    """

    name: str
    transposed: bool
    weight: Float64
    bias: Float64
    stride: int
    padding: int
    output_padding: int
    activation: Activation
    source: str

    @property
    def out_channels(self) -> int:
        return int(self.bias.shape[0])

    @property
    def in_channels(self) -> int:
        return int(self.weight.shape[0 if self.transposed else 1])


@dataclass(frozen=True)
class Output:
    """A graph output: channels [start, stop) of `layer`'s output."""

    name: str
    layer: str
    start: int
    stop: int


@dataclass(frozen=True)
class Latent:
    """Input `symbols`, int32 (1, channels, h, w), plus the input `means` of the same shape, where there is one."""

    symbols: str
    means: str | None
    channels: int


@dataclass(frozen=True)
class Chain:
    """Layers in topological order.

    Attributes:
        offset: (C,) float64, added to the integer input first (medians).
        latents: what the first layers read, put together along the channels.
    """

    layers: tuple[Layer, ...]
    outputs: tuple[Output, ...]
    offset: Float64
    latents: tuple[Latent, ...] = ()

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)


def read_chain(model: ir.Model) -> Chain:
    """The chain of a graph whose inputs are integer symbols, and means of them.

    Raises:
        ExportRefusedError: an operator, attribute or connection that has no exact form here, by node name.
    """
    graph = model.graph
    inputs = _Inputs(graph)
    place: dict[str | None, tuple[str, int, int]] = {}
    layers: dict[str, Layer] = {}
    for node in graph:
        name = str(node.name)
        if inputs.take(node):
            continue
        first = getattr(node.inputs[0], "name", None)
        source, start, stop = ("", 0, -1) if inputs.read(node, first) else place.get(first, ("?", 0, -1))
        if source == "?":
            raise ExportRefusedError(
                f"node {name} ({node.op_type}): its input does not come from the graph's symbols in a way that has an"
                " exact form here; expected a chain of convolutions and activations behind symbols and their means"
            )
        if node.op_type in ("Conv", "ConvTranspose"):
            layers[name] = read_layer(node, source)
            place[node.outputs[0].name] = (name, 0, layers[name].out_channels)
        elif node.op_type in ("Relu", "LeakyRelu", "Clip") and source in layers:
            layers[source] = _activated(layers[source], node)
            place[node.outputs[0].name] = (source, start, stop)
        elif node.op_type == "Split" and source in layers and attribute(node, "axis", 0) == 1:
            size = (stop - start) // len(node.outputs)
            for i, value in enumerate(node.outputs):
                place[value.name] = (source, start + i * size, start + (i + 1) * size)
        else:
            raise ExportRefusedError(
                f"node {name} ({node.op_type}): no exact integer form in this version; it has Conv, ConvTranspose,"
                " Relu, LeakyRelu, Clip, Split"
            )
    outputs = tuple(Output(str(v.name), *place[v.name]) for v in graph.outputs)
    return Chain(tuple(layers.values()), outputs, inputs.offset, inputs.latents)


class _Inputs:
    """What happens to the inputs of a graph before the first layer."""

    def __init__(self, graph: ir.Graph) -> None:
        self._real = {value.name for value in graph.inputs if value.dtype == ir.DataType.FLOAT}
        self._found: dict[str | None, tuple[Latent, ...]] = {}
        for value in graph.inputs:
            if value.name not in self._real and value.shape is not None:
                self._found[value.name] = (Latent(str(value.name), None, int(value.shape[1])),)  # type: ignore[arg-type]
        self._offsets: dict[str | None, Float64] = {}
        self._read_as: str | None = None

    @property
    def latents(self) -> tuple[Latent, ...]:
        return self._found.get(self._read_as, ())

    @property
    def offset(self) -> Float64:
        """(C,) what is added to all latents."""
        none = np.zeros(sum(latent.channels for latent in self.latents))
        return self._offsets.get(self._read_as, none)

    def take(self, node: ir.Node) -> bool:
        """Whether `node` is one of those before the layers: Cast, Add of medians or means, Concat along channels."""
        names = [value.name if value is not None else None for value in node.inputs]
        known = [self._found.get(name) for name in names]
        if known[0] is None or names[0] in self._offsets:
            return False
        made: tuple[Latent, ...] | None = None
        if node.op_type == "Cast":
            made = known[0]
        elif node.op_type == "Add" and names[1] in self._real and len(known[0]) == 1 and known[0][0].means is None:
            made = (replace(known[0][0], means=names[1]),)
        elif node.op_type == "Add" and node.inputs[1] is not None and node.inputs[1].const_value is not None:
            made = known[0]
            width = sum(latent.channels for latent in made)
            self._offsets[node.outputs[0].name] = np.broadcast_to(constant(node, 1).reshape(-1), width).astype(
                np.float64
            )
        elif node.op_type == "Concat" and attribute(node, "axis", 0) == 1 and all(known):
            made = tuple(latent for part in known if part for latent in part)
        if made is not None:
            self._found[node.outputs[0].name] = made
        return made is not None

    def read(self, node: ir.Node, name: str | None) -> bool:
        """Whether `node` is a layer that reads the latents; all such layers must read the same ones."""
        if name not in self._found or node.op_type not in ("Conv", "ConvTranspose"):
            return False
        if self._read_as not in (None, name):
            raise ExportRefusedError(
                f"node {node.name} ({node.op_type}): reads {name}, another layer reads {self._read_as}; expected all"
                " first layers of a graph to read the same latents"
            )
        self._read_as = name
        return True


def read_layer(node: ir.Node, source: str) -> Layer:
    """A Conv or ConvTranspose with constant weights, without activation.

    Raises:
        ExportRefusedError: a geometry that has no integer form here.
    """
    weight = constant(node, 1).astype(np.float64)
    transposed = node.op_type == "ConvTranspose"
    strides, pads = attribute(node, "strides", [1, 1]), attribute(node, "pads", [0, 0, 0, 0])
    extra = attribute(node, "output_padding", [0, 0])
    square = len(set(strides)) == len(set(pads)) == len(set(extra)) == 1 and weight.shape[2] == weight.shape[3]
    if not (square and set(attribute(node, "dilations", [1, 1])) == {1}):
        raise ExportRefusedError(
            f"node {node.name} ({node.op_type}): expected a square kernel, equal pads and strides, dilation 1"
        )
    if transposed and weight.shape[2] < strides[0]:
        raise ExportRefusedError(
            f"node {node.name} (ConvTranspose): a kernel of {weight.shape[2]} with stride {strides[0]} leaves outputs"
            " without inputs; expected a kernel at least as large as the stride"
        )
    weight = _dense(weight, attribute(node, "group", 1))
    out_channels = weight.shape[1 if transposed else 0]
    bias = constant(node, 2).astype(np.float64) if len(node.inputs) > 2 else np.zeros(out_channels)
    return Layer(str(node.name), transposed, weight, bias, strides[0], pads[0], extra[0], Activation(), source)


def _dense(weight: Float64, groups: int) -> Float64:
    """The weights of a grouped convolution with zeros for the inputs that a group does not read."""
    if groups == 1:
        return weight
    rows, columns = weight.shape[:2]
    # of a Conv (C_out, C_in / groups, k, k), of a ConvTranspose (C_in, C_out / groups, k, k): the first axis is whole
    dense = np.zeros((rows, columns * groups, *weight.shape[2:]))
    for group in range(groups):
        own = slice(group * rows // groups, (group + 1) * rows // groups)
        dense[own, group * columns : (group + 1) * columns] = weight[own]
    return dense


def _activated(layer: Layer, node: ir.Node) -> Layer:
    if layer.activation != Activation():
        raise ExportRefusedError(f"node {node.name} ({node.op_type}): a second activation on {layer.name}")
    if node.op_type == "Relu":
        activation = Activation(slope=0.0)
    elif node.op_type == "LeakyRelu":
        activation = Activation(slope=_slope(node))
    else:
        low, high = float(constant(node, 1)), float(constant(node, 2))
        if low != 0:
            raise ExportRefusedError(f"node {node.name} (Clip): lower bound {low:g}, expected 0")
        activation = Activation(slope=0.0, upper=high)
    return Layer(**{**layer.__dict__, "activation": activation})


def _slope(node: ir.Node) -> float:
    """Of a LeakyRelu. One so small that no sum of 24 bits shows it beside those above zero is 0."""
    slope = float(attribute(node, "alpha", 0.01))
    if not 0 <= slope <= 1:
        raise ExportRefusedError(f"node {node.name} (LeakyRelu): alpha {slope:g}, expected 0 to 1")
    return slope if slope >= SMALLEST_SLOPE else 0.0


def constant(node: ir.Node, index: int) -> NDArray[Any]:
    value = node.inputs[index]
    if value is None or value.const_value is None:
        raise ExportRefusedError(f"node {node.name} ({node.op_type}): input {index} is not a constant")
    return value.const_value.numpy()


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    attribute = node.attributes.get(name)
    if attribute is None:
        return default
    return list(attribute.value) if isinstance(attribute.value, (tuple, list)) else attribute.value
