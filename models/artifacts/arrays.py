"""NumPy arrays out of files that somebody else made."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
