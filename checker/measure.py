"""A graph whose forms nobody has measured on a target, measured here: run on a leg, compared with the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from nvc_check.models.errors import RunFailedError, UsageError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.oracle.engine import ExactGraph
from nvc_check.runtimes.process.running import LegProcess
from nvc_check.runtimes.registry import check_names

TARGETS_OF: Final = {"cpu": "ort-cpu", "cuda": "cuda", "openvino": "openvino", "webgpu": "webgpu"}
UNKNOWN_SIDE: Final = 16  # of a dimension that the file leaves open, behind the first, which is 1
KINDS: Final = 6


@dataclass(frozen=True)
class Measured:
    """What one leg made of one graph.

    Attributes:
        values: compared with the oracle's, over all inputs.
        different: of them.
        runtime: engine and version.
    """

    leg: str
    runtime: str
    values: int
    different: int

    @property
    def line(self) -> str:
        return f"measured here on {self.leg} ({self.runtime}): {self.different:,} of {self.values:,} values differ"


def target_of(leg: str) -> str:
    """The target that a leg can say something of.

    Raises:
        UsageError: none, or no such engine.
    """
    spec = LegSpec.parse(leg)
    check_names([spec])
    if spec.engine not in TARGETS_OF or spec.machine:
        raise UsageError(f"--measure {leg}: expected a leg of a target: {', '.join(TARGETS_OF)}")
    return TARGETS_OF[spec.engine]


def measure(model: Path, leg: str) -> Measured:
    """Runs the graph on usual values, zeros, both ends of every type and range, ties and random numbers.

    Raises:
        RunFailedError: the oracle has no evaluation of an operator, or the leg cannot run it.
        ProviderUnavailableError: the leg is not installed, or nodes would fall back.
    """
    graph = onnx.load(model)
    exact, process = ExactGraph(graph), LegProcess(LegSpec.parse(leg), model.parent)
    values = different = 0
    runtime = ""
    try:
        for inputs in feeds(graph):
            try:
                expected = exact(inputs)
            except ValueError as error:
                raise RunFailedError(f"{model}: takes no inputs of {_shapes(inputs)} ({error})") from error
            info, found = process.run_graph(model, inputs)
            runtime = f"{info.engine} {info.version}"
            for output in graph.graph.output:
                a, b = np.asarray(expected[output.name]), found[output.name]
                values += a.size
                different += a.size if a.shape != b.shape else int(np.count_nonzero(a != b))
    finally:
        process.close()
    return Measured(leg, runtime, values, different)


def feeds(model: onnx.ModelProto, sides: dict[str, int] | None = None, seed: int = 0) -> list[dict[str, NDArray[Any]]]:
    """Inputs of every kind for a graph; initializers that are inputs too keep their values.

    Args:
        sides: of symbols, "h" or "height"; "16*height" is 16 times that of "height".
    """
    rng = np.random.default_rng(seed)
    stored = {item.name for item in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in stored]
    return [{value.name: _values(value, kind, rng, sides or {}) for value in given} for kind in range(KINDS)]


def _values(value: onnx.ValueInfoProto, kind: int, rng: np.random.Generator, sides: dict[str, int]) -> NDArray[Any]:
    typed = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(typed.elem_type))
    shape = tuple(_side(side, place, sides) for place, side in enumerate(typed.shape.dim))
    if dtype.kind == "b":
        return rng.random(shape) < kind / (KINDS - 1)
    ends = np.iinfo(dtype) if dtype.kind in "iu" else np.iinfo(np.int32)
    far = [ends.min, ends.max, min(2**24 + 1, ends.max), max(-5, ends.min)]
    drawn: NDArray[Any] = (
        np.rint(rng.laplace(0, 4, shape)),
        np.rint(rng.laplace(0, 3000, shape)),
        np.zeros(shape),
        rng.choice([-32768, -129, -128, -1, 0, 1, 127, 128, 255, 256, 32767], shape),
        rng.choice(far, shape),
        rng.integers(-300, 300, shape) * 0.5 if dtype.kind == "f" else rng.integers(-300, 300, shape),
    )[kind]
    return np.clip(drawn, ends.min, ends.max).astype(dtype)


def _side(side: Any, place: int, sides: dict[str, int]) -> int:
    factor, _, symbol = side.dim_param.rpartition("*")
    usual = 1 if place == 0 else UNKNOWN_SIDE
    return int(side.dim_value or int(factor or 1) * sides.get(symbol, usual))


def _shapes(inputs: dict[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} {x.shape}" for name, x in inputs.items())
