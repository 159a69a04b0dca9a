"""torch -> ONNX, float32 as trained, with dynamic height and width.

The graphs take int32 symbols, so that the FP32 and the integer path have the same inputs.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

OPSET = 18


class EntropyGraph(nn.Module):
    """z: (1, N, h, w) int32 symbols -> scales_hat[, means]: (1, M, 4h, 4w) float32."""

    def __init__(self, codec: Any, has_means: bool) -> None:
        super().__init__()
        self.h_s = codec.h_s
        self.has_means = has_means
        self.medians: torch.Tensor
        self.register_buffer("medians", codec.entropy_bottleneck._get_medians().detach().reshape(1, -1, 1, 1))

    def forward(self, z: torch.Tensor) -> Any:
        gaussian = self.h_s(z.to(torch.float32) + self.medians)
        return gaussian.chunk(2, 1) if self.has_means else gaussian


class FrameGraph(nn.Module):
    """y: (1, M, h, w) int32 symbols[, means: same shape, float32] -> frame: (1, 3, 16h, 16w) float32, unclamped."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.g_s = codec.g_s

    def forward(self, y: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        y_hat = y.to(torch.float32)
        return self.g_s(y_hat if means is None else y_hat + means)  # type: ignore[no-any-return]


def export_entropy(codec: Any, has_means: bool) -> ir.Model:
    z = torch.zeros(1, codec.entropy_bottleneck.channels, 2, 3, dtype=torch.int32)
    outputs = ["scales_hat", "means"] if has_means else ["scales_hat"]
    return _export(EntropyGraph(codec, has_means), {"z": z}, outputs, "entropy")


def export_frame(codec: Any, has_means: bool, y_channels: int) -> ir.Model:
    y = torch.zeros(1, y_channels, 8, 12, dtype=torch.int32)
    inputs = {"y": y, "means": torch.zeros(y.shape)} if has_means else {"y": y}
    return _export(FrameGraph(codec), inputs, ["frame"], "frame")


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
            dynamic_shapes=tuple({2: height, 3: width} for _ in inputs),
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
