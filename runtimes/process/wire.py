"""Messages between the checker and a leg's process: a JSON header and raw arrays, over a pipe.

8 bytes little-endian: length of the header
header: {"message": {...}, "arrays": [[name, dtype, shape], ...]}
the arrays' data in that order, C-order, little-endian
"""

from __future__ import annotations

import json
import math
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]


def send(stream: IO[bytes], message: dict[str, Any], arrays: Tensors | None = None) -> None:
    """Raises BrokenPipeError where the other end is gone."""
    contiguous = {name: np.ascontiguousarray(a) for name, a in (arrays or {}).items()}
    listed = [[name, a.dtype.str, list(a.shape)] for name, a in contiguous.items()]
    header = json.dumps({"message": message, "arrays": listed}).encode()
    stream.write(struct.pack("<Q", len(header)) + header)
    for array in contiguous.values():
        stream.write(array.data if array.size else b"")
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], Tensors]:
    """Raises EOFError where the other end closed the pipe."""
    (length,) = struct.unpack("<Q", _exactly(stream, 8))
    header = json.loads(bytes(_exactly(stream, length)))
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        arrays[name] = np.frombuffer(_exactly(stream, size), dtype=dtype).reshape(shape)
    return header["message"], arrays


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    filled = 0
    while filled < size:
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the other end closed the pipe")
        filled += count
    return data
