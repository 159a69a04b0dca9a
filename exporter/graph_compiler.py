"""A float ONNX graph -> its exact integer graphs: int32 in, int32 out, on grids that the package states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.graph_reader import Example, GraphReader, Grids, SiteLoss, as_picture
from nvc_check.exporter.lower.flavours import FLAVOURS
from nvc_check.exporter.lower.readout import INDEXES, ScalesOutput
from nvc_check.exporter.lower.site import ORDINARY, Role
from nvc_check.exporter.lower.values import Known, PlannedLayer, decibels
from nvc_check.exporter.network.equalize import bends_as_relus
from nvc_check.exporter.network.model import Source, with_sizes
from nvc_check.exporter.network.rewrite import simplify
from nvc_check.exporter.network.verify import on_onnxruntime, original_outputs, other_size
from nvc_check.models.artifacts.package import GridTensor
from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.precision import Precisions

SAME = 60.0  # dB: what was read of the graph against what ONNX Runtime makes of the file; float32 rounds at 120 or so
TURNED_LEAST = 20.0
TURNED = 12.0  # dB that a picture may lose when it is turned: networks know up from down
FIXED = "sizes are fixed inside the model: export it with a fixed size"
GOOD = 32.0  # dB, over the calibration: less is worth another try


@dataclass(frozen=True)
class CompiledGraph:
    """What is written.

    Attributes:
        graphs: flavour -> graph.
        inputs, outputs: their grids.
        noise: output -> signal to noise against ONNX Runtime's run of the original over the calibration, dB.
        losses: of every node, in the order of the graph.
        layers: what stands in the place of each.
    """

    graphs: dict[str, ir.Model]
    inputs: dict[str, GridTensor]
    outputs: dict[str, GridTensor]
    noise: dict[str, float]
    losses: tuple[SiteLoss, ...]
    layers: tuple[PlannedLayer, ...]


def compile_graph(
    source: Source,
    examples: list[Example],
    precisions: Precisions | None = None,
    scales: ScalesOutput | None = None,
) -> CompiledGraph:
    """The integer form.

    Args:
        scales: the output that is given as indexes of entropy tables, if there is one.
        examples: inputs by name, each of the shape that the original has, with batch 1.
        precisions: of its layers, w8a8 by default; above 8 bits they read limbs: nearer to float, and slower.

    Raises:
        ExportRefusedError: an operator or attribute without exact form, by name, with what would make it exact; a bound
            that cannot hold; a graph that was read as another than ONNX Runtime runs.
        UsageError: an example of a wrong shape; a pattern of `precisions` that fits no layer.
    """
    precisions = precisions or Precisions()
    _check_examples(source, examples)
    wanted = list(original_outputs(source, examples))
    made = _compiled(source, examples, wanted, precisions, scales, apart=False)
    if min(made.noise.values()) < GOOD:
        # LeakyRelu and PRelu as Relus are nearer to float, and slower
        other = _compiled(source, examples, wanted, precisions, scales, apart=True)
        made = max(made, other, key=lambda each: min(each.noise.values()))
    if source.open_size:
        _check_other_size(source, made, examples[0], scales)
    return made


def _check_other_size(source: Source, made: CompiledGraph, example: Example, scales: ScalesOutput | None) -> None:
    """Raises ExportRefusedError where sizes of the calibration went into the graph."""
    turned = other_size(example)
    if turned is None:
        return
    try:
        wanted = next(original_outputs(source, [turned]))
    except ExportRefusedError:
        return  # ONNX Runtime cannot run the file at that size either
    wanted = wanted if scales is None else scales.named(wanted)
    steps = {
        name: np.clip(np.rint(np.ldexp(turned[name].astype(np.float64), -grid.exponent)), grid.low, grid.high)
        for name, grid in made.inputs.items()
    }
    given = {name: array.astype(np.int32) for name, array in steps.items()}
    sizes = ", ".join(f"{name} {array.shape}" for name, array in turned.items())
    try:
        found = on_onnxruntime(ir.to_proto(made.graphs["qdq"]).SerializeToString(), given)
    except Exception as error:  # ONNX Runtime raises classes of its own
        line = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefusedError(f"{source.name}: does not run on {sizes} ({line}); {FIXED}") from error
    for (name, grid), integers in zip(made.outputs.items(), found, strict=True):
        if integers.shape != wanted[name].shape:
            raise ExportRefusedError(
                f"output {name}: {integers.shape} of {sizes}, where ONNX Runtime gives {wanted[name].shape}; {FIXED}"
            )
        near = decibels([wanted[name].astype(np.float64)], [np.ldexp(integers.astype(np.float64), grid.exponent)])
        if near < min(made.noise[name] - TURNED, TURNED_LEAST):
            raise ExportRefusedError(
                f"output {name}: {near:.0f} dB from float of {sizes}, {made.noise[name]:.0f} in calibration; {FIXED}"
            )


def _compiled(
    source: Source,
    examples: list[Example],
    wanted: list[dict[str, NDArray[np.float32]]],
    precisions: Precisions,
    scales: ScalesOutput | None,
    *,
    apart: bool,
) -> CompiledGraph:
    role = ORDINARY if scales is None else Role(rounded_once=True)  # of an entropy graph, as codecs' are
    reader, outputs = read_graph(source, examples, precisions, apart=apart, role=role)
    for name, known in outputs.items():
        _check_read(name, known, [each[name] for each in wanted])
    graphs = {flavour: reader.write(flavour, outputs, scales) for flavour in FLAVOURS}
    grids, noise = {}, {}
    for name, known in outputs.items():
        real = [as_picture(each[name]) for each in wanted]
        if scales is None or name != scales.name:
            grids[name], noise[name] = reader.grid(name, known), decibels(real, known.made())
            continue
        indexes = scales.known(known, real)
        grids[INDEXES] = GridTensor(indexes.channels, 0, indexes.low, indexes.high, "int32")
        noise[INDEXES] = decibels(indexes.real, indexes.made())
    return CompiledGraph(
        graphs,
        {name: reader.grid(name, known) for name, known in reader.inputs.items()},
        grids,
        noise,
        tuple(reader.losses),
        reader.layers,
    )


def read_graph(
    source: Source,
    examples: list[Example],
    precisions: Precisions,
    *,
    given: Grids | None = None,
    asked: Grids | None = None,
    apart: bool = False,
    role: Role = ORDINARY,
) -> tuple[GraphReader, dict[str, Known]]:
    """(the graph as it was read, its outputs); `given`, `asked`: grids of inputs and outputs that have a role.

    Raises:
        ExportRefusedError: an operator or attribute without exact form, by name; a bound that cannot hold.
        UsageError: a pattern of `precisions` that fits no layer.
    """
    model = with_sizes(source.prepared, examples[0])
    simplify(model.graph, open_size=source.open_size)
    if apart:
        bends_as_relus(model.graph)
    reader = GraphReader(model, source, examples, precisions, given, asked, role=role)
    for node in list(model.graph):
        reader.read(node)
    return reader, reader.finish()


def _check_examples(source: Source, examples: list[Example]) -> None:
    if not examples:
        raise UsageError("calibration: no examples, expected at least one")
    for example in examples:
        for name, expected in source.sizes.items():
            found = example[name].shape
            fits = len(found) == len(expected) and all(w in (None, f) for w, f in zip(expected, found, strict=True))
            if not fits:
                shown = ", ".join("any" if size is None else str(size) for size in expected)
                raise UsageError(f"input {name}: calibration of shape {found}, expected ({shown})")


def _check_read(name: str, known: Known, wanted: list[NDArray[np.float32]]) -> None:
    expected = [as_picture(each) for each in wanted]
    for mine, theirs in zip(known.real, expected, strict=True):
        if mine.shape != theirs.shape:
            raise ExportRefusedError(
                f"output {name}: read as {mine.shape}, but ONNX Runtime gives {theirs.shape} for the file as it is"
            )
    # against its size, not its variance: of an output that hardly varies float32's last bits are most of that
    error = sum(float(((a - b) ** 2).sum()) for a, b in zip(expected, known.real, strict=True))
    size = sum(float((each**2).sum()) for each in expected)
    found = 10 * np.log10(max(size, 1e-30) / max(error, 1e-30)) if error else SAME
    if found < SAME:
        raise ExportRefusedError(
            f"output {name}: read as another function than ONNX Runtime runs ({found:.0f} dB apart); export the model"
            " with explicit attributes (pads, scales, coordinate_transformation_mode)"
        )
