"""Trace files: a JSON document, or with tensors a zip archive whose last entry is that document (docs/trace.md)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.traces.format import Trace, parsed
from nvc_check.models.artifacts.arrays import MOST_TEXT, array_of, entry_of
from nvc_check.models.artifacts.symbols import DAMAGE
from nvc_check.models.atomic import no_stream
from nvc_check.models.digest import canonical_json, in_32_bits, tensor_digest
from nvc_check.models.errors import BadArtifactError

DOCUMENT = "trace.json"


class TraceWriter:
    """Writes to `file`; only `finish` makes it whole. One tensor is held at a time.

    Raises:
        OSError: the disk is full.
    """

    def __init__(self, file: Path, tensors: bool) -> None:
        self._file = file
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) if tensors else None

    @property
    def tensors(self) -> bool:
        return self._archive is not None

    def add(self, path: str, frame: int, tensors: dict[str, NDArray[Any]]) -> None:
        """Integers of any width, or float32; only where the writer was made for tensors."""
        assert self._archive is not None
        for name, tensor in tensors.items():
            buffer = io.BytesIO()
            np.save(buffer, narrow(tensor), allow_pickle=False)
            # a fixed date: the same tensors make the same file
            entry = zipfile.ZipInfo(entry_name(path, frame, name))
            self._archive.writestr(entry, buffer.getbuffer(), zipfile.ZIP_DEFLATED, 1)

    def finish(self, trace: Trace) -> None:
        text = canonical_json(trace.document())
        if self._archive is None:
            self._file.write_text(text, encoding="utf-8")
            return
        self._archive.writestr(zipfile.ZipInfo(DOCUMENT), text, zipfile.ZIP_DEFLATED, 1)
        self._archive.close()

    def abandon(self) -> None:
        """Lets go of the file, which stays without its end."""
        if self._archive is not None and self._archive.fp is not None:
            self._archive.fp.close()
            self._archive.fp = None


class TraceFile:
    """An open trace; a context manager.

    Raises:
        UsageError: a FIFO or a device.
        BadArtifactError: missing, cut, edited, or of another version.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._archive: zipfile.ZipFile | None = None
        no_stream(file, "a trace")
        try:
            if zipfile.is_zipfile(file):
                self._archive = zipfile.ZipFile(file)
                text = entry_of(self._archive, DOCUMENT, MOST_TEXT).decode()
            else:
                if file.stat().st_size > MOST_TEXT:
                    raise ValueError(f"{file.stat().st_size:,} bytes, expected {MOST_TEXT:,} at most")
                text = file.read_text(encoding="utf-8")
            self.trace = parsed(file, text)
        except (KeyError, *DAMAGE) as error:
            self.close()
            raise BadArtifactError(f"{file}: not a whole trace ({error}); record it again") from error
        except BadArtifactError:
            self.close()
            raise
        if self.trace.stored != (self._archive is not None):
            self.close()
            raise BadArtifactError(f"{file}: says that it has {_having(self.trace.stored)}; record it again")

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()

    def read(self, path: Literal["fp32", "int"], frame: int, tensor: str) -> NDArray[Any] | None:
        """int32 or float32 as recorded; None where the trace has digests only.

        Raises:
            BadArtifactError: the entry is missing, damaged, or not what its digest says.
        """
        if self._archive is None:
            return None
        entry = entry_name(path, frame, tensor)
        try:
            array = array_of(entry_of(self._archive, entry))
        except (KeyError, *DAMAGE) as error:
            raise BadArtifactError(f"{self.file}: tensor {entry} is damaged ({error}); record it again") from error
        if tensor_digest(array) != self.trace.paths[path].frames[frame][tensor].sha256:
            raise BadArtifactError(f"{self.file}: tensor {entry} is not what its digest says; record it again")
        return in_32_bits(array)


def entry_name(path: str, frame: int, tensor: str) -> str:
    return f"{frame:06d}/{path}/{tensor}.npy"


def narrow(tensor: NDArray[Any]) -> NDArray[Any]:
    """Integers as int8 or int16 where their values fit: they compress well and fast."""
    if tensor.dtype.kind not in "iu":
        return tensor
    for dtype in (np.int8, np.int16):
        limits = np.iinfo(dtype)
        if tensor.size == 0 or (tensor.min() >= limits.min and tensor.max() <= limits.max):
            return tensor.astype(dtype)
    return tensor


def _having(stored: bool) -> str:
    return "tensors and has none" if stored else "none of its tensors and has some"
