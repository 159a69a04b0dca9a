"""CompressAI's codecs that this version does not export, recognised by the keys of their state dicts."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Final

from nvc_check.models.codecs.architectures import ARCHITECTURES
from nvc_check.models.codecs.fit import Entry, fits_of
from nvc_check.models.codecs.topology import Topology, topology_of

ALIKE: Final = 0.8  # of the keys, to be called by a codec's name
WIDTHS: Final = ("N", "M")
# word of a key -> what an exporter of such a codec would need
NEEDS: Final = {
    "context_prediction": "context model",
    "channel_context": "channel groups",
    "Gain": "variable rate",
    "conv_a": "attention",
}
HYPER_DECODERS: Final = frozenset({"h_s", "hyper"})


def other_codec(entries: list[Entry], above: float) -> str | None:
    """`name: what it needs` of the codec that the keys are most alike, if they are more alike than `above`."""
    fits = [
        fit
        for name, (topology, widths) in _topologies().items()
        for fit in fits_of(entries, name, topology, dict.fromkeys(widths, 0))
        if fit.similarity > max(above, ALIKE)
    ]
    best = max(fits, key=lambda fit: (fit.similarity, fit.right), default=None)
    return None if best is None else f"{best.name}: {_needs(best.topology)}"


def needs_of(name: str) -> str | None:
    """What CompressAI's codec of this name needs that is not in this version, or None if it has none of the name."""
    topology, _ = _topologies().get(name, (None, ()))
    return None if topology is None else _needs(topology)


def _needs(topology: Topology) -> str:
    words = {word for key in topology.parameters for word in key.split(".")}
    found = [need for word, need in NEEDS.items() if word in words]
    if not words & HYPER_DECODERS:
        found.append("a prior without hyperprior")
    return ", ".join(found) or "other layers"


@cache
def _topologies() -> dict[str, tuple[Topology, tuple[str, ...]]]:
    """Name -> topology and its widths; ELIC's channel groups are those of its own widths, so it has none here."""
    import compressai.models  # registers them
    from compressai.registry import MODELS

    del compressai
    found = {}
    for name, model in MODELS.items():
        if name not in ARCHITECTURES and "pointcloud" not in model.__module__:
            taken = inspect.signature(model).parameters
            widths = () if "groups" in taken else tuple(width for width in WIDTHS if width in taken)
            found[name] = topology_of(model, widths), widths
    return found
