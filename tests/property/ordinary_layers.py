"""Sums: products, convolutions, integer kernels, pools, and chains of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from property.ordinary_sketch import FLOAT, HALVED, INT8, INT64, NEAREST, SAME, UINT8, Rows


def products() -> Rows:
    pairs = np.array([[1, 1], [1, -1]], np.float32)
    hadamard = np.kron(pairs, pairs)
    return {
        "MatMul": lambda s: s.int32(s.op("MatMul", s.read(-99, 99, (6, 8)), s.whole(8, 5))),
        "MatMul of many": lambda s: s.int32(s.op("MatMul", s.byte(), s.whole(8, 3))),
        "weights on the left, opset 13": lambda s: s.at(13).int32(
            s.op("MatMul", s.whole(5, 6), s.read(-99, 99, (6, 8)))
        ),
        "Hadamard transform on both sides": lambda s: s.int32(
            s.op("Mul", s.op("MatMul", s.op("MatMul", hadamard, s.read(-99, 99, (3, 4, 4))), hadamard), 4.0)
        ),
        "MatMul of two inputs": lambda s: s.int32(
            s.op("MatMul", s.read(-99, 99, (1, 4, 6, 8)), s.read(-99, 99, (1, 4, 8, 6)))
        ),
        "MatMul, bias, requantized": lambda s: s.op(
            "Cast", s.requantized(s.op("Add", s.op("MatMul", s.byte((6, 8)), s.whole(8, 5)), s.whole(5)), 6), to=UINT8
        ),
        "Gemm": lambda s: s.int32(s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(8, 5), s.whole(5, reach=99))),
        "Gemm of turned weights": lambda s: s.int32(
            s.op("Gemm", s.byte((3, 8)), s.whole(5, 8), s.whole(5, reach=99), transB=1)
        ),
        "Gemm without bias, opset 13": lambda s: s.at(13).int32(s.op("Gemm", s.byte((3, 8)), s.whole(8, 5))),
        "Gemm, rectified and requantized": lambda s: s.int32(
            s.requantized(s.op("Relu", s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(5, 8), s.whole(5), transB=1)), 5)
        ),
        "Gemm of half": lambda s: s.int32(
            s.op("Floor", s.op("Gemm", s.read(-99, 99, (3, 8)), s.whole(8, 5), s.whole(5), alpha=0.5, beta=2.0))
        ),
    }  # fmt: skip


def convolutions() -> Rows:
    up: dict[str, Any] = {"op_type": "ConvTranspose", "strides": [2, 2]}
    return {
        "Conv 1x1": lambda s: s.int32(s.filtered(s.read(-99, 99), 3, 4, 1, 1, bias=True)),
        "Conv 3x3": lambda s: s.int32(s.filtered(s.byte(), 3, 4, 3, 3, **SAME)),
        "Conv 3x3 with bias, opset 13": lambda s: s.at(13).int32(s.filtered(s.byte(), 3, 4, 3, 3, bias=True)),
        "Conv 3x3, every other": lambda s: s.int32(s.filtered(s.byte(), 3, 4, 3, 3, strides=[2, 2], **SAME)),
        "Conv 3x3, two groups": lambda s: s.int32(s.filtered(s.read(-99, 99), 4, 2, 3, 3, group=2, **SAME)),
        "Conv 3x3, depthwise": lambda s: s.int32(s.filtered(s.byte(), 4, 1, 3, 3, group=4, bias=True, **SAME)),
        "Conv 3x3, dilated": lambda s: s.int32(s.filtered(s.byte(of=INT8), 3, 4, 3, 3, dilations=[2, 2])),
        "Conv 5x5, every other, opset 21": lambda s: s.at(21).int32(
            s.filtered(s.read(-99, 99), 6, 4, 5, 5, strides=[2, 2], pads=[2, 2, 2, 2])
        ),
        "Conv 1x3, then 3x1": lambda s: s.int32(
            s.filtered(s.filtered(s.read(-9, 9), 4, 4, 1, 3, pads=[0, 1, 0, 1]), 4, 4, 3, 1, pads=[1, 0, 1, 0])
        ),
        "ConvTranspose 2x2": lambda s: s.int32(s.filtered(s.read(-99, 99), 4, 3, 2, 2, **up)),
        "ConvTranspose 4x4": lambda s: s.int32(s.filtered(s.byte(), 4, 2, 4, 4, bias=True, **SAME, **up)),
        "ConvTranspose 5x5, one more": lambda s: s.int32(
            s.filtered(s.read(-99, 99), 4, 2, 5, 5, pads=[2, 2, 2, 2], output_padding=[1, 1], bias=True, **up)
        ),
        "ConvTranspose 3x3 without stride, opset 13": lambda s: s.at(13).int32(
            s.filtered(s.byte(of=INT8), 4, 3, 3, 3, op_type="ConvTranspose", **SAME)
        ),
        "ConvTranspose 4x4, depthwise": lambda s: s.int32(s.filtered(s.byte(), 4, 1, 4, 4, group=4, **SAME, **up)),
    }


def stored() -> Rows:
    grey, none = np.uint8(128), np.int8(0)
    powers = np.float32(2.0) ** -np.arange(3, 6)
    return {
        "quantized to multiples of 4, opset 21": lambda s: s.at(21).int32(
            s.real(s.stored(s.read(-999, 999), 4.0, grey), 4.0, grey)
        ),
        "requantized to uint8": lambda s: s.stored(s.filtered(s.byte(), 3, 4, 3, 3), 64.0, grey),
        "requantized to int8, opset 13": lambda s: s.at(13).stored(s.read(-9999, 9999), 32.0, none),
        "latents dequantized, opset 21": lambda s: s.at(21).int32(
            s.op("Mul", s.real(s.given(of=INT8), 0.125, none), 8.0)
        ),
        "Conv of dequantized values": lambda s: s.stored(
            s.op("Conv", s.real(s.given(of=UINT8), 0.25, grey), s.weights(3, 4, 3, 3), **SAME), 8.0, grey
        ),
        "Conv of dequantized values with scales per channel": lambda s: s.stored(
            s.op("Conv", s.real(s.given(of=UINT8), 0.5),
                 s.real(s.int8(3, 4, 1, 1), powers, np.zeros(3, np.int8), axis=0)), 4.0, grey,
        ),
        "Conv of dequantized values with int32 bias": lambda s: s.stored(
            s.op("Relu", s.op("Conv", s.real(s.given(of=UINT8), 0.5), s.weights(3, 4, 3, 3), s.op(
                "DequantizeLinear", s.whole(3, reach=999).astype(np.int32), 2.0**-5))), 16.0,
        ),
        "MatMul of dequantized values, opset 21": lambda s: s.at(21).stored(
            s.op("MatMul", s.real(s.given((6, 8), INT8), 0.5, none), s.weights(8, 5)), 2.0, none
        ),
        "sum of dequantized values, opset 21": lambda s: s.at(21).stored(
            s.op("Add", s.real(s.given(of=UINT8), 0.5, grey), s.real(s.given(of=UINT8), 0.25, grey)), 1.0, grey
        ),
        "joined dequantized values": lambda s: s.stored(
            s.op("Concat", s.real(s.given(of=UINT8), 1.0), s.real(s.given(of=UINT8), 2.0), axis=1), 2.0
        ),
    }  # fmt: skip


def integer_kernels() -> Rows:
    return {
        "ConvInteger": lambda s: s.op("ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3)),
        "ConvInteger of grey": lambda s: s.op(
            "ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3), np.uint8(128), **SAME
        ),
        "ConvInteger 1x1 of uint8 weights": lambda s: s.op(
            "ConvInteger", s.given(of=UINT8), (s.int8(3, 4, 1, 1) + 64).astype(np.uint8), np.uint8(0), np.uint8(64)
        ),
        "ConvInteger, every other, bias, opset 13": lambda s: s.at(13).op(
            "Add", s.op("ConvInteger", s.given(of=UINT8), s.int8(2, 4, 3, 3), strides=[2, 2]),
            s.int8(1, 2, 1, 1).astype(np.int32),
        ),
        "ConvInteger, requantized": lambda s: s.op("Cast", s.requantized(s.op("Cast", s.op(
            "ConvInteger", s.given(of=UINT8), s.int8(3, 4, 3, 3), **SAME), to=FLOAT), 9), to=UINT8),
        "MatMulInteger": lambda s: s.op("MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)),
        "MatMulInteger of int8": lambda s: s.op("MatMulInteger", s.given((6, 8), INT8), s.int8(8, 5)),
        "MatMulInteger of grey, opset 13": lambda s: s.at(13).op(
            "MatMulInteger", s.given((2, 6, 8), UINT8), s.int8(8, 5), np.uint8(128)
        ),
        "MatMulInteger and bias": lambda s: s.op(
            "Add", s.op("MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)), s.int8(5).astype(np.int32)
        ),
        "MatMulInteger, requantized": lambda s: s.op("Cast", s.requantized(s.op("Cast", s.op(
            "MatMulInteger", s.given((6, 8), UINT8), s.int8(8, 5)), to=FLOAT), 8), to=UINT8),
    }  # fmt: skip


def pools() -> Rows:
    return {
        "MaxPool 2x2": lambda s: s.int32(s.op("MaxPool", s.read(-99, 99), **HALVED)),
        "MaxPool 3x3 of the same size": lambda s: s.int32(
            s.op("MaxPool", s.byte(of=INT8), kernel_shape=[3, 3], **SAME)
        ),
        "MaxPool of uint8, opset 13": lambda s: s.at(13).op("MaxPool", s.given(of=UINT8), **HALVED),
        "MaxPool behind Conv and Relu": lambda s: s.int32(
            s.op("MaxPool", s.op("Relu", s.filtered(s.byte(), 3, 4, 3, 3, **SAME)), **HALVED)
        ),
        "AveragePool 2x2, down": lambda s: s.int32(s.op("Floor", s.op("AveragePool", s.read(-99, 99), **HALVED))),
        "AveragePool 2x2, quarters": lambda s: s.op("AveragePool", s.byte(), **HALVED),
        "AveragePool 2x2, as a sum, opset 13": lambda s: s.at(13).int32(
            s.op("Mul", s.op("AveragePool", s.byte(of=INT8), kernel_shape=[2, 2]), 4.0)
        ),
        "AveragePool 2x2 behind Conv, to even": lambda s: s.int32(
            s.op("Round", s.op("AveragePool", s.filtered(s.byte(), 3, 4, 3, 3, **SAME), **HALVED))
        ),
        "AveragePool 2x2, quantized": lambda s: s.stored(s.op("AveragePool", s.byte(), **HALVED), 1.0),
    }


def sums() -> Rows:
    return {
        "sum of channels": lambda s: s.int32(s.op("ReduceSum", s.read(-99, 99), [1], keepdims=1)),
        "sum of all places": lambda s: s.int32(s.op("ReduceSum", s.byte(), [2, 3], keepdims=0)),
        "sum in int32, opset 13": lambda s: s.at(13).op("ReduceSum", s.limited(-99, 99), [1], keepdims=1),
        "largest of channels": lambda s: s.int32(s.op("ReduceMax", s.read(-99, 99), [1], keepdims=1)),
        "largest of each row": lambda s: s.int32(s.op("ReduceMax", s.byte(), [3], keepdims=0)),
        "largest by attribute, opset 13": lambda s: s.at(13).int32(
            s.op("ReduceMax", s.byte(of=INT8), axes=[2, 3], keepdims=1)
        ),
        "below the largest": lambda s: s.int32(
            s.op("Sub", s.op("ReduceMax", x := s.read(-99, 99), [1], keepdims=1), x)
        ),
        "sums so far": lambda s: s.int32(s.op("CumSum", s.read(-99, 99), np.int64(3))),
        "sums before": lambda s: s.int32(s.op("CumSum", s.byte(), np.int64(1), exclusive=1)),
        "sums from the end": lambda s: s.int32(s.op("CumSum", s.byte(), np.int64(2), reverse=1)),
        "sums in int32, opset 13": lambda s: s.at(13).op("CumSum", s.limited(0, 999), np.int32(-1)),
        "frequencies to a table of sums": lambda s: s.int32(
            s.op("Pad", s.op("CumSum", s.read(1, 999, (4, 16)), np.int64(1)), [0, 1, 0, 0])
        ),
    }


def chains() -> Rows:
    return {
        "Conv, bias, Relu, shift, Clip": lambda s: s.op("Cast", s.op("Clip", s.op("Floor", s.op("Mul", s.op(
            "Relu", s.op("Add", s.filtered(s.byte(), 4, 4, 3, 3, **SAME), s.whole(1, 4, 1, 1, reach=99))),
            2.0**-6)), 0.0, 255.0), to=UINT8),
        "two layers": lambda s: s.int32(
            s.filtered(s.requantized(s.filtered(s.byte(), 4, 4, 3, 3, bias=True, **SAME), 6), 2, 4, 3, 3, bias=True)
        ),
        "residual block": lambda s: s.uint8(
            s.op("Add", x := s.byte(), s.op("Floor", s.op("Mul", s.filtered(s.requantized(
                s.filtered(x, 4, 4, 3, 3, **SAME), 5), 4, 4, 3, 3, **SAME), 2.0**-7)))
        ),
        "upsampled and sharpened": lambda s: s.op("Cast", s.requantized(s.filtered(s.op(
            "Resize", s.byte(), "", [1.0, 1.0, 2.0, 2.0], **NEAREST), 3, 4, 3, 3, **SAME), 4), to=UINT8),
        "ConvTranspose, requantized, Conv": lambda s: s.int32(
            s.filtered(s.requantized(s.filtered(s.read(-99, 99), 4, 2, 4, 4, op_type="ConvTranspose", strides=[2, 2],
                                                bias=True, **SAME), 6), 3, 2, 3, 3)
        ),
        "sub-pixel head": lambda s: s.op("Cast", s.op("DepthToSpace", s.requantized(
            s.filtered(s.byte(), 12, 4, 3, 3, bias=True, **SAME), 6), blocksize=2), to=UINT8),
        "hyper decoder to an index of scales": lambda s: s.int32(
            s.op("Gather", (np.arange(64) + 1).astype(np.float32), s.op("Cast", s.requantized(
                s.filtered(s.read(-30, 30), 3, 4, 3, 3, bias=True, **SAME), 5, 63.0), to=INT64))
        ),
        "scales and means of one layer": lambda s: [
            s.op("Cast", s.requantized(part, 4, 63.0), to=UINT8)
            for part in s.parts(s.filtered(s.read(-30, 30), 8, 4, 1, 1, bias=True), 2, axis=1, num_outputs=2)
        ],
        "latent from symbol and mean": lambda s: s.int32(
            s.op("Clip", s.op("Add", s.byte(of=INT8), s.op("Round", s.op("Mul", s.read(-999, 999), 2.0**-4))),
                 -128.0, 127.0)
        ),
        "context of the even places": lambda s: s.int32(
            s.filtered(s.op("Mul", s.read(-30, 30), (np.indices((6, 8)).sum(0) % 2).astype(np.float32)),
                       4, 4, 3, 3, **SAME)
        ),
        "motion as an index of columns": lambda s: s.uint8(
            s.op("GatherElements", s.byte(), s.op("Cast", s.op("Clip", s.op(
                "Add", s.read(-3, 3), np.arange(8, dtype=np.float32)), 0.0, 7.0), to=INT64), axis=3)
        ),
        "pool, Gemm, scale of each channel": lambda s: s.int32(
            s.op("Mul", x := s.byte(), s.op("Unsqueeze", s.requantized(s.op(
                "Gemm", s.op("ReduceMax", x, [2, 3], keepdims=0), s.whole(4, 4), s.whole(4)), 5, 15.0), [2, 3]))
        ),
        "gradient, magnitude, threshold": lambda s: s.op("Cast", s.op("Greater", s.op("Abs", s.op(
            "Conv", s.byte((1, 1, 6, 8)), np.array([[[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]]], np.float32))), 64.0),
            to=UINT8),
        "integer lifting step": lambda s: (
            s.int32(odd := s.op("Sub", (x := s.parts(s.byte(), 2, axis=3, num_outputs=2))[1], x[0])),
            s.int32(s.op("Add", x[0], s.op("Floor", s.op("Mul", odd, 0.5)))),
        ),
        "luma of a picture": lambda s: s.op("Cast", s.requantized(s.op("Conv", s.byte((1, 3, 6, 8)), np.array(
            [77, 150, 29], np.float32).reshape(1, 3, 1, 1)), 8), to=UINT8),
        "leaky layers, opset 21": lambda s: s.at(21).int32(
            s.filtered(s.op("Floor", s.op("LeakyRelu", s.filtered(s.read(-99, 99), 4, 4, 3, 3, bias=True),
                                          alpha=0.125)), 2, 4, 1, 1)
        ),
        "chroma twice as large beside luma": lambda s: s.op(
            "Concat", s.given((1, 1, 12, 16), UINT8),
            s.op("Cast", s.op("Resize", s.byte((1, 2, 6, 8)), "", [1.0, 1.0, 2.0, 2.0], **NEAREST), to=UINT8), axis=1
        ),
    }  # fmt: skip
