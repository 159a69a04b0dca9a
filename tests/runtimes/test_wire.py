"""Messages between the checker and a leg's process."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nvc_check.runtimes.process.wire import receive, send

ARRAYS: dict[str, NDArray[Any]] = {
    "int8": np.arange(-128, 128, dtype=np.int8).reshape(2, 8, 16),
    "int32": np.array([[-(2**31), 2**31 - 1]], dtype=np.int32),
    "float32": np.array([-0.0, 1.5, np.inf, np.finfo(np.float32).smallest_subnormal], dtype=np.float32),
    "empty": np.zeros((0, 3), dtype=np.int32),
    "transposed": np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(2, 0, 1),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_round_trip_of_one_array(name: str) -> None:
    """Type, shape and every bit come back; what arrives may be written to."""
    stream = io.BytesIO()
    send(stream, {"op": "decode", "path": "int"}, {name: ARRAYS[name]})
    stream.seek(0)
    message, arrays = receive(stream)
    assert message == {"op": "decode", "path": "int"}
    assert (list(arrays), arrays[name].dtype, arrays[name].shape) == ([name], ARRAYS[name].dtype, ARRAYS[name].shape)
    assert arrays[name].tobytes() == ARRAYS[name].tobytes()
    assert arrays[name].flags.writeable
    assert stream.read() == b""


def test_messages_follow_each_other() -> None:
    """Each one ends where the next begins, with arrays or without."""
    stream = io.BytesIO()
    send(stream, {"op": "open", "name": "größer"})
    send(stream, {"op": "decode"}, ARRAYS)
    send(stream, {})
    stream.seek(0)
    assert receive(stream) == ({"op": "open", "name": "größer"}, {})
    message, arrays = receive(stream)
    assert (message, list(arrays)) == ({"op": "decode"}, list(ARRAYS))
    assert receive(stream) == ({}, {})


def test_a_pipe_that_gives_pieces() -> None:
    """A message longer than the pipe's buffer is put together again."""
    large = np.random.default_rng(0).integers(-100, 100, (1 << 18,)).astype(np.int32)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb") as target:
        sender = threading.Thread(target=send, args=(target, {"op": "decode"}, {"large": large}))
        sender.start()
        _, arrays = receive(source)
        sender.join()
    np.testing.assert_array_equal(arrays["large"], large)


def test_an_end_in_mid_message() -> None:
    """Wherever the other end closes, it is EOFError and never a short array."""
    stream = io.BytesIO()
    send(stream, {"op": "decode"}, {"z": np.ones((3, 5), np.int32)})
    whole = stream.getvalue()
    for length in range(len(whole)):
        with pytest.raises(EOFError, match="closed the pipe"):
            receive(io.BytesIO(whole[:length]))
    assert receive(io.BytesIO(whole))[1]["z"].sum() == 15


def test_a_reader_that_is_gone() -> None:
    """Writing to a closed pipe is BrokenPipeError, which a leg turns into a failed run."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as target, pytest.raises(BrokenPipeError):
        send(target, {"op": "decode"})
