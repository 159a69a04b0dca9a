"""Values that exported graphs gave when they were written down: a change of the exporter that changes a bit is seen.

The float graphs have weights and examples of few bits, so that float32 rounds nothing in them, and the exporter sees
the same numbers on every machine. Literals are what the oracle gives; a new exporter may give others, better ones, and
then they are written down anew: PYTHONPATH=tests python tests/golden/test_exported_values.py prints them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from exporter.onnx_files import Array, model, node
from numpy.typing import NDArray
from onnx import ModelProto
from property.fuzz import on_onnxruntime, on_oracle

from nvc_check.exporter.graph_compiler import CompiledGraph, compile_graph
from nvc_check.exporter.graph_reader import Example
from nvc_check.exporter.network.model import prepared_source
from nvc_check.models.artifacts.package import Package
from nvc_check.models.precision import Precision, Precisions

SIDE = 6


def coarse(*shape: int, seed: int = 0, bits: int = 4) -> NDArray[np.float32]:
    """Multiples of 2^-bits in (-1, 1)."""
    steps = np.random.default_rng(seed).integers(1 - 2**bits, 2**bits, shape)
    return np.ldexp(steps.astype(np.float32), -bits)


CONV = node("Conv", ["x", "w"], ["c"], pads=[1] * 4)
W = coarse(8, 4, 3, 3)
GRAPHS: dict[str, ModelProto] = {
    "Conv Relu Conv": model(
        [CONV, node("Relu", ["c"], ["r"]), node("Conv", ["r", "v", "b"], ["y"])],
        {"w": W, "v": coarse(3, 8, 1, 1, seed=1), "b": coarse(3, seed=2)},
    ),
    "ConvTranspose LeakyRelu Conv": model(
        [
            node("ConvTranspose", ["x", "w"], ["c"], strides=[2, 2], pads=[2, 2, 2, 2], output_padding=[1, 1]),
            node("LeakyRelu", ["c"], ["r"], alpha=0.25),
            node("Conv", ["r", "v"], ["y"], pads=[1] * 4),
        ],
        {"w": coarse(4, 6, 5, 5, seed=3), "v": coarse(3, 6, 3, 3, seed=4)},
    ),
    "PRelu DepthToSpace": model(
        [
            CONV,
            node("PRelu", ["c", "slope"], ["r"]),
            node("Conv", ["r", "v"], ["d"]),
            node("DepthToSpace", ["d"], ["y"], blocksize=2),
        ],
        {"w": W, "slope": coarse(8, 1, 1, seed=5, bits=3), "v": coarse(12, 8, 1, 1, seed=6)},
    ),
    "residual, Resize, Clip": model(
        [
            CONV,
            node("Relu", ["c"], ["r"]),
            node("Conv", ["r", "v"], ["d"], pads=[1] * 4),
            node("Add", ["d", "x"], ["a"]),
            node("Resize", ["a", "", "scales"], ["n"], mode="nearest", coordinate_transformation_mode="asymmetric"),
            node("Clip", ["n", "low", "high"], ["y"]),
        ],
        {
            "w": W,
            "v": coarse(4, 8, 3, 3, seed=7),
            "scales": np.array([1, 1, 2, 2], np.float32),
            "low": np.array(-8, np.float32),
            "high": np.array(8, np.float32),
        },
    ),
    "product of two tensors": model(
        [CONV, node("Relu", ["c"], ["r"]), node("Mul", ["c", "r"], ["m"]), node("Conv", ["m", "v"], ["y"])],
        {"w": W, "v": coarse(3, 8, 1, 1, seed=8)},
    ),
    "groups and a stride": model(
        [node("Conv", ["x", "w"], ["y"], group=2, strides=[2, 1], pads=[0, 1, 1, 0], dilations=[1, 2])],
        {"w": coarse(6, 2, 3, 2, seed=9)},
    ),
}


def exported(name: str, bits: int) -> CompiledGraph:
    examples: list[Example] = [{"x": 4 * coarse(1, 4, SIDE, SIDE + 1, seed=seed, bits=3)} for seed in range(20, 23)]
    return compile_graph(prepared_source(GRAPHS[name], "golden"), examples, Precisions(Precision(8, bits)))


def outputs(made: CompiledGraph, flavour: str) -> list[Array]:
    """Of the oracle, with the whole grid of the input in."""
    grid = made.inputs["x"]
    given = np.random.default_rng(30).integers(grid.low, grid.high, (1, 4, SIDE, SIDE + 1), endpoint=True)
    results = on_oracle(ir.to_proto(made.graphs[flavour]), {"x": given.astype(np.int32)})
    assert results is not None
    return results


def spelled(arrays: list[Array]) -> str:
    """Shapes, the first values and a digest of all: int32, little-endian."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype("<i4").tobytes())
    shown = " ".join(str(value) for value in arrays[0].ravel()[:6])
    return f"{' '.join(str(array.shape) for array in arrays)}: {shown} ... {digest.hexdigest()[:16]}"


def grids(made: CompiledGraph) -> str:
    return " ".join(f"{name} 2^{grid.exponent}" for name, grid in [*made.inputs.items(), *made.outputs.items()])


# (graph, bits of the activations): grids of inputs and outputs, and the values on them
GOLDEN: dict[tuple[str, int], tuple[str, str]] = {
    ("Conv Relu Conv", 8): ("x 2^-12 y 2^-9", "(1, 3, 6, 7): 3765 6821 -2651 6422 6901 8845 ... 7b9e9c6001aee2dc"),
    ("Conv Relu Conv", 16): ("x 2^-12 y 2^-7", "(1, 3, 6, 7): 950 1698 -663 1588 1726 2190 ... 3b4fd9633b133cc6"),
    ("ConvTranspose LeakyRelu Conv", 8): (
        "x 2^-12 y 2^-7",
        "(1, 3, 12, 14): -665 -2911 6215 4917 6649 8161 ... 54110af01b482693",
    ),
    ("ConvTranspose LeakyRelu Conv", 16): (
        "x 2^-12 y 2^-7",
        "(1, 3, 12, 14): -682 -2952 6231 4898 6622 8104 ... b14c7ad5c86271d6",
    ),
    ("PRelu DepthToSpace", 8): ("x 2^-12 y 2^-8", "(1, 3, 12, 14): 172 2961 500 4613 416 -219 ... adf3ad2fb2a7dd39"),
    ("PRelu DepthToSpace", 16): ("x 2^-12 y 2^-7", "(1, 3, 12, 14): 79 1488 235 2306 215 -95 ... db5b9ac7e8ac1e54"),
    ("residual, Resize, Clip", 8): (
        "x 2^-12 y 2^-12",
        "(1, 4, 12, 14): 11728 11728 23421 23421 -32768 -32768 ... 055b9964bb918134",
    ),
    ("residual, Resize, Clip", 16): (
        "x 2^-12 y 2^-12",
        "(1, 4, 12, 14): 12400 12400 24317 24317 -32768 -32768 ... 8f463ad18307f2a7",
    ),
    ("product of two tensors", 8): ("x 2^-12 y 2^-3", "(1, 3, 6, 7): -724 -844 -354 532 2885 571 ... 3723e90867db9910"),
    ("product of two tensors", 16): (
        "x 2^-12 y 2^-3",
        "(1, 3, 6, 7): -742 -1118 -362 510 2668 548 ... 342112a18cfa262c",
    ),
    ("groups and a stride", 8): (
        "x 2^-12 y 2^-10",
        "(1, 6, 3, 6): -7908 -2929 -10884 38 -10536 4475 ... 268f27dea9146b7e",
    ),
    ("groups and a stride", 16): (
        "x 2^-12 y 2^-10",
        "(1, 6, 3, 6): -7908 -2929 -10884 38 -10536 4475 ... 268f27dea9146b7e",
    ),
}
ENTROPY = "(1, 96, 12, 20) (1, 96, 12, 20): 0 0 0 0 0 0 ... 0b45cd6af00fc7b1"


@pytest.mark.parametrize(("name", "bits"), GOLDEN)
def test_a_graph_gives_the_values_written_down(name: str, bits: int) -> None:
    made = exported(name, bits)
    assert (grids(made), spelled(outputs(made, "qdq"))) == GOLDEN[name, bits]
    assert spelled(outputs(made, "carrier")) == GOLDEN[name, bits][1]


def test_every_graph_is_written_down() -> None:
    assert set(GOLDEN) == {(name, bits) for name in GRAPHS for bits in (8, 16)}


def entropy(package: Package) -> list[Array]:
    """What the bundled image codec's hyper-decoder makes of latents from -20 to 20, on ONNX Runtime."""
    file = package.root / "int" / "entropy.qdq.onnx"
    latents = np.random.default_rng(31).integers(-20, 20, (1, 64, 3, 5), endpoint=True)
    found: Any = on_onnxruntime(file.read_bytes(), {"z": latents.astype(np.int32)}, "ORT_ENABLE_ALL")
    return [np.asarray(array) for array in found]


def test_the_bundled_codec_gives_the_values_written_down(package: Package) -> None:
    assert spelled(entropy(package)) == ENTROPY


if __name__ == "__main__":
    for name in GRAPHS:
        for bits in (8, 16):
            made = exported(name, bits)
            print(f"    ({name!r}, {bits}): ({grids(made)!r}, {spelled(outputs(made, 'qdq'))!r}),")
