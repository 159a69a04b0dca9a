"""Chooses the integer form of a synthesis transform: latents to a picture, to motion or to a residual.

Every tensor between the layers is integers of 8 bits on a grid per channel that is absorbed in the weights, so that
all scales between layers are 1. Latents are read in two limbs of 8 bits, as twice the channels: the means make them
finer than 8 bits, and the first layer, at 1/16 of the resolution, is the cheapest one to widen.

Where the quality goes, dB below FP32 at the same symbols, mean of 12 Kodak photographs, the bundled image codec:
    weights rounded one by one 1.14, with the mean error put into the biases 0.48, by weight_rounding.py 0.19
    and with latents of 11 bits in place of 8: 0.12; and with activations whose rare peaks saturate: 0.08
    weights of 7 bits, which int8 kernels on x86 without VNNI could take as int8: 0.20
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.layers import Activation, Chain, Latent, Layer
from nvc_check.exporter.quantization import FINEST, WEIGHT_MAX, IntegerLayer, accumulator_bound
from nvc_check.exporter.reference import layer_sums
from nvc_check.exporter.weight_rounding import Moments, gather_moments, phases, refitted, rounded
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import FLOAT32_EXACT, exponent_to_hold, to_grid

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

LIMB_MAX, ACTIVATION_MAX = 127, 255  # int8 limbs (as uint8 with zero point 128), uint8 activations
FINE = 4  # bits of the second limb's grid below the first one's, and of its weights above
LATENT_REACH = 136.0  # steps of the first limb, beyond which both limbs are saturated
Y_MAX = 1023  # symbols y are clipped to [-Y_MAX, Y_MAX]: with 16-bit means at 2^-10 they stay below 2^22 steps
SNAP = 8  # bits of the wanted sums below a step of the output
EQUALIZE_LIMIT = 8  # a channel's grid is at most 2^8 finer than the coarsest of its tensor


@dataclass(frozen=True)
class IntegerSynthesis:
    """What both flavours of a frame graph are written from.

    Attributes:
        latents: what the first layer reads, put together along the channels.
        grid: (C,) e of the first limb of each channel of the latents; the second limb's is `FINE` less.
        layers: all inputs are integers with scale 1; the last one's output is the accumulator, or, where it has an
            `output_exponent`, a picture in [0, 255].
    """

    latents: tuple[Latent, ...]
    grid: Float64
    layers: tuple[IntegerLayer, ...]


def _latent_grid(latents: list[Float64], power_of_two: bool) -> Float64:
    """(C,) e of the first limb: the largest of the calibration's y_hat, (1, C, h, w) each, is at most 127 steps."""
    peak = np.max([np.abs(y_hat).max(axis=(0, 2, 3)) for y_hat in latents], axis=0)
    # a channel that was never used has steps of 1, so that whatever comes is decoded
    return exponent_to_hold(np.where(peak > 0, peak, LIMB_MAX), LIMB_MAX, power_of_two)


def limbs(y_hat: Float64, grid: Float64) -> Float64:
    """(1, 2C, h, w) integers within [-128, 127]: y_hat on `grid`, and what is left on a grid 2^FINE finer."""
    steps = y_hat / _wide(grid)
    coarse: Float64 = np.clip(np.rint(steps), -LIMB_MAX - 1, LIMB_MAX)
    fine = np.clip(np.rint((steps - coarse) * 2.0**FINE), -LIMB_MAX - 1, LIMB_MAX)
    return np.concatenate([coarse, fine], axis=1)


def quantize_synthesis(
    chain: Chain, latents: list[Float64], gain: Float64, *, picture: bool, power_of_two: bool = True
) -> IntegerSynthesis:
    """The integer form of a decoder from latents.

    Args:
        chain: layers one behind the other, with Relu between them.
        latents: calibration y_hat, put together along the channels, (1, C, h, w) each.
        gain: (C_out,) factor of the last layer's outputs, folded into its weights: 255 gives 8-bit steps.
        picture: the last layer's outputs are rounded to integers in [0, 255].
        power_of_two: off gives ordinary scales, for which no exactness can be shown.

    Raises:
        ExportRefusedError: not a chain of layers with Relu between them, or an accumulator bound that cannot hold.
    """
    _require_straight(chain)
    grid = _latent_grid(latents, power_of_two)
    real, integers = latents, [limbs(y_hat, grid) for y_hat in latents]
    read = np.exp2(np.concatenate([grid, grid - FINE]))  # real size of a step of each channel of `integers`
    layers: list[IntegerLayer] = []
    for layer in chain.layers:
        last = layer is chain.layers[-1]
        wanted = [layer_sums(layer, layer.weight, layer.bias, x) for x in real]
        real = [np.maximum(sums, 0) for sums in wanted]
        units = 1 / gain if last else np.exp2(_hidden_grid(real, power_of_two))
        repeated = np.concatenate([layer.weight] * (len(read) // layer.in_channels), axis=0 if layer.transposed else 1)
        scaled = replace(
            layer,
            weight=repeated * _along(layer, read, output=False) / _along(layer, units, output=True),
            bias=layer.bias / units,
            activation=Activation(0.0) if picture or not last else Activation(),
        )
        targets = [_snapped(sums / units.reshape(1, -1, 1, 1)) for sums in wanted]
        moments = gather_moments(scaled, integers, targets)
        made = _integer_layer(scaled, moments, ACTIVATION_MAX if layers else LIMB_MAX + 1, power_of_two)
        rounds = picture or not last
        layers.append(replace(made, output_exponent=0.0, high=ACTIVATION_MAX) if rounds else made)
        if not last:
            integers = [np.clip(np.rint(_sums(made, x)), 0, ACTIVATION_MAX) for x in integers]
            read = units
    return IntegerSynthesis(chain.latents, grid, tuple(layers))


def _snapped(sums: Float64) -> Float64:
    """On a grid of 2^-SNAP: float64's last bits, which depend on instruction sets and threads, decide nothing."""
    snapped: Float64 = np.ldexp(np.rint(np.ldexp(sums, SNAP)), -SNAP)
    return snapped


def _require_straight(chain: Chain) -> None:
    if not chain.layers or not chain.latents:
        raise ExportRefusedError("a decoder without layers or latents: expected convolutions behind symbols")
    before = ""
    for layer in chain.layers:
        if layer.source != before:
            raise ExportRefusedError(
                f"node {layer.name}: reads {layer.source or 'the latents'}, expected {before or 'the latents'}:"
                " a decoder's layers must follow each other"
            )
        last = layer is chain.layers[-1]
        if layer.activation != (Activation() if last else Activation(0.0)):
            wanted = "none behind the last layer" if last else "Relu between layers"
            raise ExportRefusedError(
                f"node {layer.name}: activation {layer.activation} of a decoder has no 8-bit form, expected {wanted};"
                " export at --scope hyperprior, or train with Relu"
            )
        before = layer.name


def _hidden_grid(activations: list[Float64], power_of_two: bool) -> Float64:
    """(C,) e of the grid with the least mean squared error: the finest that holds all activations, or one finer.

    Rare peaks saturate then, which costs less than a bit of every other value (0.06 dB on the twelve photographs).
    """
    peak = np.max([x.max(axis=(0, 2, 3)) for x in activations], axis=0)
    highest = float(peak.max()) or 1.0
    floor = highest * 2.0**-EQUALIZE_LIMIT
    whole = exponent_to_hold(np.where(peak > 0, np.maximum(peak, floor), highest), ACTIVATION_MAX, power_of_two)
    kept, clipped = (sum(_grid_error(x, e) for x in activations) for e in (whole, whole - 1))
    return np.where(kept <= clipped, whole, whole - 1)


def _grid_error(x: Float64, exponent: Float64) -> Float64:
    """(C,) sum of squared differences that rounding to [0, 255] steps of 2^exponent makes."""
    rounded_steps = np.clip(np.rint(x / _wide(exponent)), 0, ACTIVATION_MAX)
    error: Float64 = ((rounded_steps * _wide(exponent) - x) ** 2).sum(axis=(0, 2, 3))
    return error


def _integer_layer(layer: Layer, moments: list[Moments], reach: int, power_of_two: bool) -> IntegerLayer:
    """Weights and biases rounded for inputs that are integers up to `reach` in magnitude.

    Grids as fine as 8 bits and the accumulator's bound allow; 2^23, not 2^24, because rounding half to even without
    a Round operator needs as much again (carrier.py).
    """
    apart = phases(layer)[1]
    fitted = [refitted(_features(layer, phase.taps), found) for phase, found in zip(apart, moments, strict=True)]
    largest = np.max([np.abs(part).max(axis=1) for part in fitted], axis=0)
    exponent = np.maximum(exponent_to_hold(largest, WEIGHT_MAX, power_of_two), -FINEST)
    axis = 1 if layer.transposed else 0
    bound = np.zeros(0)
    for _ in range(8):
        weight = np.zeros(layer.weight.shape, np.int64)
        by_output = np.moveaxis(weight, axis, 0)
        biases = []
        for phase, part, found in zip(apart, fitted, moments, strict=True):
            integers = rounded(part, exponent, WEIGHT_MAX, found)
            by_output[:, :, phase.taps[:, 0], phase.taps[:, 1]] = integers.reshape(
                layer.out_channels, layer.in_channels, -1
            )
            # the mean error of the sums, which rounding leaves, is taken back
            biases.append(found.sums - (integers * np.exp2(exponent)[:, None]) @ found.inputs)
        bias = to_grid(np.mean(biases, axis=0), exponent)
        bound = accumulator_bound(weight, axis, layer.stride if layer.transposed else 1, reach) + np.abs(bias)
        over = bound >= FLOAT32_EXACT // 2
        if not over.any():
            return IntegerLayer(layer, weight, exponent, bias, 0.0, None, 0, 0)
        exponent = exponent + over.astype(np.float64)
    raise ExportRefusedError(
        f"node {layer.name}: accumulator bound {int(bound.max(initial=0))} stays above 2^23 at 8-bit weights;"
        " split the input channels or use smaller layers"
    )


def _features(layer: Layer, taps: Int64) -> Float64:
    """(O, C * T) the weights of some taps."""
    by_output = np.moveaxis(layer.weight, 1, 0) if layer.transposed else layer.weight
    return by_output[:, :, taps[:, 0], taps[:, 1]].reshape(layer.out_channels, -1)


def _sums(made: IntegerLayer, x: Float64) -> Float64:
    steps = np.exp2(made.weight_exponent)
    bias: Float64 = made.bias.astype(np.float64) * steps
    return layer_sums(made.layer, made.weight * _along(made.layer, steps, output=True), bias, x)


def _along(layer: Layer, values: Float64, output: bool) -> Float64:
    """`values` per output (or input) channel, shaped to multiply the layer's weights."""
    shape = [1, 1, 1, 1]
    shape[1 if layer.transposed == output else 0] = -1
    return values.reshape(shape)


def _wide(exponent: Float64) -> Float64:
    return np.exp2(exponent).reshape(1, -1, 1, 1)
