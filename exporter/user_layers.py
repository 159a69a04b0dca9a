"""A convolution of a user's graph in integers, whatever it reads."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.fitting import ACTIVATION_MAX, along, fit_layer, integer_sums
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.integer_graph import Flavour
from nvc_check.exporter.layers import Activation, Layer
from nvc_check.exporter.limbs import FINE, REACH, limbs
from nvc_check.exporter.limbs import HIGH as LIMB_HIGH
from nvc_check.exporter.limbs import LOW as LIMB_LOW
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantization import IntegerLayer
from nvc_check.exporter.reference import layer_sums
from nvc_check.exporter.user_values import (
    HIGH,
    LOW,
    Float64,
    Int64,
    Known,
    Plan,
    rounded_up,
    tied,
    times,
    unit_for,
)


class _Read:
    """How a layer reads a tensor: in 7 bits where it is never negative, else in two limbs of 7 bits."""

    def __init__(self, x: Known) -> None:
        self.x = x
        self.in_limbs = x.low < 0
        every = np.arange(x.channels)
        if not self.in_limbs and x.high <= ACTIVATION_MAX:
            self.grid = x.unit
        else:
            # limbs hold twice what the calibration shows: they have bits to spare, and saturation costs more
            self.grid = unit_for(x.real, every, LIMB_HIGH // 2 if self.in_limbs else ACTIVATION_MAX)
        self.ready = self.grid is x.unit
        self.steps = np.exp2(np.concatenate([self.grid, self.grid - FINE]) if self.in_limbs else self.grid)
        self.reach = -LIMB_LOW if self.in_limbs else ACTIVATION_MAX

    def integers(self) -> list[Float64]:
        real = [x * np.exp2(self.x.unit).reshape(1, -1, 1, 1) for x in self.x.integers]
        if self.in_limbs:
            return [limbs(x, self.grid) for x in real]
        return [np.clip(np.rint(x / np.exp2(self.grid).reshape(1, -1, 1, 1)), 0, ACTIVATION_MAX) for x in real]

    def write(self, graph: GraphWriter, style: Flavour, x: ir.Value, read: NDArray[np.int32], name: str) -> ir.Value:
        x = times(graph, x, np.exp2(self.x.unit - self.grid), f"{name}_read")
        if not self.in_limbs:
            return style.activation(graph, x, self.ready, name)
        x = graph.op("Clip", x, graph.scalar(-REACH), graph.scalar(REACH), name=f"{name}_clipped")
        return style.limbs(graph, x, read, name)


def convolve(plan: Plan, layer: Layer, x: Known, labels: Int64, name: str) -> Known:
    """The layer's sums, rounded to 16 bits, or, with a Relu as its activation, to 7.

    Raises:
        ExportRefusedError: an accumulator bound that cannot hold.
    """
    relu = layer.activation.slope == 0
    wanted = on_all_cores(partial(layer_sums, layer, layer.weight, layer.bias), x.real)
    real = [np.maximum(each, 0) for each in wanted] if relu else wanted
    unit = unit_for(real, labels, ACTIVATION_MAX) if relu else unit_for(real, labels)
    read = _Read(x)
    given = read.integers()
    weight = np.concatenate([layer.weight] * 2, axis=0 if layer.transposed else 1) if read.in_limbs else layer.weight
    weight = weight * along(layer, read.steps, output=False)
    made, copies = _fitted(layer, weight, unit, given, wanted, read)
    while not relu and (made.weight_exponent > 0).any():  # a half is added to the sums: they must be as fine as units
        unit = tied(unit + np.maximum(made.weight_exponent, 0), labels)
        made, copies = _fitted(layer, weight, unit, given, wanted, read)
    if relu:
        made = replace(made, output_exponent=0.0, high=ACTIVATION_MAX)
    channels = np.repeat(np.arange(len(copies), dtype=np.int32), copies)

    def write(graph: GraphWriter, style: Flavour, values: dict[str, ir.Value]) -> ir.Value:
        source = read.write(graph, style, values[x.name], channels, f"{name}_input")
        if relu:
            return style.hidden(graph, made, source)
        total = rounded_up(graph, style.accumulator(graph, made, source), name)
        return graph.op("Clip", total, graph.scalar(LOW), graph.scalar(HIGH), name=f"{name}_saturated")

    plan.add(name, write)
    sums = on_all_cores(partial(integer_sums, made), [np.repeat(each, copies, axis=1) for each in given])
    if relu:
        integers = [np.clip(np.rint(each), 0, ACTIVATION_MAX) for each in sums]
        return Known(name, unit, real, integers, 0, ACTIVATION_MAX)
    return Known(name, unit, real, [np.clip(np.floor(each + 0.5), LOW, HIGH) for each in sums], LOW, HIGH)


def _fitted(
    layer: Layer, weight: Float64, unit: Float64, given: list[Float64], wanted: list[Float64], read: _Read
) -> tuple[IntegerLayer, Int64]:
    """The layer for outputs in steps of `unit`."""
    steps = np.exp2(unit)
    scaled = replace(layer, weight=weight / along(layer, steps, output=True), bias=layer.bias / steps)
    if layer.activation.slope != 0:
        scaled = replace(scaled, activation=Activation())
    targets = [each / steps.reshape(1, -1, 1, 1) for each in wanted]
    return fit_layer(scaled, given, targets, read.reach, split=read.in_limbs, power_of_two=True)
