"""Weights on disk: safetensors files and torch checkpoints, and every tensor that they hold at whatever depth."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nvc_check.models.codecs.stand_ins import Kept, globals_in, not_data, stand_in
from nvc_check.models.errors import UsageError

if TYPE_CHECKING:
    import torch

TORCHSCRIPT: Final = "constants.pkl"
MODULE_FIELDS: Final = frozenset({"_modules", "_parameters", "_buffers"})  # of a pickled torch.nn.Module
DEEPEST: Final = 24  # trainers nest three or four deep; a pickled module takes two levels for each of its own
MOST_TENSORS: Final = 100_000  # a codec with its optimizers' states has some thousands
MOST_OBJECTS: Final = 1_000_000  # the losses of every step may lie in it as well
TERMINAL_CODES: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Every tensor in a safetensors file or torch checkpoint, as stored, by where it lies.

    `state_dict/h_a.0.weight` is the entry `h_a.0.weight` of the dict `state_dict`. No code in the file is run.

    Raises:
        UsageError: the file is neither, or it names functions that no weights need.
    """
    import torch

    try:
        loaded = _read(file)
    except UsageError:
        raise
    except Exception as error:  # pickle, zipfile, struct, torch and safetensors raise classes of their own
        raise UsageError(
            f"{file}: not readable as safetensors or torch checkpoint ({reason_of(error)});"
            " expected .safetensors, .pth, .pth.tar, .pt or .ckpt; is this the right file?"
        ) from error
    tensors: dict[str, torch.Tensor] = {}
    for count, (path, value) in enumerate(_walk(loaded, "", "/", ())):
        if path and isinstance(value, torch.Tensor):
            tensors.setdefault(path, value)
        if count > MOST_OBJECTS or len(tensors) > MOST_TENSORS:
            raise UsageError(
                f"{file}: holds more than {MOST_TENSORS:,} tensors or {MOST_OBJECTS:,} objects, expected the weights of"
                " one codec; save net.state_dict() alone"
            )
    return tensors


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file that holds nothing else, as the trainers write it, float tensors as float32.

    Raises:
        UsageError: as `read_tensors`, or the weights lie deeper.
    """
    tensors = read_tensors(file)
    nested = next((path for path in tensors if "/" in path), None)
    if nested is not None:
        raise UsageError(f"{file}: its weights lie in {nested.split('/')[0]}, expected a state dict alone; save that")
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def reason_of(error: Exception) -> str:
    """What another library says of its failure, on one line, without its advice."""
    text = TERMINAL_CODES.sub("", str(error)).rpartition("WeightsUnpickler error:")[2]
    text = "".join(c for c in " ".join(text.split()) if c.isprintable())[:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read(file: Path) -> Any:
    import torch
    from safetensors.torch import load

    with file.open("rb") as stream:
        head = stream.read(9)
    # safetensors: length of the header, uint64 little-endian, then the header, a JSON object
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") <= file.stat().st_size:
        return load(file.read_bytes())
    if zipfile.is_zipfile(file):
        _check_archive(file)
    elif head.startswith(b"PK"):
        raise ValueError("a zip archive whose end is missing")
    names = globals_in(file)
    refused = not_data(names)
    if refused:
        raise UsageError(
            f"{file}: unpickled it would call {', '.join(sorted(refused)[:3])}, expected tensors and plain data;"
            " nothing was run. Is it your own, save its weights alone: torch.save(net.state_dict(), 'weights.pth')"
        )
    with _only([stand_in(name) for name in names]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on pickle protocols other than 2, and storages of older versions
        return torch.load(file, map_location="cpu", weights_only=True)


@contextmanager
def _only(stand_ins: list[type]) -> Iterator[None]:
    """torch's unpickler knows these classes, and none that imported libraries have registered with it."""
    from torch import serialization

    registered = serialization.get_safe_globals()
    serialization.clear_safe_globals()
    try:
        with serialization.safe_globals([*stand_ins]):
            yield
    finally:
        serialization.add_safe_globals(registered)


def _check_archive(file: Path) -> None:
    """Refuses TorchScript, and archives that would fill the memory: torch.save stores without compression."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    # first: torch.jit.save compresses the code in it, which may unpack to more than the archive
    if any(entry.filename.split("/")[-1] == TORCHSCRIPT for entry in entries):
        raise UsageError(
            f"{file}: a TorchScript archive, expected weights;"
            f" torch.save(torch.jit.load({file.name!r}).state_dict(), 'weights.pth') converts it"
        )
    unpacked, size = sum(entry.file_size for entry in entries), file.stat().st_size
    if unpacked > size:
        raise UsageError(
            f"{file}: a zip archive of {size:,} bytes that unpacks to {unpacked:,}, expected one stored uncompressed,"
            " as torch.save writes it; unzip it first"
        )


def _walk(value: Any, path: str, joint: str, around: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """(path, object) of all objects in `value`; `joint` comes between the path and the next name.

    `around` are the identities of what it lies in: an object in itself is not walked again.
    """
    yield path, value
    if len(around) == DEEPEST or id(value) in around:
        return
    inside = (*around, id(value))
    for name, inner in _entries(value):
        if name in MODULE_FIELDS:
            yield from _walk(inner, path, ".", inside)
        else:
            yield from _walk(inner, f"{path}{joint}{name[:100]}" if path else name[:100], "/", inside)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(name), inner) for name, inner in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(number), inner) for number, inner in enumerate(value))
    if isinstance(value, Kept):
        yield from _entries(value.state)
    elif isinstance(value, OrderedDict):
        yield from ((str(name), inner) for name, inner in vars(value).items() if name != "_metadata")
