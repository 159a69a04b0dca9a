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

from nvc_check.exporter.limbs import FINE, HIGH, LOW, limbs
from nvc_check.exporter.network.torch_layers import Activation, Chain, Latent
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantize.integer_layers import IntegerLayer
from nvc_check.exporter.quantize.layer_fitting import ACTIVATION_MAX, along, fit_layer, integer_sums
from nvc_check.exporter.quantize.reference import layer_sums
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import exponent_to_hold

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

PICTURE_MAX = 255
Y_MAX = 1023  # symbols y are clipped to [-Y_MAX, Y_MAX]: with 16-bit means at 2^-10 they stay below 2^22 steps
EQUALIZE_LIMIT = 8  # a channel's grid is at most 2^8 finer than the coarsest of its tensor


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
            weight=weight * along(layer, steps, output=False) / along(layer, units, output=True),
            bias=layer.bias / units,
            activation=Activation(0.0) if picture or not last else Activation(),
        )
        targets = [each / units.reshape(1, -1, 1, 1) for each in wanted]
        reach = -LOW if first else ACTIVATION_MAX
        made, copies = fit_layer(scaled, integers, targets, reach, split=first, power_of_two=power_of_two)
        if first:
            read, integers = np.repeat(read, copies), [np.repeat(x, copies, axis=1) for x in integers]
        if picture or not last:
            made = replace(made, output_exponent=0.0, high=PICTURE_MAX if last else ACTIVATION_MAX)
        layers.append(made)
        if not last:
            sums = on_all_cores(partial(integer_sums, made), integers)
            integers = [np.clip(np.rint(each), 0, ACTIVATION_MAX) for each in sums]
            steps = units
    return IntegerSynthesis(chain.latents, grid, read, tuple(layers))


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
