"""The exported directory: what is in it, and reading it with every digest checked.

manifest.json      what the codec is, the grids at the boundaries, SHA-256 of every other file, package digest
certificate.json   per integer graph and node: bound, verdict, reason
tables.npz         frozen integer CDFs, thresholds, offsets; never rebuilt on the decoding machine
codec.safetensors  all weights (float16-representable), for the torch leg and for encoding
fp32/              entropy.onnx, frame.onnx
int/               entropy.qdq.onnx, entropy.carrier.onnx; at scope decoder also frame.qdq.onnx, frame.carrier.onnx, at
                   scope codec also analysis.qdq.onnx, analysis.carrier.onnx (of an image codec fp32/analysis.onnx too)

Of a user's ONNX decoder: manifest.json, certificate.json, fp32/decoder.onnx, int/decoder.qdq.onnx and .carrier.onnx.
"""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nvc_check.models.artifacts.arrays import array_of, entry_of
from nvc_check.models.artifacts.schema import typed
from nvc_check.models.artifacts.symbols import DAMAGE
from nvc_check.models.artifacts.tables import Tables
from nvc_check.models.digest import canonical_json, document_digest, file_digest
from nvc_check.models.errors import BadArtifactError

SCHEMA = "nvc-check/package/1"
FLAVOURS = ("qdq", "carrier")
KINDS = {"image": ("image",), "video": ("keyframe", "motion", "residual"), "graph": ()}  # and their parts
MOST_MULTIPLE, MOST_EXPONENT = 1024, 126
SCOPES = ("hyperprior", "decoder", "codec")  # each has all that the one before has
USER_GRAPH = "decoder"  # the graph of a package of kind `graph`
OUTPUT = "output/"  # in front of the name of what it gives
MOST_DECIBELS = 999.0  # what stands for no difference
FRAME_PEAK = 255  # of the int32 frames that integer frame graphs give: a picture in 8-bit steps, clipped


@dataclass(frozen=True)
class Part:
    """One hyperprior of the codec: `image`, or `keyframe`, `motion`, `residual` of a video codec.

    Attributes:
        y_channels, z_channels: channels of the latent (1, M, H/16, W/16) and hyper-latent (1, N, H/64, W/64).
        z_min, z_max: range to which the integer path clips the symbols z; the encoder clamps the same way.
        scales_exponent: e of the grid on which the integer path compares scales, value = integer * 2^e.
        means_exponent: e of the int32 means; None where the codec has no means.
        y_min, y_max: scope decoder: range to which the frame graphs clip the symbols y; the encoder clamps alike.
        y_exponent: scope codec: e of the int32 y that the analysis graph gives.
        sees_flow: scope codec: the analysis graph also takes the flow of models/motion.py.
    """

    y_channels: int
    z_channels: int
    z_min: int
    z_max: int
    scales_exponent: int
    means_exponent: int | None
    y_min: int | None = None
    y_max: int | None = None
    y_exponent: int | None = None
    sees_flow: bool = False


@dataclass(frozen=True)
class GridTensor:
    """An int32 input or output of a user's graph: (1, channels, h, w), real value = integer * 2^exponent.

    Inputs are clipped to [low, high], outputs lie within. `dtype` is what the float graph has: float32, or int32 with
    exponent 0. `shape`: of an input, (1, C, h, w) or (1, C), None where any size goes. `peak`: of an input that is a
    picture, the value of white, 1 or 255 as a rule; None where that is not known.
    """

    channels: int
    exponent: int
    low: int
    high: int
    dtype: str = "float32"
    shape: Sequence[int | None] | None = None
    peak: float | None = None


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says; `multiple` is what height and width are padded to.

    `kind` is `image`, `video`, or `graph`: a user's ONNX decoder, which has `inputs` and `outputs` in place of parts.
    `precision`: wNaM; `layers`, of a graph: layer -> its own precision, of those that have another one.
    `scales`, of a graph: the FP32 graph's output that the integer graph gives as `indexes`: how many of the ascending
    `thresholds`, float32, are below; empty where there is none.
    `fidelity`, of a graph: output -> signal to noise over the calibration of the integers against the float decoder,
    10 log10(var(float) / mean((integer * 2^e - float)^2)) in dB; 999 where nothing differs.
    """

    name: str
    architecture: str
    kind: str
    precision: str
    scope: str
    exact: bool
    multiple: int
    parts: dict[str, Part]
    files: dict[str, str]
    digest: str
    inputs: dict[str, GridTensor] = field(default_factory=dict)
    outputs: dict[str, GridTensor] = field(default_factory=dict)
    fidelity: dict[str, float] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    scales: str = ""
    thresholds: Sequence[float] = ()

    @property
    def integer_frames(self) -> bool:
        """Whether the integer path makes the frames too."""
        return self.scope != "hyperprior"

    @property
    def integer_symbols(self) -> bool:
        """Whether it makes the symbols of a picture, too."""
        return self.scope == "codec"

    def to_json(self) -> dict[str, Any]:
        document = {"schema": SCHEMA, **asdict(self)}
        if not self.layers:
            del document["layers"]  # as before there were any
        if not self.scales:
            del document["scales"], document["thresholds"]
        for part in document["parts"].values():
            if part["y_exponent"] is None:
                del part["y_exponent"], part["sees_flow"]  # likewise
        return document

    def check(self) -> None:
        """Raises ValueError where a value is of the right type and means nothing."""
        if self.kind not in KINDS or self.scope not in SCOPES or not 1 <= self.multiple <= MOST_MULTIPLE:
            found = f"kind {self.kind!r}, scope {self.scope!r}, multiple {self.multiple}"
            raise ValueError(f"{found}; expected one of {', '.join(KINDS)}, one of {', '.join(SCOPES)}, 1 to 1024")
        expected = KINDS[self.kind]
        if set(self.parts) != set(expected) or bool(self.inputs and self.outputs) != (self.kind == "graph"):
            raise ValueError(f"parts {', '.join(self.parts) or 'none'}, expected {', '.join(expected) or 'none'}")
        for name in self.files:
            _check_file(name)
        for name, grid in {**self.inputs, **self.outputs}.items():
            _check_grid(name, grid)
        for name, part in self.parts.items():
            self._check_part(name, part)
        ascending = all(a < b for a, b in itertools.pairwise(self.thresholds))
        if bool(self.scales) != bool(self.thresholds) or not ascending or (self.scales and self.kind != "graph"):
            found = f"scales {self.scales[:60]!r} with {len(self.thresholds)} thresholds"
            raise ValueError(f"{found}, expected them ascending, of a graph")

    def _check_part(self, name: str, part: Part) -> None:
        if min(part.y_channels, part.z_channels) < 1 or part.z_min > part.z_max:
            raise ValueError(f"part {name} has {part.y_channels} channels, z from {part.z_min} to {part.z_max}")
        if (part.y_exponent is not None) != self.integer_symbols or (part.sees_flow and name != "motion"):
            raise ValueError(f"part {name} of scope {self.scope} has y in steps of 2^{part.y_exponent}")
        exponents = part.scales_exponent, part.means_exponent or 0, part.y_exponent or 0
        if max(map(abs, exponents)) > MOST_EXPONENT:
            raise ValueError(f"part {name} is in steps of 2^{part.scales_exponent} and 2^{part.means_exponent}")


def _check_file(name: str) -> None:
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or not all(0 < len(part.encode()) < 256 for part in parts):
        raise ValueError(f"file {name[:60]!r} has a name that no file of a package has")
    if {".", ".."} & set(parts):
        raise ValueError(f"file {name[:60]!r} lies outside the package")


def _check_grid(name: str, grid: GridTensor) -> None:
    if grid.channels < 1 or grid.low > grid.high or grid.dtype not in ("float32", "int32"):
        raise ValueError(f"{name} has {grid.channels} channels from {grid.low} to {grid.high}, {grid.dtype}")
    if abs(grid.exponent) > MOST_EXPONENT:
        raise ValueError(f"{name} is in steps of 2^{grid.exponent}")


def is_package(folder: Path) -> bool:
    """Whether a folder holds a package and nothing else: what may be replaced by another."""
    try:
        document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        listed = {"manifest.json", *document["files"]}
        known = str(document["schema"]).startswith(SCHEMA.rpartition("/")[0] + "/")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    there = [entry for entry in folder.rglob("*") if entry.is_symlink() or not entry.is_dir()]
    return known and all(
        entry.is_file() and not entry.is_symlink() and entry.relative_to(folder).as_posix() in listed for entry in there
    )


def graph_name(part: str, graph: str) -> str:
    """File stem of a part's graph: `entropy` of an image codec, `motion_entropy` of a video codec."""
    return graph if part == "image" else f"{part}_{graph}"


def tensor_name(part: str, tensor: str) -> str:
    """`indexes` of an image codec, `motion/indexes` of a video codec."""
    return tensor if part == "image" else f"{part}/{tensor}"


class Package:
    """A package on disk whose files were all found as the manifest describes them."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @classmethod
    def open(cls, root: Path) -> Package:
        """Reads and verifies.

        Raises:
            BadArtifactError: not a package, a damaged manifest, or a file that is missing or altered.
        """
        manifest = _read_manifest(root / "manifest.json")
        for name, expected in manifest.files.items():
            if not (root / name).is_file():
                raise BadArtifactError(f"{root}: {name} is missing; the manifest lists it: export the package again")
            found = file_digest(root / name)
            if found != expected:
                raise BadArtifactError(
                    f"{root}: {name} has SHA-256 {found[:12]}…, the manifest says {expected[:12]}…:"
                    " the file was altered or damaged; export the package again"
                )
        return cls(root, manifest)

    def graph(self, path: str, graph: str, flavour: str = "qdq") -> Path:
        """The ONNX file that a leg runs.

        Args:
            path: fp32 or int.
            graph: entropy, frame (at scope hyperprior that of FP32) or analysis.
        """
        if path == "fp32" or (graph.endswith("frame") and not self.manifest.integer_frames):
            return self.root / "fp32" / f"{graph}.onnx"
        return self.root / "int" / f"{graph}.{flavour}.onnx"

    def integer_graphs(self) -> list[str]:
        """The integer graphs that some leg would load, both flavours, relative to the package."""
        if self.manifest.kind == "graph":
            names = [USER_GRAPH]
        else:
            names = [graph_name(part, "entropy") for part in self.manifest.parts]
            if self.manifest.integer_frames:
                names += ["frame"] if self.manifest.kind == "image" else ["keyframe_frame", "inter_frame"]
            if self.manifest.integer_symbols:
                names += [graph_name(part, "analysis") for part in self.manifest.parts]
        return [f"int/{name}.{flavour}.onnx" for name in names for flavour in FLAVOURS]

    def tables(self, part: str) -> Tables:
        """Raises BadArtifactError where they are not whole, or not tables."""
        file = self.root / "tables.npz"
        try:
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name.startswith(f"{part}/")]
                return Tables.read(
                    {n.split("/")[1].removesuffix(".npy"): array_of(entry_of(archive, n)) for n in names}
                )
        except (KeyError, TypeError, *DAMAGE) as error:
            raise BadArtifactError(f"{file}: no tables of part {part} ({error}); export the package again") from error


def write_manifest(root: Path, manifest: Manifest) -> Manifest:
    """Fills in the files' digests and the package digest, and writes manifest.json."""
    files = {p.relative_to(root).as_posix(): file_digest(p) for p in sorted(root.rglob("*")) if p.is_file()}
    files.pop("manifest.json", None)
    document = {**manifest.to_json(), "files": files}
    document["digest"] = document_digest(document)
    (root / "manifest.json").write_text(canonical_json(document), encoding="utf-8")
    return _read_manifest(root / "manifest.json")


def _read_manifest(file: Path) -> Manifest:
    if not file.is_file():
        raise BadArtifactError(f"{file.parent}: no manifest.json, expected a package that `nvc-check export` wrote")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        schema = document.pop("schema")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadArtifactError(f"{file}: not a manifest ({error}); export the package again") from error
    if schema != SCHEMA:
        raise BadArtifactError(f"{file}: schema {schema!r}, expected {SCHEMA!r}; export the package with this version")
    try:
        expected = document_digest({"schema": schema, **document})
    except (ValueError, RecursionError) as error:  # NaN, half a pair of surrogates
        raise BadArtifactError(f"{file}: not a manifest ({error}); export the package again") from error
    if document.get("digest") != expected:
        raise BadArtifactError(
            f"{file}: digest {str(document.get('digest'))[:12]}… does not fit its content ({expected[:12]}…):"
            " the manifest was altered or damaged; export the package again"
        )
    try:
        manifest = typed(Manifest, document)
        manifest.check()
    except ValueError as error:
        raise BadArtifactError(f"{file}: not a manifest of {SCHEMA} ({error}); export the package again") from error
    return manifest
