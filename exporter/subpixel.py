"""A transposed convolution as a stride-1 convolution with stride^2 times the outputs, then DepthToSpace (DCR).

ONNX Runtime has no integer ConvTranspose; this form makes its QLinearConv run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvc_check.exporter.quantization import IntegerLayer


def as_convolution(integer: IntegerLayer) -> tuple[IntegerLayer, int]:
    """(layer with outputs ordered (row phase, column phase, channel), stride).

    Output 2n + p of the transposed convolution reads input n + d with tap p + padding - stride * d.
    """
    layer = integer.layer
    stride, taps = layer.stride, layer.weight.shape[2]
    reach = max(
        abs(d)
        for d in range(-taps, taps + 1)
        for phase in range(stride)
        if 0 <= phase + layer.padding - stride * d < taps
    )
    size = 2 * reach + 1
    channels_in, channels_out = integer.weight.shape[:2]
    weight = np.zeros((stride, stride, channels_out, channels_in, size, size), np.int64)
    for row_phase in range(stride):
        for column_phase in range(stride):
            for row in range(size):
                for column in range(size):
                    a = row_phase + layer.padding - stride * (row - reach)
                    b = column_phase + layer.padding - stride * (column - reach)
                    if 0 <= a < taps and 0 <= b < taps:
                        weight[row_phase, column_phase, :, :, row, column] = integer.weight[:, :, a, b].T
    repeat = stride * stride
    plain = replace(
        layer,
        transposed=False,
        stride=1,
        padding=reach,
        output_padding=0,
        bias=np.tile(layer.bias, repeat),
    )
    return (
        replace(
            integer,
            layer=plain,
            weight=weight.reshape(repeat * channels_out, channels_in, size, size),
            weight_exponent=np.tile(integer.weight_exponent, repeat),
            bias=np.tile(integer.bias, repeat),
        ),
        stride,
    )
