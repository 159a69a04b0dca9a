"""Graphs that the exporter writes: from every attribute variant, from random decoders, and the packages' own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from property.attribute_variants import calibration, variants
from property.random_decoders import RandomDecoder
from property.variant_drafts import SIDES

from nvc_check.checker.measure import feeds as of_kinds
from nvc_check.exporter.graph_compiler import CompiledGraph, compile_graph
from nvc_check.exporter.network.model import prepared_source, read_source
from nvc_check.models.errors import NvcCheckError

WIDER = 3  # every so many are exported with activations of 16 bits too
LATENT = {"height": 8, "width": 16}  # of packages


def names(decoders: int, packages: Sequence[str]) -> list[str]:
    """What there is to export: "package FOLDER", "variant 12", "decoder 3", and those at 16 bits: "variant 12 16"."""
    numbers = range(sum(1 for _ in variants()))
    drafted = [f"variant {number} {bits}" for number in numbers for bits in (8, 16) if bits == 8 or number % WIDER == 0]
    random = [f"decoder {seed} {bits}" for seed in range(decoders) for bits in (8, 16) if bits == 8 or not seed % WIDER]
    return [*[f"package {folder}" for folder in packages], *drafted, *random]


def graphs(source: str) -> Iterator[tuple[str, onnx.ModelProto]]:
    """(name, integer graph) of a source; none where the exporter refuses it, which it says elsewhere."""
    kind, _, which = source.partition(" ")
    if kind == "package":
        for file in sorted(Path(which).glob("int/*.onnx")):
            yield f"{which}/{file.name}", onnx.load(file)
        return
    number, bits = map(int, which.split())
    try:
        made = (_variant if kind == "variant" else _decoder)(number, bits)
    except NvcCheckError:
        return
    for flavour, model in made.graphs.items():
        yield f"{source} {flavour}", ir.to_proto(model)


def _variant(number: int, bits: int) -> CompiledGraph:
    variant = next(v for place, v in enumerate(variants()) if place == number)
    given = [
        {name: x.astype(np.float32) for name, x in example.items()} for example in calibration(variant, variant.rng)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "variant.onnx"
        onnx.save(variant.model, file)
        return compile_graph(read_source(file), [*given], bits)


def _decoder(seed: int, bits: int) -> CompiledGraph:
    decoder = RandomDecoder(seed)
    return compile_graph(prepared_source(decoder.model, "decoder"), [*decoder.examples], bits)


def feeds(model: onnx.ModelProto) -> list[dict[str, NDArray[Any]]]:
    """Inputs for a graph of any source."""
    return of_kinds(model, {**LATENT, **SIDES})
