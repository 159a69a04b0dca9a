"""Whether a leg really runs here: its engine is opened and runs a small graph with a known answer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nvc_check.models.artifacts.package import Manifest, Package
from nvc_check.models.errors import RunFailedError
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Tensors
from nvc_check.runtimes.registry import open_engine

CHANNELS, SIDE = 8, 4


def probe(spec: LegSpec) -> EngineInfo:
    """Opens the engine of `spec` and, where it runs integer graphs, runs one on it.

    Raises:
        UsageError: unknown engine or option.
        ProviderUnavailableError: not installed, no device, or its nodes would fall back.
        RunFailedError: it ran, and failed or gave a wrong answer.
    """
    random = np.random.default_rng(0)
    weights = random.integers(-8, 9, (CHANNELS, CHANNELS, 1, 1)).astype(np.int32)
    z = random.integers(-100, 101, (1, CHANNELS, SIDE, SIDE)).astype(np.int32)
    expected = np.einsum("oc,nchw->nohw", weights[:, :, 0, 0], z)
    with tempfile.TemporaryDirectory(prefix="nvc-check-probe-") as folder:
        file = Path(folder) / "probe.onnx"
        onnx.save(_graph(weights.astype(np.float32)), file)
        engine = open_engine(spec, _no_package(Path(folder)))
        if "int" in engine.paths:
            found = engine.load(file, "probe")({"z": z})["sums"]
            wrong = int((found != expected).sum())
            if wrong:
                raise RunFailedError(
                    f"{spec.name}: {wrong} of {expected.size} values of a 1x1 Conv of small integers are wrong"
                )
        return engine.info


def run_graph(spec: LegSpec, model: Path, inputs: Tensors) -> tuple[EngineInfo, Tensors]:
    """What the engine of `spec` makes of a graph that is in no package.

    Raises:
        ProviderUnavailableError: not installed, no device, or its nodes would fall back.
        RunFailedError: it cannot load or run the graph.
    """
    engine = open_engine(spec, _no_package(model.parent))
    return engine.info, engine.load(model, model.stem)(inputs)


def _no_package(folder: Path) -> Package:
    return Package(folder, Manifest("probe", "", "image", "w8a8", "hyperprior", True, 1, {}, {}, ""))


def _graph(weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> onnx.ModelProto:
    """int32 (1, C, H, W) to int32 by a 1x1 Conv; the operators behind it change nothing.

    They are there because ONNX Runtime's OpenVINO provider leaves graphs of three nodes to the CPU.
    """
    shape = [1, CHANNELS, SIDE, SIDE]
    nodes = [
        helper.make_node("Cast", ["z"], ["z_float"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["z_float", "weights"], ["sums_float"]),
        helper.make_node("Add", ["sums_float", "half"], ["raised"]),
        helper.make_node("Floor", ["raised"], ["floor"]),
        helper.make_node("Mul", ["floor", "two"], ["doubled"]),
        helper.make_node("Mul", ["doubled", "half"], ["halved"]),
        helper.make_node("Cast", ["halved"], ["sums"], to=TensorProto.INT32),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("z", TensorProto.INT32, shape)],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, shape)],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array(0.5, np.float32), "half"),
            numpy_helper.from_array(np.array(2, np.float32), "two"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
