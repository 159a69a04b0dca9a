"""Entries of archives that somebody else made, and the NumPy arrays in them."""

from __future__ import annotations

import io
import zipfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST_TEXT: Final = 1 << 28  # bytes of a document: a trace of an hour at 25 frames a second has some 100 MB
MOST_ARRAY: Final = 1 << 29  # of a tensor: a float32 frame of 8K has 400 MB


def entry_of(archive: zipfile.ZipFile, name: str, most: int = MOST_ARRAY) -> bytes:
    """What an entry holds, unless that is more than any honest one.

    Raises:
        ValueError: it has more bytes than `most`.
        KeyError: no such entry; for damage, what zipfile raises.
    """
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"{name} unpacks to {size:,} bytes, expected {most:,} at most")
    return archive.read(name)


def array_of(data: bytes) -> NDArray[Any]:
    """The array of an .npy file, integers or floats.

    Raises:
        ValueError: it is none, is cut, has more values than bytes, or objects, texts or complex numbers in it.
    """
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # NumPy parses headers as Python: damage raises whatever its tokenizer does
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise ValueError(f"found {getattr(array, 'dtype', type(array).__name__)}, expected integers or floats")
    return array
