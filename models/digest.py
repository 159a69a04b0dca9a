"""SHA-256 of files, tensors and JSON documents, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tensor_digest(tensor: NDArray[Any]) -> str:
    """Of the little-endian C-order data: integers as int32, floats as float32 with -0.0 as +0.0 (any shape).

    Values that these cannot hold keep their own type, whose name counts too: they never pass for others.
    """
    kind = "i4" if tensor.dtype.kind in "iu" else "f4"
    with np.errstate(over="ignore"):
        data = np.asarray(tensor).astype(f"<{kind}")
    if tensor.dtype.itemsize >= data.dtype.itemsize and not np.array_equal(data, tensor, equal_nan=True):
        return hashlib.sha256(tensor.dtype.str.encode() + np.ascontiguousarray(tensor).tobytes()).hexdigest()
    if kind == "f4":
        data = data + np.float32(0)
    return hashlib.sha256(np.ascontiguousarray(data).data).hexdigest()


def canonical_json(document: Any) -> str:
    """One spelling per document: sorted keys, two-space indent, a final newline. NaN is refused (ValueError)."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document_digest(document: dict[str, Any]) -> str:
    """Of the canonical JSON of `document` without its own `digest` entry."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(canonical_json(rest).encode()).hexdigest()
