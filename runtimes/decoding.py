"""What a leg does with the symbols of one picture: entropy graph, indexes, frame graph."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.errors import RunFailedError
from nvc_check.models.package import Package
from nvc_check.models.tables import indexes_from_scales
from nvc_check.runtimes.leg import Engine, Runnable, Tensors


class ImageDecoder:
    """Decodes on one engine and path.

    The tensors are `indexes` int32, `means` (float32 on fp32, int32 on int) where the codec has them, and `frame`
    (1, 3, H, W) float32, unclamped. At scope hyperprior the frame graph is FP32, so an integer-only engine gives none.
    """

    def __init__(self, engine: Engine, package: Package, path: str) -> None:
        self._part = package.manifest.parts["image"]
        self._path = path
        self._thresholds = package.tables("image").scale_thresholds
        started = time.perf_counter()
        self._entropy = engine.load(package.graph(path, "entropy", engine.flavour), "entropy")
        self._frame: Runnable | None = None
        if "fp32" in engine.paths:
            self._frame = engine.load(package.graph(path, "frame", engine.flavour), "frame")
        self._seconds = time.perf_counter() - started

    def decode(self, symbols: Tensors) -> Tensors:
        """`symbols`: image.y (1, M, h, w) and image.z (1, N, h, w), int32.

        Raises:
            RunFailedError: the engine failed, or gave NaN or infinite values.
        """
        tensors: Tensors = {}
        entropy = self._timed(self._entropy, {"z": symbols["image.z"]})
        frame_inputs: Tensors = {"y": symbols["image.y"]}
        if self._path == "fp32":
            scales_hat = _finite("scales_hat", entropy["scales_hat"])
            tensors["indexes"] = indexes_from_scales(scales_hat, self._thresholds)
        else:
            tensors["indexes"] = entropy["indexes"].astype(np.int32, copy=False)
        if "means" in entropy:
            tensors["means"] = _finite("means", entropy["means"])
            frame_inputs["means"] = tensors["means"]
            if self._path == "int" and self._part.means_exponent is not None:
                # exact: at most 16 bits times a power of two
                frame_inputs["means"] = np.ldexp(tensors["means"].astype(np.float32), self._part.means_exponent)
        if self._frame is not None:
            tensors["frame"] = _finite("frame", self._timed(self._frame, frame_inputs)["frame"])
        return tensors

    def take_seconds(self) -> float:
        """Time inside the engine, loading and running, since it was last taken."""
        taken, self._seconds = self._seconds, 0.0
        return taken

    def _timed(self, graph: Runnable, inputs: Tensors) -> Tensors:
        started = time.perf_counter()
        try:
            return graph(inputs)
        except RunFailedError:
            raise
        except Exception as error:  # each engine has exception classes of its own
            raise RunFailedError(f"inference failed ({(str(error).splitlines() or [repr(error)])[0]})") from error
        finally:
            self._seconds += time.perf_counter() - started


def _finite(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        bad = int(tensor.size - np.isfinite(tensor).sum())
        raise RunFailedError(f"{name} has {bad} values that are NaN or infinite, expected finite ones")
    return tensor
