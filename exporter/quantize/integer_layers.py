"""Chooses the integer form of a chain: weights, grids and rounding, such that design conditions hold.

Every scale is a power of two. Hidden activations have 8 bits ([0, 255]; behind a LeakyRelu as many of them below zero
as the calibration needs), rounded half to even. The last layers are not rounded to 8 bits: scales and means are read
from their exact accumulators at 16 bits, which is where most of the published rate loss of quantized hyperpriors comes
from (small scales on a coarse grid).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.network.torch_layers import Chain, Layer, Output
from nvc_check.exporter.quantize.equalization import equalized, ranges
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import FLOAT32_EXACT, exponent_to_hold, to_grid

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WEIGHT_MAX = 127
FINEST = 20  # bits of an accumulator below its output's grid
ROUNDING = 1 << (FINEST + 1)  # at most that many steps of the accumulator are added to round it, in either flavour
Z_MIN, Z_MAX = -127, 127  # of symbols plus whole medians
PLANE = 64  # value of the coarse constant plane that carries fractional medians
SLOPE_BITS = 8  # of a LeakyRelu's slope: 0.2 % at most beside what was trained
LEAKY_BITS = 15  # bits below a step of the output that the part below zero has, times its slope
FINEST_LEAKY = 15  # in place of FINEST: 255 steps of them and the zero point's 255 more stay below 2^24


@dataclass(frozen=True)
class IntegerLayer:
    """A layer on its grids.

    Attributes:
        layer: geometry, activation and connection; its weights are the float ones.
        weight: int64 in the layout of `layer.weight`, |w| <= 127; two more input channels where `planes`.
        weight_exponent: (C_out,) e of each output channel's weights.
        bias: (C_out,) int64 on the accumulator's grid 2^(input_exponent + weight_exponent).
        input_exponent: e of the input.
        output_exponent: e of the rounded output; None: the accumulator itself is the output.
        low, high: the rounded output saturates to [low, high].
        input_max: largest number that an input has as uint8.
    """

    layer: Layer
    weight: Int64
    weight_exponent: Float64
    bias: Int64
    input_exponent: float
    output_exponent: float | None
    low: int
    high: int
    input_max: int = 255


@dataclass(frozen=True)
class IntegerOutput:
    """Channels [start, stop) of `layer`'s accumulator, floor(value / 2^exponent + half) clipped to [low, high]."""

    name: str
    layer: str
    start: int
    stop: int
    exponent: int
    half: bool
    low: int
    high: int


@dataclass(frozen=True)
class IntegerChain:
    """What both flavours of a graph are written from. `planes`: constant input channels 1 and 64 carry the medians."""

    layers: tuple[IntegerLayer, ...]
    outputs: tuple[IntegerOutput, ...]
    z_min: int
    z_max: int
    offset: Int64
    planes: bool

    def output(self, name: str) -> IntegerOutput:
        return next(output for output in self.outputs if output.name == name)


def quantize_chain(chain: Chain, symbols: list[Int64], power_of_two: bool = True) -> IntegerChain:
    """The integer form of a hyper-decoder.

    Args:
        chain: outputs `scales_hat` and, if the codec has them, `means`.
        symbols: calibration hyper-latents, each (1, N, h, w) int64.
        power_of_two: off gives ordinary scales, for which no exactness can be shown.

    Channels are first equalized: a Relu's output channel is scaled by a power of two, and the next layer's weights
    by its inverse, so that each channel fills the range of the tensor.

    Raises:
        ExportRefusedError: a layer that cannot meet the accumulator bound, by name.
    """
    whole = np.floor(chain.offset + 0.5)
    fraction = chain.offset - whole
    z_min, z_max = Z_MIN - int(min(0, whole.min())), Z_MAX - int(max(0, whole.max()))
    inputs = [np.clip(z, z_min, z_max).astype(np.float64) for z in symbols]
    chain = equalized(chain, inputs)
    found = ranges(chain, inputs)
    exponents: dict[str, float] = {"": 0.0}
    layers: list[IntegerLayer] = []
    outputs: list[IntegerOutput] = []
    for layer in chain.layers:
        planes = fraction if layer.source == "" and fraction.any() else None
        coarsest = _coarsest_needed(layer, exponents[layer.source])
        read = [o for o in chain.outputs if o.layer == layer.name]
        if read:
            made = [_output(layer, o, found[layer.name], coarsest) for o in read]
            finest = min(output.exponent for output in made)
            layers.append(_integer_layer(layer, exponents[layer.source], finest, planes, power_of_two, hidden=False))
            outputs += made
            continue
        e, low, high = _hidden_grid(layer, found[layer.name], coarsest, power_of_two)
        exponents[layer.name] = e
        integer = _integer_layer(layer, exponents[layer.source], e, planes, power_of_two, hidden=True)
        layers.append(replace(integer, output_exponent=e, low=low, high=high))
    return IntegerChain(tuple(layers), tuple(outputs), z_min, z_max, whole.astype(np.int64), bool(fraction.any()))


def _coarsest_needed(layer: Layer, input_exponent: float) -> float:
    """The finest output grid on which the largest sum that can occur still is below 2^22 steps.

    It matters where calibration saw next to nothing, as in a part that was never trained.
    """
    reach = 255 * 2.0**input_exponent if layer.source else float(Z_MAX)
    axis = 1 if layer.transposed else 0
    bound = accumulator_bound(layer.weight, axis, layer.stride if layer.transposed else 1, reach) + np.abs(layer.bias)
    return float(np.ceil(np.log2(max(float(bound.max()), 2.0**-100))) - 22)


def _hidden_grid(
    layer: Layer, reached: tuple[Float64, Float64], coarsest: float, power_of_two: bool
) -> tuple[float, int, int]:
    """(e, low, high) of the output of a layer that others read: [0, 255], behind a LeakyRelu 256 values around zero.

    The zero point, -low, is even, because OpenVINO counts ties from the lowest value. The room beside what calibration
    saw is shared out; below zero there is room for a peak as large as the one above, times the slope.
    """
    top, slope = max(float(reached[1].max()), 0.0), layer.activation.slope
    if slope == 0:
        upper = np.inf if layer.activation.upper is None else layer.activation.upper
        e = max(float(exponent_to_hold(np.asarray(min(top, upper)), 255, power_of_two)), coarsest)
        return e, 0, int(min(255, np.rint(upper / 2.0**e)))
    bottom = max(-float(reached[0].min()), top * slope)
    e = max(float(exponent_to_hold(np.asarray(top + bottom), 253, power_of_two)), coarsest)
    zero = 2 * int(np.ceil(bottom / 2.0**e / 2))
    spare = 255 - zero - top / 2.0**e
    zero += 2 * int(spare * bottom / max(top + bottom, 2.0**-100) / 2)
    return e, -zero, 255 - zero


def _output(layer: Layer, output: Output, reached: tuple[Float64, Float64], coarsest: float) -> IntegerOutput:
    """Scales: 16 bits unsigned, floor, thresholds compare on it. Means: 16 bits signed, floor(x + 1/2).

    The grid leaves two bits above the calibration's largest value and is no coarser than 2^-8, no finer than 2^-10.
    Means beyond 64 make it coarser, with one bit above them: they have no end, as scales have, whose table ends at 256.
    A Relu or Clip behind the layer are limits of these integers; scales below zero have the index of zero anyway.

    Raises:
        ExportRefusedError: means behind a LeakyRelu.
    """
    is_scale = output.name == "scales_hat"
    low, high = (0, 65535) if is_scale else (-32768, 32767)
    peak = max(float(np.abs(each[output.start : output.stop]).max()) for each in reached)
    e = int(max(float(np.clip(exponent_to_hold(np.asarray(4 * peak), high), -10, -8)), coarsest))
    if not is_scale:
        e = max(e, int(exponent_to_hold(np.asarray(2 * peak), high)))
    if layer.activation.slope == 0:
        low = 0
    elif layer.activation.slope != 1 and not is_scale:
        raise ExportRefusedError(
            f"node {layer.name}: {output.name} are read behind a LeakyRelu, expected behind a convolution, Relu or Clip"
        )
    if layer.activation.upper is not None:
        high = min(high, int(np.floor(layer.activation.upper * 2.0**-e + (0 if is_scale else 0.5))))
    return IntegerOutput(output.name, output.layer, output.start, output.stop, e, not is_scale, low, high)


def _integer_layer(
    layer: Layer,
    input_exponent: float,
    output_exponent: float,
    fraction: Float64 | None,
    power_of_two: bool,
    *,
    hidden: bool,
) -> IntegerLayer:
    """Rounds the weights on the finest grids that keep 8 bits and the accumulator below 2^24.

    The accumulator's grid is at most 2^20 finer than the output's (2^15 where a LeakyRelu is between them), or the
    rounding term would not fit beside it: a channel of tiny weights keeps fewer of their bits, none of which could
    show in the output. Nor could those that a bias far larger than the weights leaves no room for.
    """
    axis = 1 if layer.transposed else 0
    by_channel = np.moveaxis(layer.weight, axis, 0).reshape(layer.out_channels, -1)
    exponent = _to_hold(np.abs(by_channel).max(axis=1), WEIGHT_MAX, power_of_two)
    finest = FINEST_LEAKY if hidden and layer.activation.slope != 0 else FINEST
    exponent = np.maximum(exponent, output_exponent - input_exponent - finest)
    exponent = np.maximum(exponent, _to_hold(np.abs(layer.bias), FLOAT32_EXACT // 4, True) - input_exponent)
    reach = 255 if layer.source else Z_MAX
    bound = np.zeros(0)
    for _ in range(8):
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        weight = np.clip(to_grid(layer.weight, exponent.reshape(shape)), -WEIGHT_MAX, WEIGHT_MAX)
        bias = to_grid(layer.bias, exponent + input_exponent)
        too_far = np.zeros(layer.out_channels, bool)
        if fraction is not None:
            extra, too_far = _plane_weights(layer, fraction, exponent)
            weight = np.concatenate([weight, extra], axis=1 - axis)
        bound = accumulator_bound(weight, axis, layer.stride if layer.transposed else 1, reach) + np.abs(bias)
        # halves of the output's step are added before it is rounded: they may be finer than the sum
        finer = np.exp2(np.maximum(exponent + input_exponent - output_exponent + 1, 0))
        over = (bound * finer + ROUNDING >= FLOAT32_EXACT) | too_far
        if not over.any():
            return IntegerLayer(layer, weight, exponent, bias, input_exponent, None, 0, 0)
        exponent = exponent + over.astype(np.float64)
    raise ExportRefusedError(
        f"node {layer.name}: accumulator bound {int(bound.max(initial=0))} stays above 2^24 at 8-bit weights;"
        " split the input channels or use smaller layers"
    )


def _to_hold(largest: Float64, integers: int, power_of_two: bool) -> Float64:
    """As exponent_to_hold; for 0 any, however fine."""
    held: Float64 = np.where(largest > 0, exponent_to_hold(largest, integers, power_of_two), -np.inf)
    return held


def dyadic_slope(slope: float) -> tuple[float, int]:
    """(multiple, exponent) of the slope, SMALLEST_SLOPE to 1: the nearest multiple * 2^exponent with SLOPE_BITS bits.

    A smaller slope than 2^-16 has fewer: half of what the part below zero is rounded to must stay below 2^24 steps of
    the finest sum.
    """
    octave = int(np.frexp(slope)[1])
    exponent = octave - min(SLOPE_BITS, 24 - LEAKY_BITS + FINEST_LEAKY + octave)
    return float(np.rint(slope * 2.0**-exponent)), exponent


def accumulator_bound(weight: NDArray[Any], axis: int, stride: int, reach: float) -> Float64:
    """(C_out,) largest sum of |w| * reach over the taps that meet in one output position (per stride phase)."""
    kernel = np.abs(np.moveaxis(weight, axis, 0))
    phases = [
        kernel[:, :, row::stride, column::stride].sum(axis=(1, 2, 3))
        for row in range(stride)
        for column in range(stride)
    ]
    return np.max(phases, axis=0) * reach  # type: ignore[no-any-return]


def _plane_weights(layer: Layer, fraction: Float64, exponent: Float64) -> tuple[Int64, NDArray[np.bool_]]:
    """Weights of two constant input channels that stand for the medians' fractional parts.

    A bias would be wrong at the borders: the zero padding must apply to the medians too. Channel one is 1, channel
    two is 64; together they carry sum_c w_c * fraction_c at the resolution of the weights.
    """
    equation = "iokl,i->okl" if layer.transposed else "oikl,i->okl"
    wanted = to_grid(np.einsum(equation, layer.weight, fraction), exponent.reshape(-1, 1, 1))
    coarse = np.floor_divide(wanted + PLANE // 2, PLANE)
    fine = wanted - coarse * PLANE
    pair = np.stack([fine, coarse], axis=0 if layer.transposed else 1)
    return pair, np.abs(coarse).max(axis=(1, 2)) > WEIGHT_MAX
