"""Ordinary layers with one attribute or form varied: PYTHONPATH=tests python tests/property/attribute_variants.py

What the exporter makes of each is right (the shapes and nearly the values of ONNX Runtime on the float graph, and the
same bits on every leg), refused in one line that names the node, or WRONG. `--kind Resize` runs a family, `--refused`
shows what refusals say.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from property import variants_activations as values
from property import variants_arithmetic as arithmetic
from property import variants_divisive as divisive
from property import variants_forms as forms
from property import variants_graphs as graphs
from property import variants_layers as layers
from property import variants_moves as moves
from property import variants_sizes as sizes
from property.against_float import Arrays, float_results, in_steps, integer_results, nearness, real_values
from property.in_processes import in_processes
from property.variant_drafts import OTHER_SIDES, Variant

from nvc_check.exporter.graph_export import export_user_graph
from nvc_check.models.artifacts.package import FLAVOURS, USER_GRAPH, Package
from nvc_check.models.errors import ExportRefusedError, UsageError

LEAST = 25.0  # dB against ONNX Runtime's float result
JUMPS = {"ThresholdedRelu": 10.0}  # dB less: values near the jump fall on its other side
EXAMPLES, VALUES = 4, 320  # to calibrate on: so many examples, or more where they have fewer values in all
NARROW = 0.75
RIGHT, REFUSED, WRONG, ASIDE = "right", "refused", "WRONG", "not counted"
VERDICTS = (RIGHT, REFUSED, WRONG, ASIDE)
FAMILIES = (
    layers.convolutions, layers.transposed_convolutions, layers.normalizations,
    sizes.resizes, sizes.upsamples, sizes.pads, sizes.pools,
    moves.slices, moves.joints, moves.shuffles, moves.reshapes,
    values.activations, values.slopes, values.clips, arithmetic.arithmetic, arithmetic.products,
    graphs.opsets, graphs.names, graphs.sides,
    forms.ends, forms.types, forms.constants, forms.passing, forms.structures,
    divisive.normalizations,
)  # fmt: skip


class Finding(NamedTuple):
    """One variant's.

    Attributes:
        why: of WRONG and refused.
        decibels: the lowest of all outputs and inputs that were compared.
        everywhere: the carrier flavour is certified for all targets, the other for OpenVINO.
    """

    verdict: str
    why: str = ""
    decibels: float = float("inf")
    everywhere: bool = False


def variants() -> Iterator[Variant]:
    """All, in a fixed order."""
    return chain.from_iterable(family() for family in FAMILIES)


def calibration(variant: Variant, rng: np.random.Generator) -> list[Arrays]:
    first = variant.example(rng)
    count = max(EXAMPLES, VALUES // sum(x.size for x in first.values()))
    return [first, *(variant.example(rng) for _ in range(count - 1))]


def check(variant: Variant) -> Finding:
    """Exports the variant and judges the outcome."""
    examples = calibration(variant, variant.rng)
    try:
        onnx.checker.check_model(variant.model)
        reals = float_results(variant.model, examples[0])
    except Exception as error:  # the checker, protobuf and the engine have classes of their own
        return Finding(ASIDE, f"{type(error).__name__}: {_one_line(error)}")
    if not all(np.isfinite(real).all() for real in reals.values()):
        return Finding(ASIDE, "float results that are not finite")
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "variant.onnx", Path(folder) / "package"
        onnx.save(variant.model, file)
        given = [{name: x.astype(np.float32) for name, x in example.items()} for example in examples]
        try:
            package, _ = export_user_graph(file, given, out)
        except (ExportRefusedError, UsageError) as error:
            return refusal(variant.model, str(error))
        except Exception as error:
            return Finding(WRONG, f"export: {_raised(error)}")
        return judge(variant, package, examples)


def judge(variant: Variant, package: Package, examples: list[Arrays]) -> Finding:
    """Compares a package with the variant's float graph: on the examples, others of their range, and another size."""
    rng = np.random.default_rng([1, *variant.what.encode()])  # no example again
    models = {flavour: onnx.load(package.graph("int", USER_GRAPH, flavour)) for flavour in FLAVOURS}
    other = _within(variant.example(rng), examples)
    given = {"example": examples[0], "last example": examples[-1], "another input": other}
    if variant.has_other_sizes and _any_size(models["qdq"]):
        given["another size"] = _within(variant.example(rng, OTHER_SIDES), examples)
    lowest, grids = float("inf"), package.manifest
    known = [flavour for flavour, targets in _targets(package).items() if targets["openvino"]]
    for case, inputs in given.items():
        try:
            reals = float_results(variant.model, inputs)
        except Exception:  # the float graph takes no other size
            continue
        try:
            steps = in_steps(inputs, grids.inputs)
            outputs, faults = integer_results(models, steps, known if case == "another input" else ())
            near, shapes = nearness(reals, real_values(outputs, grids.outputs))
        except Exception as error:
            return Finding(WRONG, f"{case}: {_raised(error)}")
        least = LEAST - max(JUMPS.get(node.op_type, 0.0) for node in variant.model.graph.node)
        low = [f"{name}: {found:.1f} dB" for name, found in near.items() if not found >= least]
        if faults or shapes or low:
            return Finding(WRONG, f"{case}: {'; '.join(faults + shapes + low)}")
        lowest = min([lowest, *near.values()])
    return Finding(RIGHT, "", lowest, all(_targets(package)["carrier"].values()) and "qdq" in known)


def _targets(package: Package) -> dict[str, dict[str, bool]]:
    """Flavour -> target -> whether it is certified."""
    certificates = json.loads((package.root / "certificate.json").read_text(encoding="utf-8"))
    return {flavour: certificates[f"int/{USER_GRAPH}.{flavour}.onnx"]["targets"] for flavour in FLAVOURS}


def _any_size(model: onnx.ModelProto) -> bool:
    return any(side.dim_param for value in model.graph.input for side in value.type.tensor_type.shape.dim)


def _within(inputs: Arrays, examples: list[Arrays]) -> Arrays:
    """Clipped to the calibrated range, and narrowed: sums of them must not saturate where no example's did."""
    lows = {name: min(example[name].min() for example in examples) for name in inputs}
    highs = {name: max(example[name].max() for example in examples) for name in inputs}
    narrow = {name: (x * NARROW).astype(x.dtype) for name, x in inputs.items()}
    return {name: np.clip(x, lows[name], highs[name]) for name, x in narrow.items()}


def refusal(model: onnx.ModelProto, said: str) -> Finding:
    """One line that names a node, an operator, an input or an output of the graph, or its opset."""
    graph = model.graph
    names = {name for node in graph.node for name in (node.name, *node.input, *node.output)}
    names |= {value.name for value in (*graph.input, *graph.output)} | {"opset"}
    operators = {node.op_type for node in graph.node}
    named = any(name and name in said for name in names) or any(re.search(rf"\b{each}\b", said) for each in operators)
    if "\n" in said.strip():
        return Finding(WRONG, f"a refusal of several lines: {said!r}")
    return Finding(REFUSED, said) if named else Finding(WRONG, f"a refusal that names nothing: {said}")


def _raised(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "property" not in frame.filename]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_one_line(error)}{place}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kind", help="only these")
    arguments.add_argument("--what", help="only variants whose names match this expression")
    arguments.add_argument("--refused", action="store_true", help="show what refusals say")
    arguments.add_argument("--processes", type=int, default=2)
    options = arguments.parse_args()
    chosen = [
        variant
        for variant in variants()
        if options.kind in (None, variant.kind) and re.search(options.what or "", variant.what)
    ]
    table: dict[str, Counter[str]] = {}
    noise, everywhere, start = [], 0, time.monotonic()
    for variant, found in in_processes(check, chosen, options.processes):
        finding = found or Finding(WRONG, "the process ended")
        table.setdefault(variant.kind, Counter())[finding.verdict] += 1
        missed = finding.verdict == REFUSED and variant.listed
        table[variant.kind]["listed"] += missed
        if finding.verdict in (WRONG, ASIDE) or missed or (options.refused and finding.verdict == REFUSED):
            verdict = "refused, though listed" if missed else finding.verdict
            print(f"{verdict}: {variant.kind}: {variant.what}: {finding.why}", flush=True)
        if finding.verdict == RIGHT:
            noise.append(finding.decibels)
            everywhere += finding.everywhere
    print(f"{'':24}" + "".join(f"{verdict:>13}" for verdict in VERDICTS))
    total = sum(table.values(), Counter[str]())
    for kind, counts in [*table.items(), ("all", total)]:
        print(f"{kind:24}" + "".join(f"{counts[verdict]:13}" for verdict in VERDICTS))
    print(f"{len(chosen)} variants, {time.monotonic() - start:.0f} s; {total['listed']} refused, though listed")
    print(f"{everywhere} of {total[RIGHT]} right ones are certified for all targets")
    finite = [each for each in noise if np.isfinite(each)]
    if finite:
        shares = ", ".join(f"{share} %: {np.percentile(finite, share):.1f}" for share in (0, 5, 25, 50, 75))
        print(f"signal to noise of the right ones, dB: {shares}; {len(noise) - len(finite)} without any noise")
    return 1 if total[WRONG] else 0


if __name__ == "__main__":
    sys.exit(main())
