"""The operators that a user's float graph may have, each with what the integer graph does in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx_ir as ir

from nvc_check.exporter.layers import Activation, attribute, read_layer
from nvc_check.exporter.user_activations import clip, leaky_relu, relu
from nvc_check.exporter.user_arithmetic import add, multiply, negate
from nvc_check.exporter.user_layers import convolve
from nvc_check.exporter.user_moves import concatenate, depth_to_space, pad, resize, split, take_channels
from nvc_check.exporter.user_site import Site
from nvc_check.exporter.user_values import (
    Known,
)


def _convolution(site: Site) -> Known:
    x = site.first()
    layer = read_layer(site.node, "")
    if layer.in_channels != x.channels:
        site.refuse(f"reads {x.channels} channels, its weights are for {layer.in_channels}")
    layer = replace(layer, activation=Activation(0.0) if site.relu else Activation())
    return convolve(site.plan, layer, x, site.labels(layer.out_channels), site.name)


def _cast(site: Site) -> Known:
    if attribute(site.node, "to", 0) != ir.DataType.FLOAT:
        site.refuse("expected a Cast to float32: others round")
    return site.first()


OPERATORS: dict[str, Callable[[Site], Known | list[Known]]] = {
    "Add": add,
    "Cast": _cast,
    "Clip": clip,
    "Concat": concatenate,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "DepthToSpace": depth_to_space,
    "Div": multiply,
    "Identity": Site.first,
    "LeakyRelu": leaky_relu,
    "Mul": multiply,
    "Neg": negate,
    "Pad": pad,
    "Relu": relu,
    "Resize": resize,
    "Slice": take_channels,
    "Split": split,
    "Sub": add,
}
