"""torch -> ONNX, float32 as trained, with dynamic height and width.

The graphs take int32 symbols, so that the FP32 and the integer path have the same inputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

from nvc_check.exporter.graph_writer import OPSET
from nvc_check.exporter.network.float_warp import add_prediction
from nvc_check.models.artifacts.package import graph_name
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.codecs.hyperprior import Hyperprior
from nvc_check.models.codecs.video import InterDecoders

LATENT = (8, 12)  # height and width of the example latents; the graphs take any
PICTURE = (128, 192)


@dataclass(frozen=True)
class TorchGraph:
    """A module to export.

    Attributes:
        inputs: name -> channels, in the order of `forward`. All are (1, channels, height, width) int32, those whose
            name ends in `means` float32.
        outputs: names of what `forward` gives.
        sides: height and width of the example.
    """

    module: nn.Module
    inputs: Mapping[str, int]
    outputs: Sequence[str]
    sides: tuple[int, int] = LATENT


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


def export_codec(codec: Codec, *, analysis: bool = False) -> dict[str, ir.Model]:
    """All FP32 graphs by name, with `analysis` those of its encoder too.

    That of predicted frames also has its decoders' outputs.
    """
    graphs: dict[str, TorchGraph] = {}
    channels: dict[str, int] = {}
    for part, hyperprior in codec.hyperpriors.items():
        z_channels = hyperprior.entropy_bottleneck.channels
        with torch.inference_mode():
            scales_hat, means = hyperprior.h_s(torch.zeros(1, z_channels, *LATENT))
        for prefix in ("", f"{part}."):  # an image codec's inputs have none
            channels[f"{prefix}y"] = scales_hat.shape[1]
            if means is not None:
                channels[f"{prefix}means"] = scales_hat.shape[1]
        outputs = ["scales_hat"] if means is None else ["scales_hat", "means"]
        entropy = EntropyGraph(codec.model, hyperprior)
        graphs[graph_name(part, "entropy")] = TorchGraph(entropy, {"z": z_channels}, outputs)
    frames = codec.frame_graphs(native=False)
    for name, module in frames.items():
        inputs = {entry: channels[entry] for entry in module.inputs if entry in channels}
        graphs[name] = TorchGraph(module, inputs, module.outputs)
    for name, module in codec.analysis_graphs().items() if analysis else ():
        graphs[name] = TorchGraph(module, module.channels, module.outputs, PICTURE)
    models = export_graphs(graphs)
    for name, module in frames.items():
        if isinstance(module, InterDecoders):
            add_prediction(models[name], module)
    return models


def export_graphs(graphs: Mapping[str, TorchGraph]) -> dict[str, ir.Model]:
    """All by one call of torch.onnx.export, which takes seconds before it begins; then taken apart."""
    examples, shapes, inputs, outputs = [], [], [], []
    for name, graph in graphs.items():
        height, width = (torch.export.Dim(f"{name}_{side}") for side in ("height", "width"))
        for entry, channels in graph.inputs.items():
            dtype = torch.float32 if entry.endswith("means") else torch.int32
            examples.append(torch.zeros(1, channels, *graph.sides, dtype=dtype))
            shapes.append({2: height, 3: width})
            inputs.append(f"{name}/{entry}")
        outputs += [f"{name}/{output}" for output in graph.outputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and onnxscript, nothing a user can act on
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Together(graphs).eval(),
            tuple(examples),
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=(tuple(shapes),),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    _strip_metadata(program.model)
    return {name: _taken_apart(program.model, name, graph) for name, graph in graphs.items()}


class _Together(nn.Module):
    """Independent modules as one."""

    def __init__(self, graphs: Mapping[str, TorchGraph]) -> None:
        super().__init__()
        self._owned = nn.ModuleList(graph.module for graph in graphs.values())
        self._counts = [len(graph.inputs) for graph in graphs.values()]

    def forward(self, *inputs: torch.Tensor) -> Any:
        found: list[torch.Tensor] = []
        start = 0
        for module, count in zip(self._owned, self._counts, strict=True):
            given = module(*inputs[start : start + count])
            found += given if isinstance(given, tuple) else [given]
            start += count
        return tuple(found)


def _taken_apart(together: ir.Model, name: str, graph: TorchGraph) -> ir.Model:
    model = part_of_graph(
        together, [f"{name}/{output}" for output in graph.outputs], [f"{name}/{entry}" for entry in graph.inputs]
    )
    model.graph.name = name
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.name is not None
        value.name = value.name.removeprefix(f"{name}/")
    return model


def part_of_graph(model: ir.Model, outputs: Sequence[str], inputs: Sequence[str] | None = None) -> ir.Model:
    """What makes `outputs` out of `inputs`, by default all that the graph has."""
    given = [value for value in model.graph.inputs if inputs is None or value.name in inputs]
    graph = ir.convenience.extract(model.graph, given, outputs)
    # it takes initializers from a set; in their own order the file has the same bytes every time
    for name in [name for name in model.graph.initializers if name in graph.initializers]:
        graph.initializers.add(graph.initializers.pop(name))
    return ir.Model(graph, ir_version=model.ir_version, producer_name=model.producer_name)


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
