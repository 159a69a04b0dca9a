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
from nvc_check.models.precision import Precision, Precisions

OTHERS = ("w8a16", "w4a4", "w12a12", "w16a16")  # in turn, of every APART-th
APART = 3
LATENT = {"height": 8, "width": 16}  # of packages


def names(decoders: int, packages: Sequence[str]) -> list[str]:
    """What there is to export: "package FOLDER", "variant 12 w8a8", "decoder 3 w12a12"."""
    counts = {"variant": sum(1 for _ in variants()), "decoder": decoders}
    drawn = [
        f"{kind} {number} {text}" for kind, count in counts.items() for number in range(count) for text in _of(number)
    ]
    return [*[f"package {folder}" for folder in packages], *drawn]


def _of(number: int) -> list[str]:
    """The precisions of a source."""
    return ["w8a8", *([OTHERS[number // APART % len(OTHERS)]] if number % APART == 0 else [])]


def graphs(source: str) -> Iterator[tuple[str, onnx.ModelProto]]:
    """(name, integer graph) of a source; none where the exporter refuses it, which it says elsewhere."""
    kind, _, which = source.partition(" ")
    if kind == "package":
        for file in sorted(Path(which).glob("int/*.onnx")):
            yield f"{which}/{file.name}", onnx.load(file)
        return
    number, _, text = which.partition(" ")
    try:
        made = (_variant if kind == "variant" else _decoder)(int(number), Precisions(Precision.of(text)))
    except NvcCheckError:
        return
    for flavour, model in made.graphs.items():
        yield f"{source} {flavour}", ir.to_proto(model)


def _variant(number: int, precisions: Precisions) -> CompiledGraph:
    variant = next(v for place, v in enumerate(variants()) if place == number)
    given = [
        {name: x.astype(np.float32) for name, x in example.items()} for example in calibration(variant, variant.rng)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "variant.onnx"
        onnx.save(variant.model, file)
        return compile_graph(read_source(file), [*given], precisions)


def _decoder(seed: int, precisions: Precisions) -> CompiledGraph:
    decoder = RandomDecoder(seed)
    return compile_graph(prepared_source(decoder.model, "decoder"), [*decoder.examples], precisions)


def feeds(model: onnx.ModelProto) -> list[dict[str, NDArray[Any]]]:
    """Inputs for a graph of any source."""
    return of_kinds(model, {**LATENT, **SIDES})
