"""Chooses the integer form of a synthesis transform: latents to a picture, to motion or to a residual.

Every tensor between the layers is integers of 7 bits on a grid per channel that is absorbed in the weights, so that
all scales between layers are 1. Latents are read in two limbs. The weights of the first layer, at 1/16 of the
resolution the cheapest one to widen, have a few outliers: the latents' channels that carry most of the picture. Such a
channel is read several times, with a share of its weights each, so that the grid of all others can be finer (outlier
channel splitting: Zhao et al., "Improving neural network quantization without retraining", ICML 2019).

Where the quality goes, dB below FP32 at the same symbols, mean of six Kodak photographs, the bundled image codec:
    8-bit activations, rare peaks saturating, no channel read twice       0.095 (worst 0.159); without any rounding of
                                                                          weights 0.025
    the same, weights of 7 bits                                           0.240
    the same, activations of 7 bits                                       0.120
    activations and limbs of 7 bits, outliers split                       0.075
    and no peak of the calibration saturates                              0.066 (worst 0.126)
and before that: weights rounded one by one 1.14, with the mean error put into the biases 0.48 (twelve photographs).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.layers import Activation, Chain, Latent, Layer
from nvc_check.exporter.limbs import FINE, HIGH, LOW, limbs
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantization import FINEST, WEIGHT_MAX, IntegerLayer, accumulator_bound
from nvc_check.exporter.reference import layer_sums
from nvc_check.exporter.weight_rounding import Moments, Phase, gather_moments, phases, refitted, rounded
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import FLOAT32_EXACT, exponent_to_hold, to_grid

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

PICTURE_MAX = 255
# 7 bits: two products with int8 weights then stay below 2^15, where x86 without VNNI saturates (VPMADDUBSW). Weights of
# 8 bits and these activations lose less than weights of 7 bits.
ACTIVATION_MAX = 127
Y_MAX = 1023  # symbols y are clipped to [-Y_MAX, Y_MAX]: with 16-bit means at 2^-10 they stay below 2^22 steps
SNAP = 8  # bits of the wanted sums below a step of the output
EQUALIZE_LIMIT = 8  # a channel's grid is at most 2^8 finer than the coarsest of its tensor
SPLIT_SHARE = 0.5  # of the first layer's inputs, that many more at most to split outliers
SPLIT_BITS = 3


@dataclass(frozen=True)
class IntegerSynthesis:
    """What both flavours of a frame graph are written from.

    Attributes:
        latents: what the first layer reads, put together along the channels.
        grid: (C,) e of the first limb of each channel of the latents; the second limb's is `FINE` less.
        read: (n,) which channels of the limbs the first layer reads; one may stand there several times.
        layers: all inputs are integers with scale 1; the last one's output is the accumulator, or, where it has an
            `output_exponent`, a picture in [0, 255].
    """

    latents: tuple[Latent, ...]
    grid: Float64
    read: NDArray[np.int32]
    layers: tuple[IntegerLayer, ...]


def _latent_grid(latents: list[Float64], power_of_two: bool) -> Float64:
    """(C,) e of the first limb: the largest of the calibration's y_hat, (1, C, h, w) each, is at most 63 steps."""
    peak = np.max([np.abs(y_hat).max(axis=(0, 2, 3)) for y_hat in latents], axis=0)
    # a channel that was never used has steps of 1, so that whatever comes is decoded
    return exponent_to_hold(np.where(peak > 0, peak, HIGH), HIGH, power_of_two)


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
    steps = np.exp2(np.concatenate([grid, grid - FINE]))  # real size of a step of each channel of `integers`
    read = np.arange(len(steps), dtype=np.int32)
    layers: list[IntegerLayer] = []
    for layer in chain.layers:
        first, last = not layers, layer is chain.layers[-1]
        wanted = on_all_cores(partial(layer_sums, layer, layer.weight, layer.bias), real)
        real = [np.maximum(each, 0) for each in wanted]
        units = 1 / gain if last else np.exp2(_hidden_grid(real, power_of_two))
        weight = np.concatenate([layer.weight] * 2, axis=0 if layer.transposed else 1) if first else layer.weight
        scaled = replace(
            layer,
            weight=weight * _along(layer, steps, output=False) / _along(layer, units, output=True),
            bias=layer.bias / units,
            activation=Activation(0.0) if picture or not last else Activation(),
        )
        targets = [_snapped(each / units.reshape(1, -1, 1, 1)) for each in wanted]
        fitted = _fitted(scaled, gather_moments(scaled, integers, targets))
        if first:
            copies = _copies(scaled, fitted)
            made = _split(_integer_layer(scaled, fitted, copies, -LOW, power_of_two), copies)
            read, integers = np.repeat(read, copies), [np.repeat(x, copies, axis=1) for x in integers]
        else:
            made = _integer_layer(scaled, fitted, np.ones_like(steps, np.int64), ACTIVATION_MAX, power_of_two)
        if picture or not last:
            made = replace(made, output_exponent=0.0, high=PICTURE_MAX if last else ACTIVATION_MAX)
        layers.append(made)
        if not last:
            sums = on_all_cores(partial(_sums, made), integers)
            integers = [np.clip(np.rint(each), 0, ACTIVATION_MAX) for each in sums]
            steps = units
    return IntegerSynthesis(chain.latents, grid, read, tuple(layers))


def _snapped(sums: Float64) -> Float64:
    """On a grid of 2^-SNAP: float64's last bits, which depend on instruction sets and threads, decide nothing."""
    snapped: Float64 = np.rint(sums * 2.0**SNAP) * 2.0**-SNAP
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
    """(C,) e of the finest grid that holds all activations."""
    peak = np.max([x.max(axis=(0, 2, 3)) for x in activations], axis=0)
    highest = float(peak.max()) or 1.0
    floor = highest * 2.0**-EQUALIZE_LIMIT
    return exponent_to_hold(np.where(peak > 0, np.maximum(peak, floor), highest), ACTIVATION_MAX, power_of_two)


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


def _sums(made: IntegerLayer, x: Float64) -> Float64:
    """Of integers, in float32: exact below the bound of `_integer_layer`, in half the time."""
    sums = layer_sums(made.layer, made.weight, made.bias, x, np.float32)
    scaled: Float64 = sums * np.exp2(made.weight_exponent).reshape(1, -1, 1, 1)
    return scaled


def _along(layer: Layer, values: Float64, output: bool) -> Float64:
    """`values` per output (or input) channel, shaped to multiply the layer's weights."""
    shape = [1, 1, 1, 1]
    shape[1 if layer.transposed == output else 0] = -1
    return values.reshape(shape)
