"""torch -> ONNX, float32 as trained, with dynamic height and width.

The graphs take int32 symbols, so that the FP32 and the integer path have the same inputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

from nvc_check.models.architectures import Codec
from nvc_check.models.hyperprior import Hyperprior
from nvc_check.models.package import Part, graph_name

OPSET = 18
LATENT = (8, 12)  # height and width of the example latents; the graphs take any


class EntropyGraph(nn.Module):
    """z: (1, N, h, w) int32 symbols -> scales_hat[, means]: (1, M, H, W) float32."""

    def __init__(self, model: nn.Module, hyperprior: Hyperprior) -> None:
        super().__init__()
        self.model = model  # owns the layers that h_s calls
        self.h_s = hyperprior.h_s
        self.medians: torch.Tensor
        self.register_buffer("medians", hyperprior.medians)

    def forward(self, z: torch.Tensor) -> Any:
        scales_hat, means = self.h_s(z.to(torch.float32) + self.medians)
        return scales_hat if means is None else (scales_hat, means)


def export_entropy(codec: Codec, part: str) -> ir.Model:
    """The FP32 hyper-decoder of one part."""
    hyperprior = codec.hyperpriors[part]
    z = torch.zeros(1, hyperprior.entropy_bottleneck.channels, 2, 3, dtype=torch.int32)
    with torch.inference_mode():
        has_means = hyperprior.h_s(z.to(torch.float32))[1] is not None
    outputs = ["scales_hat", "means"] if has_means else ["scales_hat"]
    return _export(EntropyGraph(codec.model, hyperprior), {"z": z}, outputs, graph_name(part, "entropy"))


def export_frames(codec: Codec, parts: dict[str, Part]) -> dict[str, ir.Model]:
    """The FP32 graphs that make frames, by name; that of predicted frames also has its decoders' outputs."""
    modules = codec.frame_graphs(native=False)
    return {name: export_from_latents(module, parts, name) for name, module in modules.items()}


def part_of_graph(model: ir.Model, outputs: Sequence[str], inputs: Sequence[str] | None = None) -> ir.Model:
    """What makes `outputs` out of `inputs`, by default all that the graph has."""
    given = [value for value in model.graph.inputs if inputs is None or value.name in inputs]
    graph = ir.convenience.extract(model.graph, given, outputs)
    # it takes initializers from a set; in their own order the file has the same bytes every time
    for name in [name for name in model.graph.initializers if name in graph.initializers]:
        graph.initializers.add(graph.initializers.pop(name))
    return ir.Model(graph, ir_version=model.ir_version, producer_name=model.producer_name)


def export_from_latents(module: Any, parts: Mapping[str, Part], name: str) -> ir.Model:
    """A module whose `inputs` are symbols and means of parts, and perhaps the reference -> its `outputs`."""
    inputs = {}
    for entry in module.inputs:
        if entry == "reference":
            inputs[entry] = torch.zeros(1, 3, *(16 * side for side in LATENT))
            continue
        part = parts[part_of(entry, parts)]
        if entry.endswith("means") and part.means_exponent is None:
            continue
        dtype = torch.float32 if entry.endswith("means") else torch.int32
        inputs[entry] = torch.zeros(1, part.y_channels, *LATENT, dtype=dtype)
    return _export(module, inputs, list(module.outputs), name)


def part_of(entry: str, parts: Mapping[str, Part]) -> str:
    """The part that a frame graph's input belongs to: `motion.y` says it, `y` is of the first part."""
    part, dot, _ = entry.partition(".")
    return part if dot else next(iter(parts))


def _export(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], name: str) -> ir.Model:
    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and onnxscript, nothing a user can act on
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple(
                {2: 16 * height, 3: 16 * width} if name == "reference" else {2: height, 3: width} for name in inputs
            ),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model
    model.graph.name = name
    _strip_metadata(model)
    return model


def _strip_metadata(model: ir.Model) -> None:
    """torch writes source paths and stack traces into metadata: other bytes in every folder."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
