"""codec -> package: FP32 graphs, exact integer graphs, frozen tables, certificate, digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
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
from nvc_check.exporter.entropy_graph import entropy_graph
from nvc_check.exporter.frame_graphs import Y_MAX, Latents, frame_graphs
from nvc_check.exporter.frozen_tables import freeze_tables
from nvc_check.exporter.network.torch_export import export_codec, part_of_graph
from nvc_check.exporter.quantize.calibration import calibrate
from nvc_check.models.artifacts.package import FLAVOURS, Manifest, Package, graph_name, is_package, write_manifest
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
        scope: `hyperprior`, the entropy path is integer, or `decoder`, frames too.
        calibration: pictures or successive frames (1, 3, H, W) float32 in [0, 1], sides multiples of `codec.multiple`.
        targets: of the certificate, for which each graph must be exact in some flavour.
        allow_inexact: ordinary (not power-of-two) scales, marked inexact in the manifest.

    Raises:
        ExportRefusedError: an operator without exact form, a bound that cannot hold, or a graph not certified.
        UsageError: no calibration pictures, other precisions than w8a8 with `allow_inexact`, or `out` cannot be
            written.
    """
    precisions = precisions or Precisions()
    if allow_inexact and precisions != Precisions():
        raise UsageError("ordinary scales are for w8a8; leave --allow-inexact out")
    precisions = replace(precisions, power_of_two=not allow_inexact)
    progress("calibration")
    samples = calibrate(codec, calibration)
    with whole_folder(out, is_package) as folder:
        (folder / "fp32").mkdir()
        (folder / "int").mkdir()
        parts, arrays, certificates = {}, {}, {}
        progress("FP32 graphs")
        fp32 = export_codec(codec)
        for name, graph in fp32.items():
            shown = [str(value.name) for value in graph.graph.outputs if value.name not in InterDecoders.decoders]
            ir.save(part_of_graph(graph, shown), folder / "fp32" / f"{name}.onnx")
        for part in codec.hyperpriors:
            name = graph_name(part, "entropy")
            progress(f"{name}, integer")
            entropy = entropy_graph(fp32[name], samples.symbols[part], precisions)
            parts[part] = entropy.part()
            tables = freeze_tables(codec, part, parts[part].scales_exponent)
            if scope == "decoder":
                parts[part] = replace(parts[part], y_min=-Y_MAX, y_max=Y_MAX)
            arrays.update({f"{part}/{key}": array for key, array in asdict(tables).items()})
            for flavour in FLAVOURS:
                file = folder / "int" / f"{name}.{flavour}.onnx"
                ir.save(entropy.write(tables.integer_thresholds, flavour), file)
                certificates[file.relative_to(folder).as_posix()] = certify(onnx.load(file))
        if scope == "decoder":
            for name, module in codec.frame_graphs(native=False).items():
                progress(f"{name}, integer")
                made = frame_graphs(name, module, fp32[name], Latents(parts, samples.latents), precisions)
                for flavour, integer_graph in made.items():
                    file = folder / "int" / f"{name}.{flavour}.onnx"
                    ir.save(integer_graph, file)
                    certificates[file.relative_to(folder).as_posix()] = certify(onnx.load(file))
        if not allow_inexact:
            refuse_inexact(certificates, targets)
        write_certificates(folder, certificates)
        (folder / "codec.safetensors").write_bytes(_weights(codec.model))
        with (folder / "tables.npz").open("wb") as stream:
            np.savez(stream, **arrays)
        manifest = Manifest(
            name=codec.name,
            architecture=codec.architecture,
            kind=codec.kind,
            precision=str(precisions.default),
            scope=scope,
            exact=not allow_inexact,
            multiple=codec.multiple,
            parts=parts,
            files={},
            digest="",
        )
        write_manifest(folder, manifest)
    return Package.open(out)


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
