"""Values that move: tables, elements, sizes, borders, layouts."""

from __future__ import annotations

import numpy as np
from property.ordinary_sketch import CHANNELS, HALVED, INT8, INT32, INT64, NEAREST, SAME, SHAPE, UINT8, Rows


def tables() -> Rows:
    steps = np.arange(64) ** 2 + 1
    return {
        "table of 256 by uint8": lambda s: s.int32(
            s.op("Gather", s.whole(256, reach=999), s.op("Cast", s.given(of=UINT8), to=INT32))
        ),
        "scales by clipped index": lambda s: s.int32(s.op("Gather", steps.astype(np.float32), s.index(64))),
        "table of int32": lambda s: s.op("Gather", steps.astype(np.int32), s.index(64, to=INT32)),
        "table of fractions": lambda s: s.int32(
            s.op("Mul", s.op("Gather", s.whole(16, reach=99) / 16, s.index(16)), 16.0)
        ),
        "table of int8 moved to zero, opset 13": lambda s: s.at(13).int32(
            s.op("Gather", s.whole(256, reach=99), s.op("Cast", s.op("Add", s.byte(of=INT8), 128.0), to=INT64))
        ),
        "rows of a table": lambda s: s.int32(
            s.op("Transpose", s.op("Gather", s.whole(16, 3), s.index(16, (1, 6, 8)), axis=0), perm=[0, 3, 1, 2])
        ),
        "table of two symbols": lambda s: s.int32(
            s.op("Gather", s.whole(256, reach=99), s.op("Cast", s.op(
                "Add", s.op("Mul", s.read(0, 15), 16.0), s.read(0, 15)), to=INT64))
        ),
        "two tables": lambda s: (
            s.int32(s.op("Gather", s.whole(32, reach=99), i := s.index(32))),
            s.op("Gather", np.arange(32, dtype=np.uint8), i),
        ),
        "channels in another order": lambda s: s.int32(s.op("Gather", s.read(-99, 99), [2, 0, 3, 1], axis=1)),
    }  # fmt: skip


def elements() -> Rows:
    turned = np.broadcast_to(np.arange(SHAPE[3])[::-1], SHAPE).copy()
    table = (CHANNELS, 16)
    return {
        "channel by index": lambda s: s.int32(
            s.op("GatherElements", s.read(-99, 99), s.index(CHANNELS, (1, 1, 6, 8)), axis=1)
        ),
        "column by index": lambda s: s.int32(s.op("GatherElements", s.byte(), s.index(SHAPE[3]), axis=3)),
        "columns turned": lambda s: s.int32(s.op("GatherElements", s.read(-99, 99), turned, axis=3)),
        "table per channel": lambda s: s.int32(
            s.op("GatherElements", s.whole(*table, reach=999), s.index(16, (CHANNELS, 48)), axis=1)
        ),
        "table per channel of int32, opset 13": lambda s: s.at(13).op(
            "GatherElements", s.whole(*table, reach=999).astype(np.int32), s.index(16, (CHANNELS, 5), INT32), axis=1
        ),
        "the better of two candidates": lambda s: s.int32(
            s.op("GatherElements", s.op("Concat", a := s.read(-99, 99, (1, 1, 6, 8)), s.read(-99, 99, (1, 1, 6, 8)),
                                        axis=1),
                 s.op("Cast", s.op("Less", a, 0.0), to=INT64), axis=1)
        ),
    }  # fmt: skip


def resized() -> Rows:
    return {
        "twice as large": lambda s: s.int32(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 2.0, 2.0], **NEAREST)),
        "twice as large by sizes": lambda s: s.int32(s.op("Resize", s.byte(), "", "", [1, 4, 12, 16], **NEAREST)),
        "three times as wide, opset 13": lambda s: s.at(13).int32(
            s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 1.0, 3.0], **NEAREST)
        ),
        "half the size": lambda s: s.int32(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 0.5, 0.5], **NEAREST)),
        "four times as large, then a convolution": lambda s: s.int32(
            s.filtered(s.op("Resize", s.read(-99, 99), "", [1.0, 1.0, 4.0, 4.0], **NEAREST), 2, 4, 3, 3, **SAME)
        ),
        "convolution, then twice as large": lambda s: s.int32(
            s.op("Resize", s.filtered(s.read(-99, 99), 2, 4, 3, 3), "", [1.0, 1.0, 2.0, 2.0], **NEAREST)
        ),
    }


def cuts() -> Rows:
    return {
        "cropped": lambda s: s.int32(s.op("Slice", s.read(-99, 99), [1, 2], [5, 7], [2, 3])),
        "every other column": lambda s: s.int32(s.op("Slice", s.byte(), [1], [2**31], [3], [2])),
        "rows turned around": lambda s: s.int32(s.op("Slice", s.read(-99, 99), [-1], [-(2**31)], [2], [-1])),
        "first channels of uint8, opset 13": lambda s: s.at(13).op("Slice", s.given(of=UINT8), [0], [2], [1]),
        "horizontal differences": lambda s: s.int32(
            s.op("Sub", s.op("Slice", x := s.byte(), [1], [8], [3]), s.op("Slice", x, [0], [7], [3]))
        ),
        "scales and means": lambda s: [
            s.int32(part) for part in s.parts(s.filtered(s.read(-20, 20), 6, 4, 1, 1), 2, [3, 3], axis=1)
        ],
        "two equal parts, opset 13": lambda s: s.at(13).int32(s.op("Sub", *s.parts(s.byte(), 2, axis=1))),
        "two equal parts by number": lambda s: s.int32(s.op("Max", *s.parts(s.byte(), 2, axis=3, num_outputs=2))),
        "parts of int32": lambda s: s.parts(s.limited(-9, 9), 4, axis=1, num_outputs=4),
    }


def padded() -> Rows:
    ring = [0, 0, 1, 1, 0, 0, 1, 1]
    return {
        "zeros around": lambda s: s.int32(s.op("Pad", s.read(-99, 99), ring)),
        "grey below and to the right": lambda s: s.int32(s.op("Pad", s.byte(), [0, 0, 0, 0, 0, 0, 2, 3], 128.0)),
        "edges repeated": lambda s: s.int32(s.op("Pad", s.read(-99, 99), ring, mode="edge")),
        "edges of uint8 repeated, opset 13": lambda s: s.at(13).op("Pad", s.given(of=UINT8), ring, mode="edge"),
        "reflected": lambda s: s.int32(s.op("Pad", s.byte(), [0, 0, 2, 2, 0, 0, 2, 2], mode="reflect")),
        "reflected, then a convolution": lambda s: s.int32(
            s.filtered(s.op("Pad", s.byte(), ring, mode="reflect"), 4, 4, 3, 3)
        ),
    }


def joined() -> Rows:
    four = (1, 4, 1, 1)
    return {
        "channels of two inputs": lambda s: s.int32(s.op("Concat", s.read(-99, 99), s.byte(), axis=1)),
        "rows of three inputs of uint8": lambda s: s.op("Concat", *(s.given(of=UINT8) for _ in range(3)), axis=2),
        "input and constant": lambda s: s.int32(s.op("Concat", s.read(-99, 99), s.whole(1, 1, 6, 8), axis=1)),
        "two branches": lambda s: s.int32(
            s.op("Concat", s.op("Relu", x := s.read(-99, 99)), s.op("Relu", s.op("Neg", x)), axis=1)
        ),
        "a bias per channel spread out": lambda s: s.int32(
            s.op("Add", s.byte(), s.op("Expand", s.whole(*four), SHAPE))
        ),
        "one value per channel spread out": lambda s: s.int32(s.op("Expand", s.read(-99, 99, four), SHAPE)),
        "one row spread out in uint8": lambda s: s.op("Expand", s.given((1, 1, 1, 8), UINT8), SHAPE),
        "a new first axis, opset 13": lambda s: s.at(13).int32(s.op("Expand", s.byte(four), [3, 1, 4, 1, 1])),
        "a mask spread out": lambda s: s.int32(
            s.op("Where", s.op("Expand", s.op("Greater", s.byte((1, 1, 6, 8)), 99.0), SHAPE), s.read(-9, 9), 0.0)
        ),
        "a pattern repeated": lambda s: s.int32(s.op("Tile", s.read(-99, 99, (1, 4, 2, 2)), [1, 1, 3, 4])),
        "channels repeated": lambda s: s.int32(s.op("Tile", s.byte((1, 1, 6, 8)), [1, 4, 1, 1])),
        "uint8 repeated, opset 13": lambda s: s.at(13).op("Tile", s.given((1, 4, 3, 8), UINT8), [1, 1, 2, 1]),
        "a constant pattern added": lambda s: s.int32(
            s.op("Add", s.byte(), s.op("Tile", s.whole(1, 1, 2, 2), [1, 1, 3, 4]))
        ),
        "repeated behind a convolution": lambda s: s.int32(
            s.op("Tile", s.filtered(s.read(-9, 9), 1, 4, 3, 3), [1, 2, 1, 1])
        ),
    }


def layouts() -> Rows:
    return {
        "channels last": lambda s: s.int32(s.op("Transpose", s.read(-99, 99), perm=[0, 2, 3, 1])),
        "rows and columns swapped, opset 13": lambda s: s.at(13).op("Transpose", s.given(of=UINT8), perm=[0, 1, 3, 2]),
        "channels last for a product": lambda s: s.int32(
            s.op("MatMul", s.op("Transpose", s.read(-99, 99), perm=[0, 2, 3, 1]), s.whole(4, 3))
        ),
        "one row per channel": lambda s: s.int32(s.op("Reshape", s.read(-99, 99), [1, 4, -1])),
        "groups of channels shuffled": lambda s: s.int32(
            s.op("Reshape", s.op("Transpose", s.op("Reshape", s.byte(), [1, 2, 2, 6, 8]), perm=[0, 2, 1, 3, 4]), SHAPE)
        ),
        "blocks put in place": lambda s: s.int32(
            s.op("Reshape", s.op("Transpose", s.op("Reshape", s.read(-99, 99), [1, 2, 2, 6, 8]),
                                 perm=[0, 3, 1, 4, 2]), [1, 1, 12, 16])
        ),
        "all places of a channel in one row, opset 13": lambda s: s.at(13).int32(s.op("Reshape", s.byte(), [4, 48])),
        "Reshape that keeps the batch, opset 21": lambda s: s.at(21).op("Reshape", s.limited(-9, 9), [0, 2, 2, -1]),
        "flattened": lambda s: s.int32(s.op("Flatten", s.read(-99, 99))),
        "flattened at the third axis": lambda s: s.int32(s.op("Flatten", s.byte(), axis=2)),
        "flattened in uint8, opset 13": lambda s: s.at(13).op("Flatten", s.given(of=UINT8), axis=-1),
        "flattened for a product": lambda s: s.int32(
            s.op("MatMul", s.op("Flatten", s.read(-99, 99, (1, 2, 3, 4))), s.whole(24, 5))
        ),
        "flattened behind a pool": lambda s: s.int32(s.op("Flatten", s.op("MaxPool", s.byte(), **HALVED))),
        "an axis more": lambda s: s.int32(s.op("Unsqueeze", s.read(-99, 99, (4, 6, 8)), [0])),
        "an axis less, opset 13": lambda s: s.at(13).int32(s.op("Squeeze", s.byte((1, 4, 1, 8)), [2])),
        "all axes of one less": lambda s: s.int32(s.op("Squeeze", s.read(-99, 99, (1, 4, 1, 8)))),
        "an axis for the convolution and off again": lambda s: s.int32(
            s.op("Squeeze", s.filtered(s.op("Unsqueeze", s.read(-99, 99, (4, 8)), [0]), 4, 4, 3, pads=[1, 1]), [0])
        ),
        "two frames as one batch": lambda s: s.op(
            "Concat", *(s.op("Unsqueeze", s.given((4, 6, 8), UINT8), [0]) for _ in range(2)), axis=0
        ),
        "sub-pixels": lambda s: s.int32(s.op("DepthToSpace", s.read(-99, 99), blocksize=2)),
        "sub-pixels, column by row": lambda s: s.int32(s.op("DepthToSpace", s.byte(), blocksize=2, mode="CRD")),
        "sub-pixels of a convolution, opset 13": lambda s: s.at(13).int32(
            s.op("DepthToSpace", s.filtered(s.read(-99, 99), 12, 4, 3, 3, **SAME), blocksize=2, mode="CRD")
        ),
        "to blocks": lambda s: s.int32(s.op("SpaceToDepth", s.read(-99, 99), blocksize=2)),
        "to blocks and back": lambda s: s.int32(
            s.op("DepthToSpace", s.op("Add", s.op("SpaceToDepth", s.byte(), blocksize=2), s.whole(1, 16, 1, 1)),
                 blocksize=2)
        ),
    }  # fmt: skip
