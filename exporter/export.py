"""codec -> package: FP32 graphs, exact integer graphs, frozen tables, certificate, digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from nvc_check.exporter.certificate.verdicts import EXACT, Certificate
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.codec_compiler import compile_codec
from nvc_check.exporter.lower.values import PlannedLayer
from nvc_check.exporter.network.torch_export import part_of_graph
from nvc_check.models.artifacts.package import Manifest, Package, is_package, write_manifest
from nvc_check.models.atomic import whole_folder
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.codecs.video import InterDecoders
from nvc_check.models.digest import canonical_json
from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.precision import Precisions

Progress = Callable[[str], None]


def export_package(
    codec: Codec,
    calibration: Iterable[NDArray[np.float32]],
    out: Path,
    *,
    scope: str = "hyperprior",
    precisions: Precisions | None = None,
    allow_inexact: bool = False,
    targets: Iterable[str] = (),
    progress: Progress = lambda step: None,
) -> Package:
    """Writes the package `out` of a codec.

    Args:
        precisions: of its layers, w8a8 by default.
        scope: `hyperprior`, the entropy path is integer, `decoder`, frames too, or `codec`, the encoder's symbols too.
        calibration: pictures or successive frames (1, 3, H, W) float32 in [0, 1], sides multiples of `codec.multiple`.
        targets: of the certificate, for which each graph must be exact in some flavour.
        allow_inexact: ordinary (not power-of-two) scales, marked inexact in the manifest.

    Raises:
        ExportRefusedError: an operator without exact form, a bound that cannot hold, or a graph not certified.
        UsageError: no calibration pictures, a layer that is not there, other precisions than w8a8 with
            `allow_inexact`, or `out` cannot be written.
    """
    precisions = precisions or Precisions()
    if allow_inexact and precisions != Precisions():
        raise UsageError("ordinary scales are for w8a8; leave --allow-inexact out")
    precisions = replace(precisions, power_of_two=not allow_inexact)
    made = compile_codec(codec, calibration, scope, precisions, progress)
    with whole_folder(out, is_package) as folder:
        (folder / "fp32").mkdir()
        (folder / "int").mkdir()
        for name, graph in made.fp32.items():
            if name.endswith("_analysis"):  # of a video codec: FP32 legs do not encode, their references differ
                continue
            shown = [str(value.name) for value in graph.graph.outputs if value.name not in InterDecoders.decoders]
            ir.save(part_of_graph(graph, shown), folder / "fp32" / f"{name}.onnx")
        certificates = {}
        for name, flavours in made.integers.items():
            progress(f"certifying {name}")
            for flavour, graph in flavours.items():
                file = f"int/{name}.{flavour}.onnx"
                ir.save(graph, folder / file)
                certificates[file] = certify(onnx.load(folder / file))
        if not allow_inexact:
            refuse_inexact(certificates, targets)
        write_certificates(folder, certificates)
        (folder / "codec.safetensors").write_bytes(_weights(codec.model))
        with (folder / "tables.npz").open("wb") as stream:
            np.savez(stream, **made.tables)
        manifest = Manifest(
            name=codec.name,
            architecture=codec.architecture,
            kind=codec.kind,
            precision=str(precisions.default),
            scope=scope,
            exact=not allow_inexact,
            multiple=codec.multiple,
            parts=made.parts,
            files={},
            digest="",
            layers=layers_apart(made.layers, precisions),
        )
        write_manifest(folder, manifest)
    return Package.open(out)


def layers_apart(layers: Iterable[PlannedLayer], precisions: Precisions) -> dict[str, str]:
    """Layer -> its precision, of those that have another one than the package."""
    usual = str(precisions.default)
    return {layer.name: layer.precision for layer in layers if layer.precision != usual}


def write_certificates(folder: Path, certificates: dict[str, Certificate]) -> None:
    """certificate.json, by the graphs' file names."""
    document = {name: certificate.stored() for name, certificate in certificates.items()}
    (folder / "certificate.json").write_text(canonical_json(document), encoding="utf-8")


def refuse_inexact(certificates: dict[str, Certificate], targets: Iterable[str] = ()) -> None:
    """Raises ExportRefusedError for the first node that is not exact, and for a graph with no flavour for a target."""
    for name, certificate in certificates.items():
        for node in certificate.nodes:
            if not node.exact:
                raise ExportRefusedError(f"{name}: node {node.name} ({node.op_type}) is not exact: {node.reason}")
    for target in targets:
        for graph in dict.fromkeys(name.split(".")[0] for name in certificates):
            flavours = [found for name, found in certificates.items() if name.split(".")[0] == graph]
            if not any(found.verdicts[target] == EXACT for found in flavours):
                raise ExportRefusedError(f"{graph}: {_not_exact(flavours, target)}; --targets names others")


def _not_exact(flavours: list[Certificate], target: str) -> str:
    """Why none of a graph's flavours is exact on a target, of the one that is nearest to it."""
    proved = [found for found in flavours if found.targets[target]]
    if proved:
        form, *others = min((found.unmeasured[target] for found in proved), key=len)
        more = f" and {len(others)} more" if others else ""
        return f"exact in arithmetic for {target}, but never measured there: {form}{more}"
    node, hazard = next(iter(flavours[0].failures(target)))
    return f"not exact for {target}: node {node.name} ({node.op_type}): {hazard.reason}"


def _weights(model: Any) -> bytes:
    """All parameters, as float16 where that loses nothing."""
    tensors = {}
    for name, parameter in sorted(model.named_parameters()):
        value = parameter.detach().contiguous()
        tensors[name] = value.half() if torch.equal(value.half().float(), value) else value
    data: bytes = save(tensors)
    return data
