"""A user's float ONNX decoder -> package: the graph as it was, its exact integer form, certificate, digests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.certificate import Certificate, certify
from nvc_check.exporter.export import refuse_inexact, write_certificates
from nvc_check.exporter.user_graph import quantize_user_graph
from nvc_check.models.atomic import whole_folder
from nvc_check.models.errors import UsageError
from nvc_check.models.package import USER_GRAPH, Manifest, Package, write_manifest

INPUTS, OUTPUTS = (ir.DataType.FLOAT, ir.DataType.INT32), (ir.DataType.FLOAT,)


def read_user_graph(file: Path) -> ir.Model:
    """Raises UsageError where `file` is not a whole ONNX model, or its inputs are not float32 or int32."""
    try:
        onnx.checker.check_model(file)
        model = ir.external_data.load_to_model(ir.load(file))  # a package is one folder: weights inside
    except Exception as error:  # protobuf and onnx_ir raise classes of their own
        raise UsageError(
            f"{file}: not a whole ONNX model ({(str(error).splitlines() or [repr(error)])[0]}); is this the right file?"
        ) from error
    for values, known in ((inputs_of(model), INPUTS), (model.graph.outputs, OUTPUTS)):
        for value in values:
            if value.dtype not in known or not re.fullmatch(r"[\w.-]+", str(value.name)):
                expected = f"{' or '.join(t.name for t in known)} and a plain name"
                raise UsageError(f"{file}: {value.name} is {value.dtype}, expected {expected}")
    return model


def inputs_of(model: ir.Model) -> list[ir.Value]:
    """The inputs that are no weights."""
    return [value for value in model.graph.inputs if value.const_value is None]


def export_user_graph(
    file: Path,
    calibration: Iterable[Mapping[str, NDArray[np.float32]]],
    out: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Package, dict[str, float]]:
    """Writes the package `out` of the ONNX decoder `file`, at precision `w8a8`.

    Returns the package, and per output its signal to noise against the float decoder over the calibration, in dB.

    Args:
        calibration: its inputs by name, (1, C, h, w) each.

    Raises:
        ExportRefusedError: an operator without exact form, by name, or a bound that cannot hold.
        UsageError: `file` is not such a decoder, no calibration, or `out` cannot be written.
    """
    model = read_user_graph(file)
    examples = list(calibration)
    if not examples:
        raise UsageError("calibration: no examples, expected at least one")
    with whole_folder(out) as folder:
        (folder / "fp32").mkdir()
        (folder / "int").mkdir()
        ir.save(model, folder / "fp32" / f"{USER_GRAPH}.onnx")
        progress("quantizing")
        made = quantize_user_graph(model, examples)
        certificates: dict[str, Certificate] = {}
        for flavour, graph in made.graphs.items():
            progress(f"certifying, {flavour}")
            name = f"int/{USER_GRAPH}.{flavour}.onnx"
            ir.save(graph, folder / name)
            certificates[name] = certify(onnx.load(folder / name))
        refuse_inexact(certificates)
        write_certificates(folder, certificates)
        manifest = Manifest(
            name=file.stem,
            architecture="onnx",
            kind="graph",
            precision="w8a8",
            scope="decoder",
            exact=True,
            multiple=1,
            parts={},
            files={},
            digest="",
            inputs=made.inputs,
            outputs=made.outputs,
        )
        write_manifest(folder, manifest)
    return Package.open(out), made.noise
