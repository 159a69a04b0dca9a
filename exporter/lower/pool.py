"""MaxPool in integers: it moves values, whatever grid they are on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import Float64, Known
from nvc_check.exporter.network.layers import read_pads


def max_pool(site: Site) -> Known:
    """ONNX MaxPool-12; what lies outside does not count. Scales of channels are positive, so that order stays."""
    x = site.first()
    size = x.real[0].shape[2:]
    taps, strides, dilations = (
        tuple(site.attribute(name, default))
        for name, default in (("kernel_shape", []), ("strides", [1, 1]), ("dilations", [1, 1]))
    )
    if len(taps) != 2 or site.attribute("ceil_mode", 0) or set(dilations) != {1}:
        site.refuse(f"kernel_shape {list(taps)}, dilations {list(dilations)}: expected two, 1, and no ceil_mode")
    site.attribute("storage_order", 0)  # of the indexes, which nothing reads
    pads = read_pads(site, size, strides, taps, open_size=site.open_size)
    if max(pads[0], pads[2]) >= taps[0] or max(pads[1], pads[3]) >= taps[1]:
        site.refuse(f"pads {list(pads)}, expected less than kernel_shape {list(taps)}")

    def move(array: Float64) -> Float64:
        around = np.pad(array, ((0, 0), (0, 0), pads[::2], pads[1::2]), constant_values=-np.inf)
        windows = sliding_window_view(around, taps, (2, 3))  # type: ignore[call-overload]
        largest: Float64 = windows[:, :, :: strides[0], :: strides[1]].max(axis=(4, 5))
        return largest

    def write(graph: GraphWriter, integers: ir.Value, zero: int) -> ir.Value:
        attributes = {"kernel_shape": list(taps), "strides": list(strides), "pads": list(pads)}
        return graph.op("MaxPool", integers, name=f"{site.name}_largest", **attributes)

    return site.moved(x, x.unit, move, write)
