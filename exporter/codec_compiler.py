"""A codec's FP32 graphs -> its exact integer graphs, which the package's writer and the plan share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.analysis_graph import DIFFERENCE, analysis_graph
from nvc_check.exporter.entropy_graph import entropy_graph
from nvc_check.exporter.frame_graph import Y_MAX, Latents, frame_graph, motion_of
from nvc_check.exporter.frozen_tables import freeze_tables
from nvc_check.exporter.lower.values import PlannedLayer
from nvc_check.exporter.network.torch_export import export_codec
from nvc_check.exporter.quantize.calibration import calibrate
from nvc_check.models.artifacts.package import FLAVOURS, Part, graph_name
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.precision import Precisions


@dataclass(frozen=True)
class CompiledCodec:
    """All of it in memory.

    Attributes:
        fp32: graphs by name.
        integers: name -> flavour -> graph.
        parts: of the stream, by name.
        tables: frozen CDF tables, by PART/NAME.
        layers: of all integer graphs, called GRAPH/LAYER.
    """

    fp32: dict[str, ir.Model]
    integers: dict[str, dict[str, ir.Model]]
    parts: dict[str, Part]
    tables: dict[str, NDArray[Any]]
    layers: tuple[PlannedLayer, ...]


def compile_codec(
    codec: Codec,
    calibration: Iterable[NDArray[np.float32]],
    scope: str,
    precisions: Precisions,
    progress: Callable[[str], None] = lambda step: None,
) -> CompiledCodec:
    """Args as of `export_package`.

    Raises:
        ExportRefusedError: an operator without exact form, by name; a bound that cannot hold.
        UsageError: no calibration pictures; a pattern of `precisions` that fits no layer.
    """
    progress("calibration")
    samples = calibrate(codec, calibration, analysis=scope == "codec")
    progress("FP32 graphs")
    made = CompiledCodec(export_codec(codec, analysis=scope == "codec"), {}, {}, {}, ())
    layers: list[PlannedLayer] = []

    def add(name: str, flavours: dict[str, ir.Model], planned: Iterable[PlannedLayer]) -> None:
        made.integers[name] = flavours
        layers.extend(replace(layer, name=f"{name}/{layer.name}") for layer in planned)

    for part in codec.hyperpriors:
        name = graph_name(part, "entropy")
        progress(f"{name}, integer")
        entropy = entropy_graph(made.fp32[name], samples.symbols[part], precisions.within(name))
        found = entropy.part()
        tables = freeze_tables(codec, part, found.scales_exponent)
        made.tables.update({f"{part}/{key}": array for key, array in asdict(tables).items()})
        made.parts[part] = found if scope == "hyperprior" else replace(found, y_min=-Y_MAX, y_max=Y_MAX)
        flavours = {flavour: entropy.write(tables.integer_thresholds, flavour) for flavour in FLAVOURS}
        add(name, flavours, entropy.reader.layers)
    if scope != "hyperprior":
        for name, module in codec.frame_graphs(native=False).items():
            progress(f"{name}, integer")
            latents = Latents(made.parts, samples.latents)
            frame = frame_graph(name, module, made.fp32[name], latents, precisions.within(name))
            add(name, frame.flavours, frame.layers)
    for part in codec.hyperpriors if scope == "codec" else ():
        name = graph_name(part, "analysis")
        progress(f"{name}, integer")
        seen, known = samples.seen[name], made.parts[part]
        motion = None
        if DIFFERENCE in seen[0]:
            predicted = "inter_frame"
            module = codec.frame_graphs(native=False)[predicted]
            latents = Latents(made.parts, samples.latents)
            motion = motion_of(predicted, module, made.fp32[predicted], latents, precisions.within(predicted))
        analysis = analysis_graph(name, made.fp32[name], seen, known, precisions.within(name), motion)
        made.parts[part] = replace(known, y_exponent=analysis.y_exponent, sees_flow="flow" in seen[0])
        add(name, analysis.made.flavours, analysis.made.layers)
    precisions.check(layer.name for layer in layers)
    return replace(made, layers=tuple(layers))
