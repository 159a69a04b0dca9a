"""What a leg does with the symbols of one frame: entropy graphs, indexes, frame graph; at scope codec, with the picture
too: its symbols anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.models.artifacts.package import OUTPUT, USER_GRAPH, Package, graph_name, tensor_name
from nvc_check.models.artifacts.symbols import PICTURE
from nvc_check.models.artifacts.tables import indexes_from_scales
from nvc_check.models.digest import in_32_bits
from nvc_check.models.errors import RunFailedError
from nvc_check.models.motion import block_flow
from nvc_check.runtimes.encoding import Rounded, y_symbols, z_symbols
from nvc_check.runtimes.leg import Engine, Tensors
from nvc_check.runtimes.loaded import LoadedGraphs, finite

FRAME_GRAPHS = {"image": ("frame",), "video": ("keyframe_frame", "inter_frame")}


class Decoder:
    """Decodes frame after frame on one engine and path; a video codec's reference frame is the leg's own.

    The tensors are `indexes` int32, `means` (float32 on fp32, int32 on int) where the codec has them, with the part's
    prefix in a video codec, and `frame` (1, 3, H, W): float32, unclamped, or on the integer path at scope decoder int32
    in [0, 255]. At scope hyperprior the frame graphs are FP32, so an integer-only engine gives no frame. At scope codec
    also `y` and `z` int32, the symbols that the leg itself makes of the picture; of a video codec on the integer path.
    """

    def __init__(self, engine: Engine, package: Package, path: str) -> None:
        manifest = package.manifest
        self._parts = manifest.parts
        self._multiple = manifest.multiple
        self._path = path
        self._thresholds = {part: package.tables(part).scale_thresholds for part in manifest.parts}
        self._integer_frames = path == "int" and manifest.integer_frames
        frames = FRAME_GRAPHS[manifest.kind] if "fp32" in engine.paths or self._integer_frames else ()
        names = [graph_name(part, "entropy") for part in manifest.parts] + list(frames)
        # the references of FP32 legs differ, so that what these would encode says nothing
        encodes = manifest.integer_symbols and (path == "int" or manifest.kind == "image")
        names += [graph_name(part, "analysis") for part in manifest.parts] if encodes else []
        self.graphs = LoadedGraphs(engine, package, path, names)
        self._reference: NDArray[Any] | None = None

    def decode(self, symbols: Tensors) -> Tensors:
        """`symbols` of the next frame: <part>.y (1, M, h, w) and <part>.z (1, N, h, w), int32, for the parts it has; at
        scope codec `picture` (1, 3, H, W) in [0, 255] where the leg is to encode, too.

        Raises:
            RunFailedError: the engine failed, or gave NaN or infinite values.
        """
        tensors: Tensors = {}
        inputs: Tensors = {}
        parts = [part for part in self._parts if f"{part}.z" in symbols]
        if not parts:
            found, expected = ", ".join(sorted(symbols)) or "nothing", ", ".join(self._parts)
            raise RunFailedError(f"symbols of a frame: found {found}, expected y and z of {expected}")
        if PICTURE in symbols and graph_name(parts[0], "analysis") in self.graphs:
            made = self.encode(symbols[PICTURE], predicted="residual" in parts)
            tensors |= {name: rounded.symbols for name, rounded in made.items()}
        for part in parts:
            prefix = f"{part}." if len(parts) > 1 else ""
            inputs[f"{prefix}y"] = symbols[f"{part}.y"]
            indexes, means, given_means = self._parameters(part, symbols[f"{part}.z"])
            tensors[tensor_name(part, "indexes")] = indexes
            if means is not None and given_means is not None:
                tensors[tensor_name(part, "means")] = means
                inputs[f"{prefix}means"] = given_means
        graph = _frame_graph(parts)
        if graph in self.graphs:
            if "residual" in parts:
                inputs["reference"] = self._known_reference()
            frame = finite("frame", self.graphs.run(graph, inputs)["frame"])
            tensors["frame"] = frame
            if "image" not in parts:
                self._reference = frame
        return tensors

    def encode(self, picture: NDArray[Any], *, predicted: bool = False) -> dict[str, Rounded]:
        """At scope codec `y` and `z` of a padded picture, (1, 3, H, W) int32 in [0, 255]; of a video codec those of
        motion and residual where it is `predicted` from the last decoded frame, else a keyframe's.

        Raises:
            RunFailedError: the engine failed, or gave NaN or infinite values; no frame to predict from.
        """
        self._check_picture(picture)
        seen: Tensors = {PICTURE: picture}
        if not predicted:
            first = next(iter(self._parts))
            return self._latents(first, seen)[0]
        reference = self._known_reference()
        if reference.shape != picture.shape:
            raise RunFailedError(
                f"symbols: picture is {picture.shape}, expected {reference.shape} as of the one before"
            )
        seen["reference"] = reference
        flow = {"flow": block_flow(picture, reference)} if self._parts["motion"].sees_flow else {}
        motion, means = self._latents("motion", {**seen, **flow})
        moved = {"motion.y": motion[tensor_name("motion", "y")].symbols, "motion.means": means}
        residual, _ = self._latents("residual", {**seen, **moved})
        return {**motion, **residual}

    def _latents(self, part: str, seen: Tensors) -> tuple[dict[str, Rounded], NDArray[Any]]:
        """(symbols, means as the frame graph takes them) of what an analysis graph gives."""
        latents = self.graphs.run(graph_name(part, "analysis"), seen)
        limits = self._parts[part]
        z = z_symbols(finite("z", latents["z"]), limits, self._path)
        _, means, given_means = self._parameters(part, z.symbols)
        y = y_symbols(finite("y", latents["y"]), means, limits, self._path)
        known = np.zeros_like(y.symbols) if given_means is None else given_means
        return {tensor_name(part, "y"): y, tensor_name(part, "z"): z}, known

    def _check_picture(self, picture: NDArray[Any]) -> None:
        """Raises RunFailedError for what no encoder of ours is given."""
        shape, multiple = picture.shape, self._multiple
        fits = len(shape) == 4 and shape[:2] == (1, 3) and min(shape) > 0 and not any(s % multiple for s in shape[2:])
        if picture.dtype != np.int32 or not fits:
            expected = f"int32 (1, 3, H, W), H and W multiples of {multiple}"
            raise RunFailedError(f"symbols: picture is {picture.dtype} {shape}, expected {expected}")

    def _known_reference(self) -> NDArray[Any]:
        if self._reference is None:
            raise RunFailedError("a predicted frame came before any keyframe")
        return self._reference

    def _parameters(self, part: str, z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
        """(indexes int32, means as the path gives them, means as the frame graph takes them)."""
        entropy = self.graphs.run(graph_name(part, "entropy"), {"z": z})
        means = finite("means", entropy["means"]) if "means" in entropy else None
        if self._path == "fp32":
            scales_hat = finite("scales_hat", entropy["scales_hat"])
            return indexes_from_scales(scales_hat, self._thresholds[part]), means, means
        indexes = in_32_bits(entropy["indexes"])
        exponent = self._parts[part].means_exponent
        if means is None or exponent is None:
            return indexes, None, None
        if self._integer_frames:
            return indexes, means, means
        return indexes, means, np.ldexp(means.astype(np.float32), exponent)  # exact: 16 bits times a power of two


class GraphDecoder:
    """Runs a user's decoder: on the integer path on inputs in steps of the grids that the manifest states, on the FP32
    path on inputs as they were given.

    The tensors are `output/<name>`: int32 in steps on the integer path, float32 on the other; `output/indexes` int32 on
    both where the graph gives scales.
    """

    def __init__(self, engine: Engine, package: Package, path: str) -> None:
        self._inputs = package.manifest.inputs
        self._path = path
        self._scales = package.manifest.scales if path == "fp32" else ""
        self._thresholds = np.asarray(package.manifest.thresholds, np.float32)
        self.graphs = LoadedGraphs(engine, package, path, [USER_GRAPH])

    def decode(self, symbols: Tensors) -> Tensors:
        """`symbols`: every input by name, (1, C, h, w) int32; on the FP32 path of the dtype that the manifest states.

        Raises:
            RunFailedError: another set of inputs or another dtype; the engine failed, or gave NaN or infinite values.
        """
        if symbols.keys() != self._inputs.keys():
            raise RunFailedError(f"symbols: found {', '.join(sorted(symbols))}, expected {', '.join(self._inputs)}")
        for name, grid in self._inputs.items():
            expected = grid.dtype if self._path == "fp32" else "int32"
            if symbols[name].dtype != expected:  # an engine that casts would take steps for values
                raise RunFailedError(f"symbols: {name} is {symbols[name].dtype}, expected {expected}")
        outputs = self.graphs.run(USER_GRAPH, symbols)
        if self._scales:  # as one function counts them for all legs
            outputs["indexes"] = indexes_from_scales(finite(self._scales, outputs.pop(self._scales)), self._thresholds)
        return {f"{OUTPUT}{name}": finite(name, tensor) for name, tensor in outputs.items()}


def open_decoder(engine: Engine, package: Package, path: str) -> Decoder | GraphDecoder:
    """What decodes this kind of package."""
    return (GraphDecoder if package.manifest.kind == "graph" else Decoder)(engine, package, path)


def _frame_graph(parts: list[str]) -> str:
    if "image" in parts:
        return "frame"
    return "keyframe_frame" if "keyframe" in parts else "inter_frame"
