"""Which codec a checkpoint holds, wherever in it the weights lie.

Trainers nest state dicts (`state_dict`, `model`, `net`, one per part), keep averaged copies beside them, and wrap
modules, which lengthens every key. None of these names is looked up: the weights are the keys that make up a topology
once a common prefix is taken off, whatever it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nvc_check.models.codecs.architectures import ARCHITECTURES, State
from nvc_check.models.codecs.fit import Entry, Fit, entries_of, fits_of, shown
from nvc_check.models.codecs.other_codecs import other_codec
from nvc_check.models.codecs.state_file import read_tensors
from nvc_check.models.errors import ExportRefusedError, UsageError

if TYPE_CHECKING:
    import torch

AVERAGED: Final = frozenset({"ema", "swa", "avg", "average", "averaged", "averager", "shadow", "polyak"})
SOME: Final = 4  # keys that a message names


@dataclass(frozen=True)
class Weights:
    """The weights of one codec.

    Attributes:
        architecture: a name of `ARCHITECTURES`.
        state: its state dict as the installed CompressAI names the keys, float32.
        notes: which of several sets of weights it is, one line each.
    """

    architecture: str
    state: State
    notes: tuple[str, ...]


def read_weights(file: Path) -> Weights:
    """The weights in a safetensors file or torch checkpoint; averaged ones (EMA) before those they are averages of.

    Raises:
        UsageError: not readable, or no tensors in it.
        ExportRefusedError: weights of another codec, or not all of one.
    """
    tensors = read_tensors(file)
    if not tensors:
        raise UsageError(f"{file}: holds no state dict of tensors, expected a checkpoint's weights")
    entries = entries_of(tensors)
    words = {word for entry in entries for word in entry.words}
    fits = [
        fit
        for name, architecture in ARCHITECTURES.items()
        if words & architecture.parts
        for fit in fits_of(entries, name, architecture.topology, architecture.widths)
    ]
    whole = sorted((fit for fit in fits if fit.whole), key=lambda fit: (not _averaged(fit), fit.first))
    if not whole:
        raise ExportRefusedError(f"{file}: {_refusal(entries, fits)}")
    return Weights(whole[0].name, _state(file, whole[0]), _notes(whole, fits))


def _averaged(fit: Fit) -> bool:
    return any(token in AVERAGED for word in fit.prefix for token in re.split(r"[^a-z]+", word.lower()))


def _notes(whole: list[Fit], fits: list[Fit]) -> tuple[str, ...]:
    taken, *others = whole
    cut = [fit for fit in fits if fit.name == taken.name and not fit.whole and _averaged(fit)]
    passed = [_label(fit) for fit in others] + [f"{_label(fit)} ({_problems(fit)})" for fit in cut]
    if not passed:
        return ()
    averaged = " (averaged)" if _averaged(taken) else ""
    return (f"weights: {_label(taken)}{averaged}, not {_some(passed)}",)


def _label(fit: Fit) -> str:
    return shown("/".join(fit.prefix)) or "those at the top"


def _refusal(entries: list[Entry], fits: list[Fit]) -> str:
    """Why no topology is there whole: another codec's name, or what the nearest lacks."""
    best = max(fits, key=lambda fit: (fit.right, fit.similarity), default=None)
    other = other_codec(entries, best.similarity if best else 0.0)
    known = ", ".join(ARCHITECTURES)
    if other is not None:
        return f"{other}, not in this version; expected {known}"
    if best is None or best.right < best.total / 2:
        some = ", ".join(shown(".".join(entry.words)) for entry in sorted(entries, key=lambda e: e.words)[:3])
        return f"no codec that this version exports (it has {some}, …); expected {known}"
    widths = ", ".join(f"{name} = {width}" for name, width in best.widths.items())
    where = f" (in {_label(best)})" if best.prefix else ""
    remedy = (
        "save the whole net.state_dict()"
        if best.missing
        else "another codec's, or weights of two mixed"
        if best.wrong
        else "delete them if the decoder does without them, else it is another codec"
    )
    return f"does not load as {best.name}{f' of {widths}' if widths else ''}{where}: {_problems(best)}; {remedy}"


def _problems(fit: Fit) -> str:
    found = []
    if fit.missing:
        found.append(f"{len(fit.missing)} of {fit.total} weights missing: {_some(fit.missing)}")
    if fit.wrong:
        wrong = [f"{key} is {shape}, expected {expected}" for key, shape, expected in fit.wrong]
        found.append(f"{len(wrong)} of another shape: {_some(wrong)}")
    if fit.unknown:
        found.append(f"{len(fit.unknown)} unknown: {_some([shown(key) for key in fit.unknown])}")
    return "; ".join(found)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SOME]) + (", …" if len(names) > SOME else "")


def _state(file: Path, fit: Fit) -> State:
    """The weights as float32, once it is clear that they are stored values and not more than the file can hold."""
    for key, tensor in fit.found.items():
        _check_stored(file, shown(key), tensor, key in fit.topology.parameters)
    size = file.stat().st_size
    values = max(fit.found.items(), key=lambda item: item[1].numel())
    # twice: layers may share their weights
    if sum(tensor.numel() * tensor.element_size() for tensor in fit.found.values()) > 2 * size:
        raise UsageError(
            f"{file}: {shown(values[0])} has {values[1].numel():,} values in a file of {size:,} bytes, expected all of"
            " them stored; save it .contiguous()"
        )
    return {
        fit.topology.installed[key]: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in fit.found.items()
    }


def _check_stored(file: Path, key: str, tensor: torch.Tensor, is_parameter: bool) -> None:
    found = (
        "quantized"
        if tensor.is_quantized
        else "without values"
        if tensor.is_meta
        else str(tensor.layout).removeprefix("torch.")
    )
    if found != "strided":
        raise ExportRefusedError(f"{file}: weight {key} is {found}, expected a dense tensor; save the FP32 weights")
    if is_parameter and not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ExportRefusedError(f"{file}: weight {key} is {kind}, expected floats; save the FP32 weights")
