"""A user's float ONNX decoder -> package: the graph as it was read, its exact integer form, certificate, digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate.verdicts import Certificate
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.export import layers_apart, refuse_inexact, write_certificates
from nvc_check.exporter.graph_compiler import CompiledGraph, compile_graph
from nvc_check.exporter.graph_reader import SiteLoss
from nvc_check.exporter.lower.readout import ScalesOutput
from nvc_check.exporter.network.model import Source, read_source
from nvc_check.models.artifacts.package import MOST_DECIBELS, USER_GRAPH, Manifest, Package, is_package, write_manifest
from nvc_check.models.atomic import whole_folder
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions

MIN_SNR = 20.0  # dB: below, the integer graph is another function
FINER = (Precision(8, 16), Precision(12, 12), Precision(16, 16))  # what comes nearer to float, in this order
WORST = 3  # sites that a refusal names


@dataclass(frozen=True)
class UserExport:
    """What was written.

    Attributes:
        noise: output -> signal to noise of the integers against ONNX Runtime's run of the file, calibration, dB.
        losses: the same of each node, against the float graph, in the order of the graph.
        notes: how the file was changed to be read, a line each.
    """

    package: Package
    noise: dict[str, float]
    losses: tuple[SiteLoss, ...]
    notes: tuple[str, ...]


def export_user_graph(
    file: Path,
    calibration: Iterable[Mapping[str, NDArray[np.float32]]],
    out: Path,
    progress: Callable[[str], None] = lambda step: None,
    *,
    min_snr: float = MIN_SNR,
) -> tuple[Package, dict[str, float]]:
    """As `export_source` of a file: the package, and the outputs' signal to noise."""
    made = export_source(read_source(file), calibration, out, progress, min_snr=min_snr)
    return made.package, made.noise


def export_source(
    source: Source,
    calibration: Iterable[Mapping[str, NDArray[np.float32]]],
    out: Path,
    progress: Callable[[str], None] = lambda step: None,
    *,
    min_snr: float = MIN_SNR,
    precisions: Precisions | None = None,
    peak: float | None = None,
    targets: Iterable[str] = (),
    scales: ScalesOutput | None = None,
) -> UserExport:
    """Writes the package `out` of an ONNX decoder.

    Args:
        calibration: its inputs by name, float32, each of the shape that the file states, with batch 1.
        min_snr: of every output, in dB.
        precisions: of its layers, w8a8 by default.
        peak: value of white, where the one input is a picture.
        targets: of the certificate, for which it must be exact in some flavour.
        scales: the output that the integer graph gives as indexes of entropy tables, if there is one.

    Raises:
        ExportRefusedError: an operator without exact form, by name; a bound that cannot hold; less than `min_snr`.
        UsageError: not such a decoder, no calibration, a layer that is not there, or `out` cannot be written.
    """
    progress("quantizing")
    precisions = precisions or Precisions()
    made = compile_graph(source, list(calibration), precisions, scales)
    _refuse_noise(made, min_snr, precisions.default)
    with whole_folder(out, is_package) as folder:
        (folder / "fp32").mkdir()
        (folder / "int").mkdir()
        ir.save(ir.from_proto(source.prepared), folder / "fp32" / f"{USER_GRAPH}.onnx")
        certificates: dict[str, Certificate] = {}
        for flavour, graph in made.graphs.items():
            progress(f"certifying, {flavour}")
            name = f"int/{USER_GRAPH}.{flavour}.onnx"
            ir.save(graph, folder / name)
            certificates[name] = certify(onnx.load(folder / name))
        refuse_inexact(certificates, targets)
        write_certificates(folder, certificates)
        manifest = Manifest(
            name=source.name,
            architecture="onnx",
            kind="graph",
            precision=str(precisions.default),
            scope="decoder",
            exact=True,
            multiple=1,
            parts={},
            files={},
            digest="",
            inputs={name: replace(grid, peak=peak) for name, grid in made.inputs.items()},
            outputs=made.outputs,
            layers=layers_apart(made.layers, precisions),
            scales=scales.name if scales is not None else "",
            thresholds=scales.thresholds.astype(float).tolist() if scales is not None else (),
            fidelity={name: min(round(found, 2), MOST_DECIBELS) for name, found in made.noise.items()},
        )
        write_manifest(folder, manifest)
    return UserExport(Package.open(out), made.noise, made.losses, source.notes)


def finer_than(precision: Precision) -> Precision | None:
    """What comes nearer to float than `precision`."""
    return next((each for each in FINER if each > precision), None)


def _refuse_noise(made: CompiledGraph, min_snr: float, precision: Precision) -> None:
    for output, found in made.noise.items():
        if found >= min_snr:
            continue
        finer = finer_than(precision)
        cure = f"try --precision {finer}, " if finer else ""
        drops = sorted(_drops(made.losses), key=lambda each: each[0])[:WORST]
        named = ", ".join(f"{site.name} ({site.op_type}, {site.decibels:.1f} dB)" for _, site in drops)
        raise ExportRefusedError(
            f"output {output}: signal to noise {found:.1f} dB, expected at least {min_snr:g} (--min-snr); most is lost"
            f" at {named}; {cure}calibrate on inputs like those that are decoded, or scale the layers' channels alike"
        )


def _drops(losses: tuple[SiteLoss, ...]) -> list[tuple[float, SiteLoss]]:
    """How much lower each node's signal to noise is than that of the node before it."""
    before = [MOST_DECIBELS, *(site.decibels for site in losses)]
    return [(site.decibels - last, site) for last, site in zip(before, losses, strict=False)]
