"""How well the tensors of a checkpoint, under some prefix, make up a topology."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from nvc_check.models.codecs.topology import Shape, Topology, canonical

if TYPE_CHECKING:
    import torch

# put between the words of a key by DataParallel, torch.compile, FSDP and activation checkpointing
WRAPPERS: Final = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
LONGEST: Final = 80  # characters of a name in a message


def shown(name: str) -> str:
    """A name from a file as a message may print it."""
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return printable if len(printable) <= LONGEST else printable[: LONGEST - 1] + "…"


@dataclass(frozen=True)
class Entry:
    """One tensor of a file.

    Attributes:
        words: its path, cut at dots and where dicts are nested, without wrappers.
        outside: how many of the words name the dict that it is an entry of.
    """

    words: tuple[str, ...]
    outside: int
    tensor: torch.Tensor


@dataclass(frozen=True)
class Fit:
    """The tensors under a prefix beside a topology.

    Attributes:
        name: of the topology.
        prefix: words.
        first: place in the file of its first tensor.
        found: canonical key -> tensor, of the keys that the topology has.
        missing: parameters that are not there.
        wrong: (parameter, its shape, expected shape at these widths).
        unknown: further weights in the same state dict.
    """

    name: str
    topology: Topology
    prefix: tuple[str, ...]
    first: int
    widths: dict[str, int]
    found: dict[str, torch.Tensor]
    missing: list[str]
    wrong: list[tuple[str, Shape, Shape]]
    unknown: list[str]

    @property
    def total(self) -> int:
        return len(self.topology.parameters)

    @property
    def right(self) -> int:
        return self.total - len(self.missing) - len(self.wrong)

    @property
    def whole(self) -> bool:
        return not (self.missing or self.wrong or self.unknown)

    @cached_property
    def similarity(self) -> float:
        """Keys in common, of all keys of the two."""
        return (self.total - len(self.missing)) / (self.total + len(self.unknown))


def entries_of(tensors: Mapping[str, torch.Tensor]) -> list[Entry]:
    """The tensors of `read_tensors` by the words of their paths; where two differ by a wrapper only, it stays."""
    entries: dict[tuple[str, ...], Entry] = {}
    for path, tensor in tensors.items():
        *around, key = path.split("/")
        outside = [word for name in around for word in name.split(".")]
        inside = canonical(key).split(".")
        bare = [word for word in outside if word not in WRAPPERS]
        words = (*bare, *(word for word in inside if word not in WRAPPERS))
        if words in entries:
            bare, words = outside, (*outside, *inside)
        entries.setdefault(words, Entry(words, len(bare), tensor))
    return list(entries.values())


def fits_of(entries: list[Entry], name: str, topology: Topology, widths: Mapping[str, int]) -> list[Fit]:
    """The topology beside the tensors under each prefix that at least one of its parameters has."""
    hits = Counter(
        entry.words[:start]
        for entry in entries
        for start in range(len(entry.words))
        if ".".join(entry.words[start:]) in topology.parameters
    )
    most = max(hits.values(), default=0)
    return [_fit(entries, name, topology, widths, prefix) for prefix, count in hits.items() if 2 * count >= most]


def _fit(
    entries: list[Entry], name: str, topology: Topology, widths: Mapping[str, int], prefix: tuple[str, ...]
) -> Fit:
    depth = len(prefix)
    found: dict[str, torch.Tensor] = {}
    unknown: list[str] = []
    first = len(entries)
    for place, entry in enumerate(entries):
        if entry.words[:depth] != prefix or len(entry.words) == depth:
            continue
        key = ".".join(entry.words[depth:])
        if key in topology.installed:
            found[key] = entry.tensor
            first = min(first, place)
        # a dict of its own beside the weights is none of theirs: an optimizer's state
        elif _is_weight(entry.tensor) and (entry.outside <= depth or entry.words[depth] in topology.parts):
            unknown.append(key)
    shapes = {key: tuple(tensor.shape) for key, tensor in found.items()}
    own = topology.widths(shapes, widths)
    expected = topology.shapes(own)
    return Fit(
        name,
        topology,
        prefix,
        first,
        own,
        found,
        [key for key in expected if key not in shapes],
        [(key, shapes[key], shape) for key, shape in expected.items() if shapes.get(key, shape) != shape],
        unknown,
    )


def _is_weight(tensor: torch.Tensor) -> bool:
    """Counters and single constants are what wrappers and losses leave in a state dict."""
    return tensor.is_floating_point() and tensor.numel() > 1
