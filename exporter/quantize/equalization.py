"""Scales the hidden channels of a chain so that each fills the range of its tensor; exact in real numbers.

Nagel et al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nvc_check.exporter.network.torch_layers import Activation, Chain, Layer
from nvc_check.exporter.quantize.reference import run_chain

Float64 = NDArray[np.float64]

# channels are scaled up by at most 2^3: what the weights behind them lose by more costs as much as it wins, from 2^6 on
# ten times that (signal to noise of three trained hyperpriors with limits of 0 to 8)
EQUALIZE_LIMIT = 3


def ranges(chain: Chain, inputs: list[Float64]) -> dict[str, tuple[Float64, Float64]]:
    """layer -> (C_out,) lowest and (C_out,) highest activation over the calibration inputs."""
    found: dict[str, tuple[Float64, Float64]] = {}
    for z in inputs:
        for name, values in run_chain(chain, z).items():
            low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
            before = found.get(name, (low, high))
            found[name] = np.minimum(before[0], low), np.maximum(before[1], high)
    return found


def equalized(chain: Chain, inputs: list[Float64]) -> Chain:
    """`chain` with other weights and biases and the same outputs; a layer that gave nothing but zeros stays."""
    layers = {layer.name: layer for layer in chain.layers}
    for name, (lowest, highest) in ranges(chain, inputs).items():
        readers = [layer for layer in layers.values() if layer.source == name]
        peak = np.maximum(-lowest, highest)
        if not readers or not peak.any() or layers[name].activation == Activation():
            continue
        gain = np.clip(np.floor(np.log2(peak.max() / np.maximum(peak, peak.max() * 2.0**-20))), 0, EQUALIZE_LIMIT)
        layers[name] = _scaled(layers[name], np.exp2(gain), output=True)
        for reader in readers:
            layers[reader.name] = _scaled(layers[reader.name], np.exp2(-gain), output=False)
    return replace(chain, layers=tuple(layers.values()))


def _scaled(layer: Layer, factor: Float64, output: bool) -> Layer:
    axis = (1 if layer.transposed else 0) if output else (0 if layer.transposed else 1)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return replace(
        layer, weight=layer.weight * factor.reshape(shape), bias=layer.bias * factor if output else layer.bias
    )
