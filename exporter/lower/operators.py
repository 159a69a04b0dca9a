"""The operators that a float graph may have, each with what the integer graph does in its place."""

from __future__ import annotations

from collections.abc import Callable

from nvc_check.exporter.lower.activations import clip, leaky_relu, prelu, relu
from nvc_check.exporter.lower.arithmetic import add, negate, normalize
from nvc_check.exporter.lower.layers import convolve
from nvc_check.exporter.lower.moves import concatenate, gather, pad, rearranged, reshaped, shuffled, split, take
from nvc_check.exporter.lower.multiply import multiply
from nvc_check.exporter.lower.pool import max_pool
from nvc_check.exporter.lower.resize import resize
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.tables import tabulated
from nvc_check.exporter.lower.values import Known
from nvc_check.exporter.network.layers import read_convolution, read_product
from nvc_check.exporter.network.pointwise import CURVED, POINTWISE
from nvc_check.exporter.network.rewrite import REARRANGE


def _convolution(site: Site) -> Known:
    x = site.first()
    turned = site.node.op_type == "ConvTranspose"
    layer = read_convolution(site, x.channels, x.real[0].shape[2:], open_size=site.open_size, turned=turned)
    return convolve(site, layer, x)


def _product(site: Site) -> Known:
    x = site.first()
    if site.tensor(1) is not None:
        site.refuse("a matrix product of two tensors, expected constant weights")
    if x.real[0].shape[2:] != (1, 1) or not site.is_vector():
        site.refuse(f"a matrix product of {x.real[0].shape}, expected a vector (1, C); a 1x1 Conv does it for pictures")
    return convolve(site, read_product(site, x.channels), x)


def _identity(site: Site) -> Known:
    return site.first()


OPERATORS: dict[str, Callable[[Site], Known | list[Known]]] = {
    "Add": add,
    "BatchNormalization": normalize,
    "Clip": clip,
    "Concat": concatenate,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "DepthToSpace": shuffled,
    "Div": multiply,
    "Flatten": reshaped,
    "Gather": gather,
    "Gemm": _product,
    "Identity": _identity,
    "LeakyRelu": leaky_relu,
    "MatMul": _product,
    "MaxPool": max_pool,
    "Mul": multiply,
    "Neg": negate,
    "PRelu": prelu,
    "Pad": pad,
    POINTWISE: tabulated,
    REARRANGE: rearranged,
    "Relu": relu,
    "Reshape": reshaped,
    "Resize": resize,
    "Slice": take,
    "SpaceToDepth": shuffled,
    "Split": split,
    "Sub": add,
}
NAMED = sorted({*OPERATORS, *CURVED} - {POINTWISE, REARRANGE})  # as people know them
