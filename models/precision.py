"""Bits of weights and activations, of a whole graph and of single layers."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from nvc_check.models.errors import UsageError

FEWEST, MOST = 2, 16
SPELLED = re.compile(r"w([1-9][0-9]?)a([1-9][0-9]?)")


@dataclass(frozen=True, order=True)
class Precision:
    """wNaM: N bits of a layer's weights, M of the activations that it reads, 2 to 16 each."""

    weights: int
    activations: int

    @classmethod
    def of(cls, text: str) -> Precision:
        """Raises UsageError where `text` is no wNaM."""
        found = SPELLED.fullmatch(text)
        made = cls(*map(int, found.groups())) if found else None
        if made is None or not all(FEWEST <= bits <= MOST for bits in (made.weights, made.activations)):
            raise UsageError(f"precision {text[:40]}: expected wNaM, N and M from {FEWEST} to {MOST}, as in w8a16")
        return made

    def __str__(self) -> str:
        return f"w{self.weights}a{self.activations}"


@dataclass(frozen=True)
class Precisions:
    """Of every layer: `default`, unless its name fits one of the patterns `layers`; the last one that fits decides.

    Attributes:
        power_of_two: off, grids of weights of 8 bits and of what layers of 8 bits give have ordinary scales, for which
            no exactness can be shown.
        graph: the one of a codec's graphs whose layers are asked for; they are called GRAPH/LAYER then.
        fine: layers that read 16 bits where no pattern says otherwise.
    """

    default: Precision = Precision(8, 8)
    layers: tuple[tuple[str, Precision], ...] = ()
    power_of_two: bool = True
    graph: str = ""
    fine: frozenset[str] = frozenset()

    @classmethod
    def read(cls, default: Precision, file: Path) -> Precisions:
        """With a TOML file's lines `"PATTERN" = "wNaM"`; * and ? as in a shell.

        Raises:
            UsageError: no such file, or another one.
        """
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, no TOML
            why = str(error).splitlines()[0]
            raise UsageError(f'{file}: not read ({why}); expected TOML, a line "NAME or PATTERN" = "wNaM"') from error
        wrong = [name for name, text in document.items() if not isinstance(text, str)]
        if wrong or not document:
            found = f"{wrong[0][:40]!r} is no text" if wrong else "no layers"
            raise UsageError(f'{file}: {found}, expected a line "NAME or PATTERN" = "wNaM" for each')
        return cls(default, tuple((name, Precision.of(text)) for name, text in document.items()))

    def within(self, graph: str) -> Precisions:
        """The same, asked for the layers of one graph."""
        return replace(self, graph=graph)

    def of(self, layer: str) -> Precision:
        name = f"{self.graph}/{layer}" if self.graph else layer
        fitting = [precision for pattern, precision in self.layers if fnmatchcase(name, pattern)]
        if fitting:
            return fitting[-1]
        return Precision(max(self.default.weights, 8), MOST) if layer in self.fine else self.default

    def check(self, layers: Iterable[str]) -> None:
        """Raises UsageError where a pattern fits none of these names, which are all that there are."""
        names = list(layers)
        for pattern, _ in self.layers:
            if not any(fnmatchcase(name, pattern) for name in names):
                shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                raise UsageError(f"layer {pattern[:60]}: fits none; there are {shown or 'none'} (--plan shows all)")
