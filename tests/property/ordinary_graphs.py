"""Small integer graphs as an engineer would write them for a decoder, each exact in float32 in any order of summation.

Every value is an integer or a multiple of a power of two, and every sum stays far below 2^24. They were written without
a look at the certificate's rules, and none was changed for what the certificate says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from property import ordinary_layers as layers
from property import ordinary_moves as moves
from property import ordinary_values as values
from property.ordinary_sketch import FLOAT, OrdinaryGraph, Rows, Sketch

KINDS: dict[str, Callable[[], Rows]] = {
    "signs": values.signs,
    "Min and Max": values.extremes,
    "choices": values.choices,
    "tables": moves.tables,
    "GatherElements": moves.elements,
    "Resize": moves.resized,
    "Slice and Split": moves.cuts,
    "Pad": moves.padded,
    "Concat, Expand, Tile": moves.joined,
    "layouts": moves.layouts,
    "Cast": values.casts,
    "rounding": values.rounding,
    "scales": values.scaled,
    "products": layers.products,
    "convolutions": layers.convolutions,
    "stored": layers.stored,
    "integer kernels": layers.integer_kernels,
    "activations": values.activations,
    "pools": layers.pools,
    "sums": layers.sums,
    "chains": layers.chains,
}


def ordinary_graphs() -> Iterator[OrdinaryGraph]:
    for kind, rows in KINDS.items():
        for name, row in rows().items():
            yield drawn(kind, name, row)


def drawn(kind: str, name: str, row: Callable[[Sketch], str | Sequence[str]]) -> OrdinaryGraph:
    sketch = Sketch(kind, name)
    outputs = row(sketch)
    return sketch.finished([outputs] if isinstance(outputs, str) else outputs)


def inexact_graphs() -> Iterator[OrdinaryGraph]:
    """What looks like them and is not exact: factors that are no powers of two, sums beyond 2^24, a function."""
    rows: Rows = {
        "a tenth, down": lambda s: s.int32(s.op("Floor", s.op("Mul", s.read(-999, 999), 0.1))),
        "divided by 3": lambda s: s.int32(s.op("Floor", s.op("Div", s.read(-999, 999), 3.0))),
        "sums beyond 2^24": lambda s: s.int32(
            s.op("Conv", s.read(-65535, 65535), s.rng.integers(150, 200, (2, 4, 3, 3)).astype(np.float32))
        ),
        "LeakyRelu of a hundredth": lambda s: s.int32(s.op("Round", s.op("LeakyRelu", s.read(-999, 999), alpha=0.01))),
        "quantized by 0.3": lambda s: s.stored(s.filtered(s.byte(), 3, 4, 3, 3), 0.3, np.uint8(128)),
        "a sigmoid": lambda s: s.int32(s.op("Floor", s.op("Mul", s.op("Sigmoid", s.read(-9, 9)), 255.0))),
        "input without limits": lambda s: s.op("Mul", s.op("Cast", s.given(), to=FLOAT), 3.0),
    }
    for name, row in rows.items():
        yield drawn("inexact", name, row)
