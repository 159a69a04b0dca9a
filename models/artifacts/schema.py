"""Documents of others, checked field by field against the dataclass that they are to become.

Legs read manifests in environments that have NumPy and ONNX alone, so that this is no pydantic model.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from nvc_check.models.text import is_text

Document = TypeVar("Document")
LARGEST = 2**53  # integers beyond it are others to half of the readers of JSON
SHOWN = 40


def _none(_: object) -> bool:
    return False


SCALARS: Mapping[Any, Callable[[Any], bool]] = {
    bool: lambda value: type(value) is bool,
    float: lambda value: type(value) in (int, float) and math.isfinite(value),
    int: lambda value: type(value) is int and abs(value) < LARGEST,
    str: is_text,
}


def typed(cls: type[Document], document: object, where: str = "") -> Document:
    """`document`, as json.loads gives it, as a `cls` with every field of its declared type.

    Raises:
        ValueError: a field too many or too few, or of another type; the message names it.
    """
    if not isinstance(document, dict):
        raise ValueError(f"{where or 'the document'} is {_shown(document)}, expected an object")
    hints, known = _hints(cls), {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    needed = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    if extra := sorted(set(document) - set(known)):
        raise ValueError(f"{_path(where, extra[0])} is not known")
    if missing := sorted(needed - set(document)):
        raise ValueError(f"{_path(where, missing[0])} is missing")
    return cls(**{name: _value(hints[name], value, _path(where, name)) for name, value in document.items()})


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


def _path(where: str, name: str) -> str:
    return f"{where}.{name[:SHOWN]}" if where else name[:SHOWN]


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _of_union(inner, value, where)
    if is_dataclass(kind):
        return typed(kind, value, where)  # type: ignore[arg-type]
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {_key(key, where): _value(inner[1], item, _path(where, key)) for key, item in value.items()}
    if origin in (list, tuple, Sequence) and isinstance(value, (list, tuple)):
        return [_value(inner[0], item, f"{where}[{place}]") for place, item in enumerate(value)]
    if not SCALARS.get(kind, _none)(value):
        raise ValueError(f"{where} is {_shown(value)}, expected {getattr(origin or kind, '__name__', kind)}")
    return float(value) if kind is float else value


def _key(key: object, where: str) -> Any:
    if not is_text(key):
        raise ValueError(f"{where} has a name {_shown(key)}, expected text")
    return key


def _of_union(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    return _value(next(kind for kind in kinds if kind is not type(None)), value, where)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
