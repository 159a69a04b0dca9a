"""One layer in integers: weights rounded so that its sums over the calibration stay close, biases and grids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.network.torch_layers import Layer
from nvc_check.exporter.quantize.integer_layers import FINEST, WEIGHT_MAX, IntegerLayer, accumulator_bound
from nvc_check.exporter.quantize.reference import layer_sums
from nvc_check.exporter.quantize.rounding import Moments, Phase, gather_moments, phases, refitted, rounded
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import FLOAT32_EXACT, exponent_to_hold, to_grid

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

# 7 bits: two products with int8 weights then stay below 2^15, where x86 without VNNI saturates (VPMADDUBSW). Weights of
# 8 bits and these activations lose less than weights of 7 bits.
ACTIVATION_MAX = 127
SNAP = 8  # bits of the wanted sums below a step of the output
SPLIT_SHARE = 0.5  # of a layer's inputs, that many more at most to split outliers
SPLIT_BITS = 3


def fit_layer(
    layer: Layer, integers: list[Float64], wanted: list[Float64], reach: int, *, split: bool, power_of_two: bool
) -> tuple[IntegerLayer, Int64]:
    """(the integer layer, (C_in,) how often it reads each input channel).

    Args:
        layer: its weights for inputs that are integers, its outputs in steps of the output's grid.
        integers: (1, C_in, h, w) calibration inputs, as the integer path has them, up to `reach` in magnitude.
        wanted: (1, C_out, H, W) sums that it should give, in those steps.
        split: read channels with outlying weights several times.

    Raises:
        ExportRefusedError: an accumulator bound that cannot hold.
    """
    fitted = _fitted(layer, gather_moments(layer, integers, [_snapped(each) for each in wanted]))
    if not split:
        once = np.ones(layer.in_channels, np.int64)
        return _integer_layer(layer, fitted, once, reach, power_of_two), once
    copies = _copies(layer, fitted)
    return _split(_integer_layer(layer, fitted, copies, reach, power_of_two), copies), copies


def _snapped(sums: Float64) -> Float64:
    """On a grid of 2^-SNAP: float64's last bits, which depend on instruction sets and threads, decide nothing."""
    snapped: Float64 = np.rint(sums * 2.0**SNAP) * 2.0**-SNAP
    return snapped


@dataclass(frozen=True)
class _Fit:
    """One stride phase of a layer, its moments, and its weights (O, F) of least squares, not yet rounded."""

    phase: Phase
    moments: Moments
    weight: Float64

    def by_channel(self) -> Float64:
        """(O, C) the largest |w| of each input channel."""
        outputs, taps = len(self.weight), len(self.phase.taps)
        largest: Float64 = np.abs(self.weight).reshape(outputs, -1, taps).max(axis=2)
        return largest


def _fitted(layer: Layer, moments: list[Moments]) -> list[_Fit]:
    return [
        _Fit(phase, found, refitted(_features(layer, phase.taps), found))
        for phase, found in zip(phases(layer)[1], moments, strict=True)
    ]


def _copies(layer: Layer, fitted: list[_Fit]) -> Int64:
    """(C_in,) how often to read each input channel, so that as many bits as possible are won for all weights."""
    largest = np.max([fit.by_channel() for fit in fitted], axis=0)
    limit = np.maximum(largest.max(axis=1, keepdims=True), 1e-30)
    for bits in range(SPLIT_BITS, 0, -1):
        # a hair's breadth less than the limit needs no copy: powers of two come from float64 arithmetic
        copies: Int64 = np.ceil((largest * 2.0**bits / limit).max(axis=0) - 1e-6).astype(np.int64)
        copies = np.maximum(copies, 1)
        if copies.sum() - layer.in_channels <= SPLIT_SHARE * layer.in_channels:
            return copies
    return np.ones(layer.in_channels, np.int64)


def _integer_layer(layer: Layer, fitted: list[_Fit], copies: Int64, reach: int, power_of_two: bool) -> IntegerLayer:
    """Weights up to 127 times the copies of their input, and biases, for inputs that are integers up to `reach`.

    Grids as fine as that and the accumulator's bound allow; 2^23, not 2^24, because rounding half to even without
    a Round operator needs as much again (carrier.py).
    """
    largest = np.max([(fit.by_channel() / copies).max(axis=1) for fit in fitted], axis=0)
    exponent = np.maximum(exponent_to_hold(largest, WEIGHT_MAX, power_of_two), -FINEST)
    axis = 1 if layer.transposed else 0
    bound = np.zeros(0)
    for _ in range(8):
        weight = np.zeros(layer.weight.shape, np.int64)
        by_output = np.moveaxis(weight, axis, 0)
        biases = []
        for fit in fitted:
            taps = fit.phase.taps
            integers = rounded(fit.weight, exponent, WEIGHT_MAX * np.repeat(copies, len(taps)), fit.moments)
            by_output[:, :, taps[:, 0], taps[:, 1]] = integers.reshape(layer.out_channels, layer.in_channels, -1)
            # the mean error of the sums, which rounding leaves, is taken back
            biases.append(fit.moments.sums - (integers * np.exp2(exponent)[:, None]) @ fit.moments.inputs)
        bias = to_grid(np.mean(biases, axis=0), exponent)
        bound = accumulator_bound(weight, axis, layer.stride if layer.transposed else 1, reach) + np.abs(bias)
        over = bound >= FLOAT32_EXACT // 2
        if not over.any():
            return IntegerLayer(layer, weight, exponent, bias, 0.0, None, 0, 0, ACTIVATION_MAX)
        exponent = exponent + over.astype(np.float64)
    raise ExportRefusedError(
        f"node {layer.name}: accumulator bound {int(bound.max(initial=0))} stays above 2^23 at 8-bit weights;"
        " split the input channels or use smaller layers"
    )


def _split(made: IntegerLayer, copies: Int64) -> IntegerLayer:
    """The layer behind a channel repeated `copies` times, its weights shared out evenly."""
    axis = 0 if made.layer.transposed else 1
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    # floor(w / n) + floor((w + 1) / n) + ... + floor((w + n - 1) / n) = w
    number = np.concatenate([np.arange(n) for n in copies]).reshape(shape)
    weight = (np.repeat(made.weight, copies, axis) + number) // np.repeat(copies, copies).reshape(shape)
    real = np.repeat(made.layer.weight, copies, axis) / np.repeat(copies, copies).reshape(shape)
    return replace(made, weight=weight, layer=replace(made.layer, weight=real))


def _features(layer: Layer, taps: Int64) -> Float64:
    """(O, C * T) the weights of some taps."""
    by_output = np.moveaxis(layer.weight, 1, 0) if layer.transposed else layer.weight
    return by_output[:, :, taps[:, 0], taps[:, 1]].reshape(layer.out_channels, -1)


def integer_sums(made: IntegerLayer, x: Float64) -> Float64:
    """(1, C_out, H, W) in steps of the output, of integers x; in float32, exact below the bound of `_integer_layer`."""
    sums = layer_sums(made.layer, made.weight, made.bias, x, np.float32)
    scaled: Float64 = sums * np.exp2(made.weight_exponent).reshape(1, -1, 1, 1)
    return scaled


def along(layer: Layer, values: Float64, output: bool) -> Float64:
    """`values` per output (or input) channel, shaped to multiply the layer's weights."""
    shape = [1, 1, 1, 1]
    shape[1 if layer.transposed == output else 0] = -1
    return values.reshape(shape)
