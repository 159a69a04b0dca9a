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


def in_32_bits(tensor: NDArray[Any]) -> NDArray[Any]:
    """Integers as int32, floats as float32; as they are where that is not every value: none ever passes for another."""
    with np.errstate(over="ignore"):
        kept = np.asarray(tensor).astype(np.int32 if tensor.dtype.kind in "iu" else np.float32, copy=False)
    lossless = tensor.dtype.itemsize < kept.dtype.itemsize or np.array_equal(kept, tensor, equal_nan=True)
    return kept if lossless else np.asarray(tensor)


def tensor_digest(tensor: NDArray[Any]) -> str:
    """Of the little-endian C-order data: integers as int32, floats as float32 with -0.0 as +0.0 (any shape).

    Values that these cannot hold keep their own type, whose name counts too.
    """
    data = in_32_bits(tensor)
    if data.dtype not in (np.int32, np.float32):
        return hashlib.sha256(data.dtype.str.encode() + data.tobytes()).hexdigest()
    if data.dtype == np.float32:
        data = data + np.float32(0)
    return hashlib.sha256(np.ascontiguousarray(data, data.dtype.newbyteorder("<")).data).hexdigest()


def canonical_json(document: Any) -> str:
    """One spelling per document: sorted keys, two-space indent, a final newline. NaN is refused (ValueError)."""
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document_digest(document: dict[str, Any]) -> str:
    """Of the canonical JSON of `document` without its own `digest` entry."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(canonical_json(rest).encode()).hexdigest()
