"""Values one by one: signs, choices, casts, rounding, scales, activations."""

from __future__ import annotations

import numpy as np
from property.ordinary_sketch import BOOL, CHANNELS, FLOAT, INT8, INT64, SHAPE, UINT8, Rows


def signs() -> Rows:
    return {
        "magnitude of a residual": lambda s: s.int32(s.op("Abs", s.read(-255, 255))),
        "magnitude in int32": lambda s: s.op("Abs", s.limited(-1000, 1000)),
        "magnitude of int8, opset 13": lambda s: s.at(13).int32(s.op("Abs", s.byte(of=INT8))),
        "difference of two pictures": lambda s: s.uint8(s.op("Abs", s.op("Sub", s.byte(), s.byte()))),
        "negated residual": lambda s: s.int32(s.op("Neg", s.read(-255, 255))),
        "negated in int32": lambda s: s.op("Neg", s.limited(-1000, 1000)),
        "negative of a picture": lambda s: s.uint8(s.op("Add", s.op("Neg", s.byte()), 255.0)),
        "sign": lambda s: s.int32(s.op("Sign", s.read(-7, 7))),
        "sign in int32": lambda s: s.op("Sign", s.given()),
        "sign of a convolution in int8": lambda s: s.op(
            "Cast", s.op("Sign", s.filtered(s.read(-9, 9), 2, 4, 3, 3)), to=INT8
        ),
        "dead zone": lambda s: s.int32(
            s.op("Mul", s.op("Sign", x := s.read(-100, 100)), s.op("Relu", s.op("Sub", s.op("Abs", x), 2.0)))
        ),
        "halves away from zero": lambda s: s.int32(
            s.op("Mul", s.op("Sign", x := s.op("Mul", s.read(-999, 999), 0.25)),
                 s.op("Floor", s.op("Add", s.op("Abs", x), 0.5)))
        ),
    }  # fmt: skip


def extremes() -> Rows:
    limits = np.array([3, 15, 63, 255], np.float32).reshape(1, CHANNELS, 1, 1)
    return {
        "Min of two inputs": lambda s: s.int32(s.op("Min", s.byte(), s.byte())),
        "Min of three inputs": lambda s: s.int32(s.op("Min", s.read(-9, 9), s.read(-5, 20), s.read(-20, 5))),
        "Min with a limit per channel": lambda s: s.op("Cast", s.op("Min", s.byte(), limits), to=UINT8),
        "Min in int32, opset 13": lambda s: s.at(13).op("Min", s.given(), np.int32(1023)),
        "Max with zero": lambda s: s.int32(s.op("Max", s.read(-300, 300), 0.0)),
        "Max of two inputs": lambda s: s.int32(s.op("Max", s.read(-300, 300), s.byte(of=INT8))),
        "Max in int32 of two inputs, opset 21": lambda s: s.at(21).op("Max", s.given(), s.given()),
        "Max, then Min as a clamp": lambda s: s.op(
            "Cast", s.op("Min", s.op("Max", s.read(-999, 999), 0.0), 255.0), to=UINT8
        ),
        "median of three": lambda s: s.int32(
            s.op("Max", s.op("Min", a := s.byte(), b := s.byte()),
                 s.op("Min", s.op("Max", a, b), s.byte()))
        ),
    }  # fmt: skip


def choices() -> Rows:
    checkers = np.indices(SHAPE[2:]).sum(0)[None, None] % 2 == 0
    thresholds = np.array([-20, -6, -1, 0, 3, 9, 40], np.float32)
    return {
        "threshold": lambda s: s.int32(s.op("Where", s.op("Greater", x := s.read(-99, 99), 3.0), x, 0.0)),
        "the smaller of two": lambda s: s.int32(s.op("Where", s.op("Less", a := s.byte(), b := s.byte()), a, b)),
        "escape value": lambda s: s.int32(
            s.op("Where", s.op("Equal", x := s.byte(), 255.0), s.read(256, 65535), x)
        ),
        "checkerboard of two inputs": lambda s: s.int32(s.op("Where", checkers, s.read(-99, 99), s.byte())),
        "Where in int32, opset 13": lambda s: s.at(13).op(
            "Where", s.op("Less", x := s.limited(-999, 999), np.int32(0)), s.op("Neg", x), x
        ),
        "mask of one channel": lambda s: s.int32(
            s.op("Where", s.op("Cast", s.given((1, 1, 6, 8), UINT8), to=BOOL), s.read(-99, 99), 0.0)
        ),
        "within a range": lambda s: s.int32(
            s.op("And", s.op("Greater", x := s.read(-99, 99), -5.0), s.op("Less", x, 5.0))
        ),
        "outside of a range": lambda s: s.op(
            "Cast", s.op("Or", s.op("Less", x := s.read(-99, 99), -5.0), s.op("Greater", x, 5.0)), to=UINT8
        ),
        "what is not skipped": lambda s: s.int32(
            s.op("Mul", s.read(-99, 99), s.op("Cast", s.op("Not", s.op("Equal", s.byte(), 0.0)), to=FLOAT))
        ),
        "neither of two": lambda s: s.int32(
            s.op("Where", s.op("Not", s.op("Or", s.op("Equal", x := s.byte(), 0.0), s.op("Equal", x, 1.0))), x, 7.0)
        ),
        "a place of the board and a value": lambda s: s.int32(
            s.op("Where", s.op("And", s.op("Less", x := s.read(-9, 9), 0.0), checkers), s.op("Neg", x), x)
        ),
        "even places of the board that are unequal": lambda s: s.int32(
            s.op("And", s.op("Not", s.op("Equal", s.byte(), s.byte())), checkers)
        ),
        "at most and at least": lambda s: s.int32(
            s.op("And", s.op("LessOrEqual", x := s.byte(), 235.0), s.op("GreaterOrEqual", x, 16.0))
        ),
        "number of thresholds below": lambda s: s.int32(
            s.op("ReduceSum",
                 s.op("Cast", s.op("Greater", s.op("Unsqueeze", s.read(-64, 64), [4]), thresholds), to=FLOAT),
                 [4], keepdims=0)
        ),
        "one of two shifts": lambda s: s.int32(
            s.op("Floor", s.op("Mul", x := s.read(-999, 999),
                               s.op("Where", s.op("Less", x, 0.0), np.float32(0.25), np.float32(0.5))))
        ),
    }  # fmt: skip


def casts() -> Rows:
    return {
        "uint8 to float32 and back": lambda s: s.op("Cast", s.byte(), to=UINT8),
        "int8 to int32": lambda s: s.int32(s.given(of=INT8)),
        "uint8 to int32 to float32": lambda s: s.int32(
            s.op("Sub", s.op("Cast", s.int32(s.given(of=UINT8)), to=FLOAT), 128.0)
        ),
        "int32 to int8 by way of float32, opset 13": lambda s: s.at(13).op("Cast", s.read(-128, 127), to=INT8),
        "int32 to uint8": lambda s: s.op("Cast", s.limited(0, 255), to=UINT8),
        "float32 to int32 to float32": lambda s: s.op("Cast", s.int32(s.read(-999, 999)), to=FLOAT),
        "uint8 to int8": lambda s: s.op("Cast", s.op("Sub", s.byte(), 128.0), to=INT8),
        "int32 to int64 and back, opset 21": lambda s: s.at(21).int32(s.op("Cast", s.limited(-999, 999), to=INT64)),
    }


def rounding() -> Rows:
    return {
        "clipped on both sides": lambda s: s.int32(s.op("Clip", s.byte(of=INT8), -16.0, 15.0)),
        "clipped below": lambda s: s.int32(s.op("Clip", s.read(-999, 999), 0.0)),
        "clipped above": lambda s: s.int32(s.op("Clip", s.read(-999, 999), "", 63.0)),
        "clipped uint8, opset 13": lambda s: s.at(13).op("Clip", s.given(of=UINT8), np.uint8(16), np.uint8(235)),
        "eighths down": lambda s: s.int32(s.op("Floor", s.op("Mul", s.read(-999, 999), 0.125))),
        "eighths up": lambda s: s.int32(s.op("Ceil", s.op("Mul", s.read(-999, 999), 0.125))),
        "eighths to even": lambda s: s.int32(s.op("Round", s.op("Mul", s.read(-999, 999), 0.125))),
        "halves up": lambda s: s.int32(s.op("Floor", s.op("Add", s.op("Mul", s.read(-999, 999), 2.0**-6), 0.5))),
        "quarters up by division, opset 13": lambda s: s.at(13).int32(s.op("Ceil", s.op("Div", s.byte(), 4.0))),
        "what is left of a division": lambda s: s.int32(
            s.op("Sub", x := s.byte(), s.op("Mul", s.op("Floor", s.op("Mul", x, 0.0625)), 16.0))
        ),
    }


def scaled() -> Rows:
    powers = np.array([0.25, 0.5, 1, 2], np.float32).reshape(1, CHANNELS, 1, 1)
    return {
        "times a power per channel": lambda s: s.int32(s.op("Floor", s.op("Mul", s.byte(), powers))),
        "product of two inputs": lambda s: s.int32(s.op("Mul", s.read(-99, 99), s.byte(of=INT8))),
        "square": lambda s: s.int32(s.op("Mul", x := s.byte(), x)),
        "sum of two inputs": lambda s: s.int32(s.op("Add", s.byte(), s.byte(of=INT8))),
        "residual added and clipped": lambda s: s.uint8(s.op("Add", s.byte(), s.read(-255, 255))),
        "a number per channel added": lambda s: s.int32(s.op("Add", s.read(-99, 99), s.whole(1, 4, 1, 1, reach=99))),
        "added in int32, opset 13": lambda s: s.at(13).op("Add", s.limited(-9999, 9999), s.limited(-9999, 9999)),
        "128 subtracted": lambda s: s.int32(s.op("Sub", s.byte(), 128.0)),
        "divided by 8, down": lambda s: s.int32(s.op("Floor", s.op("Div", s.read(-999, 999), 8.0))),
        "divided by a power per channel": lambda s: s.int32(s.op("Round", s.op("Div", s.byte(), 1 / powers))),
        "divided in int32": lambda s: s.op("Div", s.limited(0, 9999), np.int32(16)),
        "mean of two pictures": lambda s: s.uint8(
            s.op("Floor", s.op("Div", s.op("Add", s.op("Add", s.byte(), s.byte()), 1.0), 2.0))
        ),
    }  # fmt: skip


def activations() -> Rows:
    return {
        "Relu": lambda s: s.int32(s.op("Relu", s.read(-999, 999))),
        "Relu of int8, opset 13": lambda s: s.at(13).int32(s.op("Relu", s.byte(of=INT8))),
        "Relu between two convolutions": lambda s: s.int32(
            s.filtered(s.op("Relu", s.filtered(s.read(-9, 9), 4, 4, 3, 3, bias=True)), 2, 4, 1, 1)
        ),
        "LeakyRelu of a quarter": lambda s: s.int32(s.op("Floor", s.op("LeakyRelu", s.read(-999, 999), alpha=0.25))),
        "LeakyRelu of an eighth, scaled": lambda s: s.int32(
            s.op("Mul", s.op("LeakyRelu", s.byte(of=INT8), alpha=0.125), 8.0)
        ),
        "LeakyRelu of a half behind Conv, opset 13": lambda s: s.at(13).int32(
            s.op("Round", s.op("LeakyRelu", s.filtered(s.byte(), 3, 4, 3, 3, bias=True), alpha=0.5))
        ),
        "LeakyRelu of 1/64, quantized": lambda s: s.stored(
            s.op("LeakyRelu", s.filtered(s.read(-99, 99), 3, 4, 1, 1), alpha=2.0**-6), 16.0, np.uint8(128)
        ),
        "LeakyRelu by Max": lambda s: s.int32(s.op("Floor", s.op("Max", x := s.read(-99, 99), s.op("Mul", x, 0.125)))),
    }
