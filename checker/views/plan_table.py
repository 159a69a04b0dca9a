"""The plan of an export as a person reads it: what stands in the place of each layer, and how finely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.checker.views.plain import harmless
from nvc_check.exporter.lower.values import PlannedLayer


def print_plan(console: Console, layers: Sequence[PlannedLayer]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("layer", "operator", "precision", "reads 2^", "gives 2^", "bound 2^", "kernels", "products"):
        table.add_column(name, overflow="fold", justify="right" if name in ("bound 2^", "products") else "left")
    for layer in harmless(tuple(layers)):
        kernels = ", ".join(f"{count} x {kernel}" for kernel, count in Counter(layer.kernels).items())
        table.add_row(
            layer.name,
            layer.op_type,
            layer.precision,
            _span(layer.read),
            _span(layer.made),
            f"{max(layer.bound, 1).bit_length()}",
            kernels.removeprefix("1 x "),
            f"{100 * layer.share:.1f} %",
        )
    console.print(table)


def _span(exponents: tuple[int, int]) -> str:
    low, high = exponents
    return f"{low}" if low == high else f"{low} to {high}"
