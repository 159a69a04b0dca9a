"""Names from files as a terminal may see them: no control characters, no markup."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from rich.markup import escape

Document = TypeVar("Document")
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # Unicode's categories of what moves the cursor or turns text round


def plain(text: str) -> str:
    """Control characters, line ends and directions as Python spells them: \\x1b."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in UNSEEN else c for c in text)


def harmless(value: Document) -> Document:
    """A copy of a document whose every text is plain, and no markup to rich."""
    found: Any = value
    if isinstance(value, str):
        found = escape(plain(value))
    elif isinstance(value, BaseModel):
        found = value.model_copy(update={name: harmless(getattr(value, name)) for name in type(value).model_fields})
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{item.name: harmless(getattr(value, item.name)) for item in fields(value)})
    elif isinstance(value, Mapping):
        found = {harmless(key): harmless(item) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        found = type(value)(harmless(item) for item in value)
    return cast("Document", found)
