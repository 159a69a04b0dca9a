"""The integer frame graphs of a codec, from its FP32 ones and the calibration's latents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nvc_check.exporter.frame_graph import write_frame
from nvc_check.exporter.layers import Chain, read_chain
from nvc_check.exporter.synthesis import IntegerSynthesis, quantize_synthesis
from nvc_check.exporter.torch_export import part_of
from nvc_check.models.package import FLAVOURS, FRAME_PEAK, Part

Float64 = NDArray[np.float64]


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
    gain = np.full(chain.layers[-1].out_channels, float(FRAME_PEAK))
    synthesis = quantized(chain, parts, latents, gain, picture=True, power_of_two=power_of_two)
    exponents = means_exponents([synthesis], parts)
    return {flavour: write_frame(synthesis, exponents, name, flavour) for flavour in FLAVOURS}


def quantized(
    chain: Chain,
    parts: Mapping[str, Part],
    latents: Mapping[str, list[Float64]],
    gain: Float64,
    *,
    picture: bool,
    power_of_two: bool,
) -> IntegerSynthesis:
    """The integer form of a decoder that reads one or more parts' latents."""
    read = [part_of(latent.symbols, parts) for latent in chain.latents]
    together = [np.concatenate(each, axis=1) for each in zip(*(latents[part] for part in read), strict=True)]
    return quantize_synthesis(chain, together, gain, picture=picture, power_of_two=power_of_two)


def means_exponents(syntheses: list[IntegerSynthesis], parts: Mapping[str, Part]) -> dict[str, int | None]:
    """Symbols' input name -> e of its means."""
    names = {latent.symbols for synthesis in syntheses for latent in synthesis.latents}
    return {name: parts[part_of(name, parts)].means_exponent for name in names}
