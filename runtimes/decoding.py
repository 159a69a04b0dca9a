"""What a leg does with the symbols of one frame: entropy graphs, indexes, frame graph."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.errors import NvcCheckError, RunFailedError
from nvc_check.models.package import Package, graph_name, tensor_name
from nvc_check.models.tables import indexes_from_scales
from nvc_check.runtimes.leg import Engine, Runnable, Tensors
from nvc_check.runtimes.placement import Placement, exact_graphs

FRAME_GRAPHS = {"image": ("frame",), "video": ("keyframe_frame", "inter_frame")}


class Decoder:
    """Decodes frame after frame on one engine and path; a video codec's reference frame is the leg's own.

    The tensors are `indexes` int32, `means` (float32 on fp32, int32 on int) where the codec has them, with the part's
    prefix in a video codec, and `frame` (1, 3, H, W): float32, unclamped, or on the integer path at scope decoder int32
    in [0, 255]. At scope hyperprior the frame graphs are FP32, so an integer-only engine gives no frame.
    """

    def __init__(self, engine: Engine, package: Package, path: str) -> None:
        manifest = package.manifest
        self._parts = manifest.parts
        self._path = path
        self._thresholds = {part: package.tables(part).scale_thresholds for part in manifest.parts}
        self._integer_frames = path == "int" and manifest.scope == "decoder"
        frames = FRAME_GRAPHS[manifest.kind] if "fp32" in engine.paths or self._integer_frames else ()
        names = [graph_name(part, "entropy") for part in manifest.parts] + list(frames)
        files = {name: package.graph(path, name, engine.flavour) for name in names}
        self._files = {name: file.relative_to(package.root).as_posix() for name, file in files.items()}
        self._exact = exact_graphs(package) if path == "int" else frozenset[str]()
        self._stated = str(getattr(engine, "stated", ""))
        started = time.perf_counter()
        self._graphs = {name: engine.load(file, name) for name, file in files.items()}
        self._seconds = time.perf_counter() - started
        self._reference: NDArray[Any] | None = None

    def decode(self, symbols: Tensors) -> Tensors:
        """`symbols` of the next frame: <part>.y (1, M, h, w) and <part>.z (1, N, h, w), int32, for the parts it has.

        Raises:
            RunFailedError: the engine failed, or gave NaN or infinite values.
        """
        tensors: Tensors = {}
        inputs: Tensors = {}
        parts = [part for part in self._parts if f"{part}.z" in symbols]
        if not parts:
            found, expected = ", ".join(sorted(symbols)) or "nothing", ", ".join(self._parts)
            raise RunFailedError(f"symbols of a frame: found {found}, expected y and z of {expected}")
        for part in parts:
            prefix = f"{part}." if len(parts) > 1 else ""
            inputs[f"{prefix}y"] = symbols[f"{part}.y"]
            indexes, means, given_means = self._parameters(part, symbols[f"{part}.z"])
            tensors[tensor_name(part, "indexes")] = indexes
            if means is not None and given_means is not None:
                tensors[tensor_name(part, "means")] = means
                inputs[f"{prefix}means"] = given_means
        graph = self._graphs.get(_frame_graph(parts))
        if graph is not None:
            if "residual" in parts:
                if self._reference is None:
                    raise RunFailedError("a predicted frame came before any keyframe")
                inputs["reference"] = self._reference
            frame = _finite("frame", self._timed(graph, inputs)["frame"])
            tensors["frame"] = frame
            if "image" not in parts:
                self._reference = frame
        return tensors

    def _parameters(self, part: str, z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
        """(indexes int32, means as the path gives them, means as the frame graph takes them)."""
        entropy = self._timed(self._graphs[graph_name(part, "entropy")], {"z": z})
        means = _finite("means", entropy["means"]) if "means" in entropy else None
        if self._path == "fp32":
            scales_hat = _finite("scales_hat", entropy["scales_hat"])
            return indexes_from_scales(scales_hat, self._thresholds[part]), means, means
        indexes = entropy["indexes"].astype(np.int32, copy=False)
        exponent = self._parts[part].means_exponent
        if means is None or exponent is None:
            return indexes, None, None
        if self._integer_frames:
            return indexes, means, means
        return indexes, means, np.ldexp(means.astype(np.float32), exponent)  # exact: 16 bits times a power of two

    def placement(self) -> Placement:
        """What ran of the graphs that have run so far."""
        found = Placement(stated=self._stated)
        for name, graph in self._graphs.items():
            ran = getattr(graph, "ran", None)
            if ran is not None:
                found.add(name, ran(), self._files[name] in self._exact)
        if not found.rows and not found.stated:
            found.stated = "the engine does not tell what ran"
        return found

    def take_seconds(self) -> float:
        """Time inside the engine, loading and running, since it was last taken."""
        taken, self._seconds = self._seconds, 0.0
        return taken

    def _timed(self, graph: Runnable, inputs: Tensors) -> Tensors:
        started = time.perf_counter()
        try:
            return graph(inputs)
        except NvcCheckError:
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


def _frame_graph(parts: list[str]) -> str:
    if "image" in parts:
        return "frame"
    return "keyframe_frame" if "keyframe" in parts else "inter_frame"
