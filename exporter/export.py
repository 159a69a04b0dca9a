"""codec -> package: FP32 graphs, exact integer graphs, frozen tables, certificate, digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from nvc_check.exporter.certificate import Certificate, certify
from nvc_check.exporter.frozen_tables import freeze_tables
from nvc_check.exporter.integer_graph import write_graph
from nvc_check.exporter.layers import read_chain
from nvc_check.exporter.quantization import quantize_chain
from nvc_check.exporter.torch_export import export_entropy, export_frame
from nvc_check.models.analysis import Analysis
from nvc_check.models.atomic import whole_folder
from nvc_check.models.codecs import Codec
from nvc_check.models.digest import canonical_json
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.package import FLAVOURS, Manifest, Package, Part, write_manifest

MULTIPLE = 64  # four stride-2 layers to y, two more to z
Progress = Callable[[str], None]


def export_package(
    codec: Codec,
    calibration: Iterable[NDArray[np.float32]],
    out: Path,
    *,
    allow_inexact: bool = False,
    progress: Progress = lambda step: None,
) -> Package:
    """Writes the package `out` of an image codec at scope `hyperprior`, precision `w8a8`.

    Args:
        calibration: pictures (1, 3, H, W) float32 in [0, 1], sides multiples of 64.
        allow_inexact: ordinary (not power-of-two) scales, marked inexact in the manifest.

    Raises:
        ExportRefusedError: an operator without exact form, a bound that cannot hold, or a graph not certified.
        UsageError: no calibration pictures, or `out` cannot be written.
    """
    progress("FP32 graphs")
    analysis = Analysis(codec)
    entropy = export_entropy(codec.model, codec.has_means)
    chain = read_chain(entropy)
    y_channels = chain.outputs[0].stop - chain.outputs[0].start
    frame = export_frame(codec.model, codec.has_means, y_channels)

    progress("calibration")
    symbols = [analysis.z_symbols(analysis.latents(picture)[1]).astype(np.int64) for picture in calibration]
    integer = quantize_chain(chain, symbols, power_of_two=not allow_inexact)
    scales = integer.output("scales_hat")
    means = integer.output("means") if codec.has_means else None
    tables = freeze_tables(codec.model, scales.exponent)
    part = Part(
        y_channels=y_channels,
        z_channels=chain.layers[0].in_channels,
        z_min=integer.z_min,
        z_max=integer.z_max,
        scales_exponent=scales.exponent,
        means_exponent=means.exponent if means else None,
    )
    with whole_folder(out) as folder:
        (folder / "fp32").mkdir()
        (folder / "int").mkdir()
        ir.save(entropy, folder / "fp32" / "entropy.onnx")
        ir.save(frame, folder / "fp32" / "frame.onnx")
        certificates = {}
        for flavour in FLAVOURS:
            progress(f"integer graph, {flavour}")
            file = folder / "int" / f"entropy.{flavour}.onnx"
            ir.save(write_graph(integer, tables.integer_thresholds, flavour), file)
            certificates[file.relative_to(folder).as_posix()] = certify(onnx.load(file))
        if not allow_inexact:
            _refuse_inexact(certificates)
        progress("package")
        document = {name: certificate.to_json() for name, certificate in certificates.items()}
        (folder / "certificate.json").write_text(canonical_json(document), encoding="utf-8")
        (folder / "codec.safetensors").write_bytes(_weights(codec.model))
        arrays = {f"image/{name}": array for name, array in asdict(tables).items()}
        with (folder / "tables.npz").open("wb") as stream:
            np.savez(stream, **arrays)
        manifest = Manifest(
            name=codec.name,
            architecture=codec.architecture,
            kind="image",
            precision="w8a8",
            scope="hyperprior",
            exact=not allow_inexact,
            multiple=MULTIPLE,
            parts={"image": part},
            files={},
            digest="",
        )
        write_manifest(folder, manifest)
    return Package.open(out)


def _refuse_inexact(certificates: dict[str, Certificate]) -> None:
    for name, certificate in certificates.items():
        for node in certificate.nodes:
            if not node.exact:
                raise ExportRefusedError(f"{name}: node {node.name} ({node.op_type}) is not exact: {node.reason}")


def _weights(model: Any) -> bytes:
    """All parameters, as float16 where that loses nothing."""
    tensors = {}
    for name, parameter in sorted(model.named_parameters()):
        value = parameter.detach().contiguous()
        tensors[name] = value.half() if torch.equal(value.half().float(), value) else value
    data: bytes = save(tensors)
    return data
