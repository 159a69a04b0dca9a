"""What a topology's state dict looks like at any width: the shape of each weight as a function of the widths.

Found by building small instances: every dimension of every layer is an affine function of the widths (N, M,
M * 3 // 2, 2 * M, 3, 5), so one instance more than there are widths settles them all.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

Shape = tuple[int, ...]

SMALL: Final = 12  # halves and thirds of widths are whole
STEP: Final = 12
# CompressAI's entropy bottlenecks before 1.2.5 (`_matrix0`), and before 1.1 (`_matrices.0`)
OLDER_NAMES: Final = re.compile(r"(^|\.)_(matri(?:x|ces)|bias(?:es)?|factors?)\.?(\d)$")
PLURALS: Final = {"m": "matrices", "b": "biases", "f": "factors"}


def canonical(key: str) -> str:
    """`key` as CompressAI names it today."""
    return OLDER_NAMES.sub(lambda found: f"{found[1]}{PLURALS[found[2][0]]}.{found[3]}", key)


@dataclass(frozen=True)
class Extent:
    """One dimension: floor(constant + sum of factor * width)."""

    constant: Fraction
    factors: tuple[tuple[str, Fraction], ...]

    def at(self, widths: Mapping[str, int]) -> int:
        return int(self.constant + sum(factor * widths[name] for name, factor in self.factors))

    @property
    def width(self) -> str | None:
        """The width that this dimension simply is, or None."""
        return self.factors[0][0] if not self.constant and [f for _, f in self.factors] == [1] else None


@dataclass(frozen=True)
class Topology:
    """Keys of a state dict.

    Attributes:
        parameters: canonical key -> dimensions; all of them must be there.
        buffers: canonical keys that may be there: tables, constants.
        installed: canonical key -> key of the installed CompressAI.
    """

    parameters: dict[str, tuple[Extent, ...]]
    buffers: frozenset[str]
    installed: dict[str, str]

    @property
    def parts(self) -> frozenset[str]:
        """First words of the keys: g_a, h_s, entropy_bottleneck, ..."""
        return frozenset(key.split(".")[0] for key in self.parameters)

    def widths(self, shapes: Mapping[str, Shape], default: Mapping[str, int]) -> dict[str, int]:
        """The widths that most weights agree on; `default` where none speaks of one."""
        votes: dict[str, Counter[int]] = defaultdict(Counter)
        for key, extents in self.parameters.items():
            shape = shapes.get(key, ())
            if len(shape) == len(extents):
                for extent, size in zip(extents, shape, strict=True):
                    if extent.width is not None:
                        votes[extent.width][size] += 1
        return {name: votes[name].most_common(1)[0][0] if votes[name] else width for name, width in default.items()}

    def shapes(self, widths: Mapping[str, int]) -> dict[str, Shape]:
        """Canonical key of each parameter -> its shape."""
        return {key: tuple(extent.at(widths) for extent in extents) for key, extents in self.parameters.items()}


@cache
def topology_of(make: Callable[..., Any], widths: tuple[str, ...]) -> Topology:
    """The topology of the torch models that `make`, called with these widths by name, builds."""
    import torch

    with torch.random.fork_rng(devices=[]):  # initialising draws random numbers
        smallest = make(**dict.fromkeys(widths, SMALL))
        base = _shapes(smallest)
        wider = {name: _shapes(make(**{**dict.fromkeys(widths, SMALL), name: SMALL + STEP})) for name in widths}
    parameters = {}
    for key, shape in base.items():
        extents = []
        for place, size in enumerate(shape):
            slopes = ((name, Fraction(wider[name][key][place] - size, STEP)) for name in widths)
            factors = tuple((name, slope) for name, slope in slopes if slope)
            extents.append(Extent(size - SMALL * sum((f for _, f in factors), Fraction()), factors))
        parameters[canonical(key)] = tuple(extents)
    installed = {canonical(key): key for key in smallest.state_dict()}
    return Topology(parameters, frozenset(installed) - frozenset(parameters), installed)


def _shapes(model: Any) -> dict[str, Shape]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
