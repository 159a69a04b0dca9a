"""Certified graphs give one result: python tests/property/fuzz.py --graphs 10000 [--first 100000] [--legs wasm webgpu]

ONNX Runtime's CPU provider without and with optimization, OpenVINO and the oracle run in this process, other legs in
their own environments. Restartable: every graph is made from its number, and a line of progress says which comes next.
"""

from __future__ import annotations

import argparse
import atexit
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import openvino
from conformance.legs import LegUnderTest, RefusedError
from numpy.typing import NDArray
from property.random_graphs import RandomGraph
from property.random_layers import NEWEST

from nvc_check.exporter.certificate.verdicts import Certificate
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.oracle.engine import ExactGraph

Results = list[NDArray[Any]]
# what a graph must be certified for to run on a leg; WebAssembly multiplies in pairs of 16 bits as x86 does
TARGETS = {"wasm": "avx2", "webgpu": "webgpu", "OpenVINOExecutionProvider": "openvino", "cpu": "avx2"}


class Checked(NamedTuple):
    """One graph: its certificate, legs that computed something else than the first one, and all that ran."""

    certificate: Certificate
    different: dict[str, str]
    legs: tuple[str, ...]


def on_onnxruntime(model: bytes, inputs: dict[str, Any], level: str) -> Results:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def on_openvino(core: openvino.Core, model: bytes, inputs: dict[str, Any]) -> Results:
    settings = {**EXACT_PROPERTIES, "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    results = compiled(inputs)
    return [np.asarray(results[output]) for output in compiled.outputs]


def on_oracle(model: onnx.ModelProto, inputs: dict[str, Any]) -> Results | None:
    """None where an operator has no exact evaluation, which the oracle says itself."""
    try:
        results = ExactGraph(model)(inputs)
    except RunFailedError:
        return None
    return [np.asarray(results[output.name]) for output in model.graph.output]


def check(seed: int, core: openvino.Core, others: Mapping[str, LegUnderTest] = MappingProxyType({})) -> Checked:
    """Runs the graph of `seed` where some target has it certified; `others`: legs beside those of this process."""
    graph = RandomGraph(seed)
    certificate = certify(graph.model)
    legs: dict[str, Results] = {}
    data = graph.model.SerializeToString()
    exact = any(certificate.targets[name] for name in ("avx2", "openvino"))  # avx2: this machine may lack VNNI
    oracle = on_oracle(graph.model, graph.inputs) if exact else None
    if oracle is not None:
        legs["oracle"] = oracle
    if certificate.targets["avx2"]:
        legs["ort off"] = on_onnxruntime(data, graph.inputs, "ORT_DISABLE_ALL")
        legs["ort all"] = on_onnxruntime(data, graph.inputs, "ORT_ENABLE_ALL")
    if certificate.targets["openvino"]:
        legs["openvino"] = on_openvino(core, data, graph.inputs)
    for name, leg in others.items():
        if certificate.targets[TARGETS[re.split("[@:]", name)[0]]]:
            try:
                found = leg.outputs(graph.model, graph.inputs)
            except RefusedError:
                continue  # it has an operator less, or leaves one to the CPU: no result that could be wrong
            legs[name] = [found[output.name] for output in graph.model.graph.output]
    different = {}
    for name, results in legs.items():
        first = next(iter(legs.values()))
        for output, a, b in zip(graph.model.graph.output, first, results, strict=True):
            if a.shape != b.shape or not np.array_equal(a, b):
                different[name] = f"{output.name}: {np.count_nonzero(a != b) if a.shape == b.shape else b.shape}"
    return Checked(certificate, different, tuple(legs))


class Worker:
    """Checks graphs in a process of its own, which a crash of an engine ends; a new one takes over then."""

    def __init__(self, legs: Sequence[str]) -> None:
        self._pool, self._legs = ProcessPoolExecutor(1), tuple(legs)

    def check(self, seed: int) -> Checked | None:
        """None where an engine crashed: no result that could be wrong."""
        try:
            return self._pool.submit(_check_alone, seed, self._legs).result()
        except BrokenProcessPool:
            self._pool = ProcessPoolExecutor(1)
            return None


@cache
def _core() -> openvino.Core:
    return openvino.Core()


@cache
def _others(legs: tuple[str, ...]) -> dict[str, LegUnderTest]:
    made = {leg: LegUnderTest(leg) for leg in legs}
    for leg in made.values():
        atexit.register(leg.close)
    return made


def _check_alone(seed: int, legs: tuple[str, ...]) -> Checked:
    return check(seed, _core(), _others(legs))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--graphs", type=int, default=1000)
    arguments.add_argument("--first", type=int, default=NEWEST)
    arguments.add_argument("--legs", nargs="*", default=[])
    options = arguments.parse_args()
    worker, counts, start = Worker(options.legs), Counter[str](), time.monotonic()
    end = options.first + options.graphs
    for seed in range(options.first, end):
        found = worker.check(seed)
        counts["graphs"] += 1
        if found is None:
            counts["crashed an engine"] += 1
            print(f"graph {seed}: certified, and an engine crashed on it", flush=True)
            continue
        counts.update(name for name, exact in found.certificate.targets.items() if exact)
        counts["under the assumptions"] += found.certificate.exact
        counts.update(f"ran on {leg}" for leg in found.legs)
        if found.different:
            counts["DIFFERENT"] += 1
            print(f"graph {seed}: certified, and different on {found.different}", flush=True)
        if (seed + 1) % 500 == 0 or seed + 1 == end:
            shares = ", ".join(f"{name} {100 * n / counts['graphs']:.0f} %" for name, n in counts.items())
            print(f"next {seed + 1} of {end}, {time.monotonic() - start:.0f} s: {shares}", flush=True)
    return 1 if counts["DIFFERENT"] else 0


if __name__ == "__main__":
    sys.exit(main())
