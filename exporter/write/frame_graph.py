"""Writes the exact graph that makes a picture: int32 symbols and means in, int32 `frame` in [0, 255] out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.limbs import REACH
from nvc_check.exporter.network.torch_layers import Latent
from nvc_check.exporter.quantize.synthesis import Y_MAX, IntegerSynthesis
from nvc_check.exporter.write.integer_graph import FLAVOURS, Flavour

MEANS_MIN, MEANS_MAX = -32768, 32767  # the entropy graphs give no others


def write_frame(
    synthesis: IntegerSynthesis, means_exponents: Mapping[str, int | None], name: str, flavour: str
) -> ir.Model:
    """The graph of a picture without reference.

    Args:
        means_exponents: symbols' input name -> e of its means, None where it has none.
    """
    inputs = latent_inputs([synthesis])
    graph = GraphWriter(name, list(inputs.values()))
    style = FLAVOURS[flavour]
    y_hats = {
        latent.symbols: write_latent(graph, latent, inputs, means_exponents[latent.symbols])
        for latent in synthesis.latents
    }
    picture = write_layers(graph, style, synthesis, y_hats, "latents")
    frame = graph.op("Cast", picture, name="frame_int32", to=ir.DataType.INT32)
    return graph.finish([(frame, "frame", ir.DataType.INT32, [1, 3, "16*height", "16*width"])])


def latent_inputs(syntheses: list[IntegerSynthesis]) -> dict[str, ir.Value]:
    """Graph inputs of all latents, each once: name -> int32 (1, C, height, width)."""
    made: dict[str, ir.Value] = {}
    for latent in (latent for synthesis in syntheses for latent in synthesis.latents):
        for name in filter(None, (latent.symbols, latent.means)):
            shape = ir.Shape([1, latent.channels, "height", "width"])
            made.setdefault(name, ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=shape))
    return made


def write_latent(
    graph: GraphWriter, latent: Latent, inputs: Mapping[str, ir.Value], means_exponent: int | None
) -> ir.Value:
    """y_hat = y + means * 2^means_exponent, float32, exact: both are clipped, so that 24 bits hold the sum."""
    y = _clipped(graph, inputs[latent.symbols], latent.symbols, -Y_MAX, Y_MAX)
    if latent.means is None or means_exponent is None:
        return y
    means = _clipped(graph, inputs[latent.means], latent.means, MEANS_MIN, MEANS_MAX)
    real = graph.op("Mul", means, graph.scalar(2.0**means_exponent), name=f"{latent.means}_real")
    return graph.op("Add", y, real, name=f"{latent.symbols}_hat")


def write_layers(
    graph: GraphWriter, style: Flavour, synthesis: IntegerSynthesis, y_hats: Mapping[str, ir.Value], name: str
) -> ir.Value:
    """The last layer's output: a picture of integers in [0, 255], or the exact accumulator; float32."""
    parts = [y_hats[latent.symbols] for latent in synthesis.latents]
    x = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, name=f"{name}_together", axis=1)
    steps = np.exp2(-synthesis.grid).reshape(1, -1, 1, 1).astype(np.float32)
    x = graph.op("Mul", x, graph.constant(steps, f"{name}_per_step"), name=f"{name}_in_steps")
    # keeps what is left of x on 24 bits
    x = graph.op("Clip", x, graph.scalar(-REACH), graph.scalar(REACH), name=f"{name}_clipped")
    x = style.limbs(graph, x, synthesis.read, name)
    for layer in synthesis.layers:
        x = (style.accumulator if layer.output_exponent is None else style.hidden)(graph, layer, x)
    return x


def _clipped(graph: GraphWriter, x: ir.Value, name: str, low: int, high: int) -> ir.Value:
    """int32 above 2^24 may round in the Cast, but only where the Clip follows."""
    real = graph.op("Cast", x, name=f"{name}_float", to=ir.DataType.FLOAT)
    return graph.op("Clip", real, graph.scalar(low), graph.scalar(high), name=f"{name}_clipped")
