"""Reads the geometry of a Conv, ConvTranspose, Gemm or MatMul node, every attribute of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from nvc_check.exporter.network.geometry import Layer, convolution, transposed

Pads = tuple[int, int, int, int]


class Read(Protocol):
    """What is needed of a node."""

    name: str

    def attribute(self, name: str, default: Any) -> Any: ...
    def constant(self, index: int) -> Any: ...
    def has(self, index: int) -> bool: ...
    def refuse(self, why: str) -> NoReturn: ...


def read_convolution(node: Read, channels: int, size: Sequence[int], *, open_size: bool, turned: bool) -> Layer:
    """A Conv or, `turned`, a ConvTranspose that reads (1, channels, *size).

    `open_size`: the graph takes other sizes too.
    """
    weight = np.asarray(node.constant(1)).astype(np.float64)
    if weight.ndim != 4:
        node.refuse(f"weights of {weight.ndim} dimensions, expected 4: (C_out, C_in, rows, columns)")
    groups = int(node.attribute("group", 1))
    strides, dilations = (tuple(node.attribute(name, [1, 1])) for name in ("strides", "dilations"))
    taps = node.attribute("kernel_shape", list(weight.shape[2:]))
    extra = tuple(node.attribute("output_padding", [0, 0])) if turned else (0, 0)
    if list(taps) != list(weight.shape[2:]):
        node.refuse(f"kernel_shape {taps}, its weights have {list(weight.shape[2:])}")
    expected = weight.shape[0] if turned else weight.shape[1] * groups
    if expected != channels or weight.shape[0] % groups:
        node.refuse(f"reads {channels} channels, its weights are for {expected} in {groups} groups")
    if min(*strides, *dilations) < 1 or max(strides) > 64:
        node.refuse(f"strides {list(strides)}, dilations {list(dilations)}: expected at least 1, strides up to 64")
    count = weight.shape[1] * groups if turned else weight.shape[0]
    bias = np.asarray(node.constant(2)).astype(np.float64) if node.has(2) else np.zeros(count)
    spans = tuple(dilation * (tap - 1) + 1 for dilation, tap in zip(dilations, taps, strict=True))
    pads = read_pads(node, size, strides, spans, extra, open_size=open_size, turned=turned)
    if turned:
        return transposed(node.name, weight, bias, strides, pads, dilations, groups, extra)
    if any(s + pads[i] + pads[2 + i] < span for i, (s, span) in enumerate(zip(size, spans, strict=True))):
        node.refuse(f"a kernel that spans {list(spans)} on {list(size)} rows and columns leaves nothing")
    return convolution(node.name, weight, bias, strides, pads, dilations, groups)


def read_pads(
    node: Read,
    size: Sequence[int],
    strides: Any,
    spans: Any,
    extra: Any = (0, 0),
    *,
    open_size: bool,
    turned: bool = False,
) -> Pads:
    """Top, left, bottom, right."""
    pads = tuple(node.attribute("pads", [0, 0, 0, 0]))
    auto = str(node.attribute("auto_pad", "NOTSET"))
    shape = node.attribute("output_shape", None) if turned else None
    if min(pads) < 0:
        node.refuse(f"pads {list(pads)}, expected none below 0")
    if shape is None and auto in ("NOTSET", "VALID"):
        return pads if auto == "NOTSET" else (0, 0, 0, 0)
    if auto not in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
        node.refuse(f"auto_pad {auto}; give pads")
    if shape is not None and len(shape) != 2:
        node.refuse(f"output_shape {shape}, expected rows and columns; give pads")
    if open_size and (shape is not None or (not turned and max(strides) > 1)):
        what = "output_shape" if shape is not None else f"auto_pad {auto} with stride {max(strides)}"
        node.refuse(f"{what} pads by the input's size; give pads, or a model of a fixed size")
    around = []
    for i in (0, 1):
        if turned:
            wanted = size[i] * strides[i] if shape is None else shape[i]
            total = strides[i] * (size[i] - 1) + extra[i] + spans[i] - wanted
            if total < 0 or total % 2:
                node.refuse(
                    f"{auto}, output_shape {shape}: runtimes share {total} rows of padding out differently; give pads"
                )
        else:
            wanted = -(-size[i] // strides[i])
            total = max((wanted - 1) * strides[i] + spans[i] - size[i], 0)
        less, more = total // 2, total - total // 2
        around.append((less, more) if auto == "SAME_UPPER" else (more, less))
    (top, bottom), (left, right) = around
    return top, left, bottom, right


def read_product(node: Read, channels: int) -> Layer:
    """A Gemm or MatMul of a vector (1, channels) with constant weights, as a 1x1 convolution."""
    weight = np.asarray(node.constant(1)).astype(np.float64)
    if weight.ndim != 2:
        node.refuse(f"weights of {weight.ndim} dimensions, expected 2")
    if node.attribute("transA", 0):
        node.refuse("transA 1, expected a vector times weights")
    rows = weight if node.attribute("transB", 0) else weight.T
    rows = rows * float(node.attribute("alpha", 1.0))
    if rows.shape[1] != channels:
        node.refuse(f"reads {channels} numbers, its weights are for {rows.shape[1]}")
    bias = np.zeros(len(rows))
    beta = float(node.attribute("beta", 1.0))
    if node.has(2):
        found = np.asarray(node.constant(2)).astype(np.float64)
        if found.size not in (1, len(rows)):
            node.refuse(f"a bias of shape {found.shape}, expected one number per output")
        bias = beta * np.broadcast_to(found.reshape(-1), len(rows))
    return convolution(node.name, rows[:, :, None, None], bias, (1, 1), (0, 0, 0, 0), (1, 1), 1)
