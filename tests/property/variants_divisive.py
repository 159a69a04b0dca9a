"""Variants of divisive normalization (GDN) and its inverse: roots, quotients, products of two tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from property.variant_drafts import WIDTH, Draft, Variant

KIND = "divisive normalization"


def normalizations() -> Iterator[Variant]:
    """Balle et al. (ICLR 2016), as exporters and people spell it."""
    squares = {"Pow": "Pow", "x x": "Mul", "Abs": "Abs"}
    for square, op_type in squares.items():
        for root in ("none",) if op_type == "Abs" else ("Sqrt", "Pow"):  # GDN1 has none
            for form in ("Mul", "Div", "Reciprocal", "1 / x"):
                for behind in (True, False):
                    what = f"{square}, root by {root}, {form}{', layer behind' if behind else ''}"
                    draft = Draft(KIND, what)
                    x = draft.layer(draft.input())
                    also = {"Pow": (np.float32(2),), "Mul": (x,), "Abs": ()}[op_type]
                    y = _times(draft, x, _norm(draft, draft.op(op_type, x, *also), root), form)
                    yield draft.done(draft.layer(y) if behind else y)


def _norm(draft: Draft, squares: str, root: str) -> str:
    gamma = np.abs(draft.weight(WIDTH, WIDTH, 1, 1)) / 4 + 0.1 * np.eye(WIDTH)[:, :, None, None]
    norm = draft.op("Conv", squares, gamma.astype(np.float32), draft.vector())
    return (
        norm if root == "none" else draft.op("Sqrt", norm) if root == "Sqrt" else draft.op("Pow", norm, np.float32(0.5))
    )


def _times(draft: Draft, x: str, norm: str, form: str) -> str:
    if form in ("Mul", "Div"):
        return draft.op(form, x, norm)
    inverse = draft.op("Reciprocal", norm) if form == "Reciprocal" else draft.op("Div", np.float32(1), norm)
    return draft.op("Mul", inverse, x)
