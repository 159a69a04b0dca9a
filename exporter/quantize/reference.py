"""Evaluates a chain in float64: the statistics of calibration do not depend on threads or instruction sets.

float64 leaves 29 bits below float32, and the statistics are snapped to powers of two, so that two machines choose
the same grids.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from nvc_check.exporter.network.torch_layers import Chain, Layer

Float64 = NDArray[np.float64]


def run_chain(chain: Chain, z: Float64) -> dict[str, Float64]:
    """layer name -> its output behind the activation, (1, C, h, w) float64, for symbols z: (1, N, h, w)."""
    values = {"": torch.from_numpy(z + chain.offset.reshape(1, -1, 1, 1))}
    for layer in chain.layers:
        values[layer.name] = _activate(layer, _convolve(layer, layer.weight, layer.bias, values[layer.source]))
    return {layer.name: values[layer.name].numpy() for layer in chain.layers}


def layer_sums(
    layer: Layer, weight: NDArray[Any], bias: NDArray[Any], x: Float64, dtype: type[np.floating[Any]] = np.float64
) -> Float64:
    """(1, C_out, H, W) float64: `layer` with these weights and biases, without activation, of x: (1, C_in, h, w).

    Computed in `dtype`.
    """
    sums = _convolve(
        layer,
        weight.astype(dtype, copy=False),
        bias.astype(dtype, copy=False),
        torch.from_numpy(x.astype(dtype, copy=False)),
    )
    return sums.numpy().astype(np.float64, copy=False)


def _convolve(layer: Layer, weights: NDArray[Any], biases: NDArray[Any], x: torch.Tensor) -> torch.Tensor:
    weight, bias = torch.from_numpy(weights), torch.from_numpy(biases)
    if layer.transposed:
        return functional.conv_transpose2d(x, weight, bias, layer.stride, layer.padding, layer.output_padding)
    return functional.conv2d(x, weight, bias, layer.stride, layer.padding)


def _activate(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    x = torch.maximum(x, x * layer.activation.slope)
    return x if layer.activation.upper is None else x.clamp(max=layer.activation.upper)
