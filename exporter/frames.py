"""The integer frame graphs of a codec, from its FP32 decoders and the calibration's latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.network.torch_export import part_of_graph
from nvc_check.exporter.network.torch_layers import Chain, read_chain
from nvc_check.exporter.parallel import on_all_cores
from nvc_check.exporter.quantize.synthesis import IntegerSynthesis, quantize_synthesis
from nvc_check.exporter.write.frame_graph import write_frame
from nvc_check.exporter.write.inter_graph import Prediction, write_inter
from nvc_check.models.artifacts.package import FLAVOURS, FRAME_PEAK, Part
from nvc_check.models.codecs.video import InterDecoders

Float64 = NDArray[np.float64]

CROP = 24  # rows and columns of each calibration latent that are used, from its middle: 384 pixels


def picture_graphs(
    name: str,
    fp32: ir.Model,
    parts: Mapping[str, Part],
    latents: Mapping[str, list[Float64]],
    power_of_two: bool,
) -> dict[str, ir.Model]:
    """flavour -> the integer form of `fp32`, a graph that makes a picture from the latents of one part.

    Args:
        latents: part -> calibration y_hat, (1, C, h, w) each.

    Raises:
        ExportRefusedError: a node without exact form, by name.
    """
    chain = read_chain(fp32)
    made = _quantized(chain, parts, latents, float(FRAME_PEAK), picture=True, power_of_two=power_of_two)
    exponents = _means_exponents([made], parts)
    return {flavour: write_frame(made, exponents, name, flavour) for flavour in FLAVOURS}


def inter_graphs(
    name: str,
    graph: InterDecoders,
    fp32: ir.Model,
    parts: Mapping[str, Part],
    latents: Mapping[str, list[Float64]],
    power_of_two: bool,
) -> dict[str, ir.Model]:
    """flavour -> the integer form of a graph that makes a picture from motion, residual and the reference.

    Args:
        fp32: `graph` exported, with its decoders' outputs.

    Raises:
        ExportRefusedError: a node without exact form, by name; a flow unit that is no power of two.
    """
    prediction = Prediction.of(graph, name)
    chains = {
        decoder: _prefixed(read_chain(part_of_graph(fp32, [decoder], inputs)), decoder)
        for decoder, inputs in graph.decoders.items()
    }

    def quantized(decoder: str) -> IntegerSynthesis:
        gain = 1.0 if decoder == "motion" else float(FRAME_PEAK)
        return _quantized(chains[decoder], parts, latents, gain, picture=False, power_of_two=power_of_two)

    made = dict(zip(chains, on_all_cores(quantized, chains), strict=True))
    exponents = _means_exponents(list(made.values()), parts)
    return {
        flavour: write_inter(made["motion"], made["residual"], prediction, exponents, name, flavour)
        for flavour in FLAVOURS
    }


def _quantized(
    chain: Chain,
    parts: Mapping[str, Part],
    latents: Mapping[str, list[Float64]],
    gain: float,
    *,
    picture: bool,
    power_of_two: bool,
) -> IntegerSynthesis:
    """The integer form of a decoder that reads the latents of one or more parts."""
    read = [part_of(latent.symbols, parts) for latent in chain.latents]
    together = [_middle(np.concatenate(each, axis=1)) for each in zip(*(latents[part] for part in read), strict=True)]
    gains = np.full(chain.layers[-1].out_channels, gain) if chain.layers else np.zeros(0)
    return quantize_synthesis(chain, together, gains, picture=picture, power_of_two=power_of_two)


def part_of(entry: str, parts: Mapping[str, Part]) -> str:
    """The part that a frame graph's input belongs to: `motion.y` says it, `y` is of the first part."""
    part, dot, _ = entry.partition(".")
    return part if dot else next(iter(parts))


def _middle(y_hat: Float64) -> Float64:
    top, left = (max(0, (side - CROP) // 2) for side in y_hat.shape[2:])
    return np.ascontiguousarray(y_hat[:, :, top : top + CROP, left : left + CROP])


def _prefixed(chain: Chain, prefix: str) -> Chain:
    """The same with the decoder's name in those of its layers: two decoders are written to one graph."""
    layers = tuple(
        replace(layer, name=f"{prefix}_{layer.name}", source=layer.source and f"{prefix}_{layer.source}")
        for layer in chain.layers
    )
    outputs = tuple(replace(output, layer=f"{prefix}_{output.layer}") for output in chain.outputs)
    return replace(chain, layers=layers, outputs=outputs)


def _means_exponents(syntheses: list[IntegerSynthesis], parts: Mapping[str, Part]) -> dict[str, int | None]:
    """Symbols' input name -> e of its means."""
    names = {latent.symbols for synthesis in syntheses for latent in synthesis.latents}
    return {name: parts[part_of(name, parts)].means_exponent for name in names}
