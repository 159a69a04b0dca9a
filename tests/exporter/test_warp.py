"""The integer warp: the same bits on every runtime as an int64 computation, and CompressAI's prediction above 55 dB."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import openvino
import pytest
import torch
from compressai.models.video.google import ScaleSpaceFlow
from conformance.case import Case
from conformance.legs import LegUnderTest, chosen
from exporter.warp_by_hand import FLOW_EXPONENT, KERNEL, LEVELS, SCALE_EXPONENT, Ints, int64_warp

from nvc_check.checker.media.photographs import photograph
from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.verdicts import Certificate
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.warp.atlas import start_table
from nvc_check.exporter.warp.graph import write_warp
from nvc_check.exporter.warp.pyramid import integer_kernel
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.oracle.engine import ExactGraph

Run = Callable[[dict[str, Any]], Any]
SIGMA = 1.5
SIZES = [(128, 128), (256, 128), (384, 640)]


def warp_model(flow_exponent: int = FLOW_EXPONENT, flow_unit: int | None = None) -> onnx.ModelProto:
    inputs = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, channels, "height", "width"]))
        for name, channels in (("reference", 3), ("flow", 2), ("scale", 1))
    ]
    graph = GraphWriter("warp", inputs)
    reference, flow, scale = inputs
    predicted = write_warp(graph, reference, flow, scale, LEVELS, SIGMA, flow_exponent, SCALE_EXPONENT, flow_unit)
    model = graph.finish([(predicted, "predicted", ir.DataType.FLOAT, [1, 3, "height", "width"])])
    return ir.to_proto(model)


def certified_warp(levels: int = LEVELS, flow_unit: int | None = None) -> Certificate:
    """Of the warp behind integer inputs, as an inter graph has it."""
    ranges = {"reference": (3, 0, 255), "flow": (2, -32768, 32767), "scale": (1, -32768, 32767)}
    inputs = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape([1, channels, "height", "width"]))
        for name, (channels, *_) in ranges.items()
    ]
    graph = GraphWriter("warp", inputs)
    exponents = {"reference": 0, "flow": FLOW_EXPONENT, "scale": SCALE_EXPONENT}
    read = []
    for value, (name, (_, low, high)) in zip(inputs, ranges.items(), strict=True):
        real = graph.op("Cast", value, name=f"{name}_real", to=ir.DataType.FLOAT)
        kept = graph.op("Clip", real, graph.scalar(low), graph.scalar(high), name=f"{name}_kept")
        read.append(graph.op("Mul", kept, graph.scalar(2.0 ** exponents[name]), name=f"{name}_read"))
    reference, flow, scale = read
    predicted = write_warp(graph, reference, flow, scale, levels=levels, sigma=SIGMA, flow_unit=flow_unit)
    made = graph.finish([(predicted, "predicted", ir.DataType.FLOAT, [1, 3, "height", "width"])])
    return certify(ir.to_proto(made))


def feeds(reference: Ints, flow: Ints, scale: Ints, flow_exponent: int = FLOW_EXPONENT) -> dict[str, Any]:
    values = {"reference": reference, "flow": flow * 2.0**flow_exponent, "scale": scale[None] * 2.0**SCALE_EXPONENT}
    return {name: value[None].astype(np.float32) for name, value in values.items()}


def cases(height: int, width: int) -> dict[str, tuple[Ints, Ints, Ints]]:
    """(3, H, W) 0..255, (2, H, W) and (H, W) of 16 bits, signed."""
    random = np.random.default_rng(height + width)
    noise = random.integers(0, 256, (3, height, width))
    checkerboard = np.broadcast_to(np.indices((height, width)).sum(axis=0) % 2 * 255, noise.shape).astype(np.int64)
    impulses = np.zeros_like(noise)
    impulses[:, [0, 0, 77, -1, -1], [0, -1, 50, 0, -1]] = 255
    near = np.rint(random.standard_normal((2, height, width)) * 3 * 2**17 / width).astype(np.int64)
    far = random.integers(-32768, 32768, near.shape)
    ends = random.choice([-32768, 32767, 0, 1, -1], near.shape)
    levels = random.integers(-9000, 9000, (height, width))
    ramp = np.linspace(-8192, 8191, height * width).astype(np.int64).reshape(height, width)
    still = np.zeros_like(near)
    return {
        "noise": (noise, near, levels),
        "checkerboard, far outside": (checkerboard, far, random.choice([-32768, 32767, -8192], levels.shape)),
        "impulses, extremes": (impulses, ends, random.integers(-32768, 32768, levels.shape)),
        "impulses, every level": (impulses, still, ramp),
        "white": (np.full_like(noise, 255), far, ramp),
        "black": (np.zeros_like(noise), near, levels),
    }


def onnxruntime_run(model: bytes, level: Any) -> Run:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def openvino_model(model: bytes) -> Any:
    core = openvino.Core()
    return core.compile_model(core.read_model(io.BytesIO(model)), "CPU", EXACT_PROPERTIES)


def runs(model: onnx.ModelProto) -> dict[str, Run]:
    data = model.SerializeToString()
    levels = onnxruntime.GraphOptimizationLevel
    compiled = openvino_model(data)
    exact = ExactGraph(model)
    return {
        "onnxruntime": onnxruntime_run(data, levels.ORT_ENABLE_ALL),
        "onnxruntime, not optimised": onnxruntime_run(data, levels.ORT_DISABLE_ALL),
        "openvino": lambda inputs: compiled(inputs)[0],
        "exact": lambda inputs: exact(inputs)["predicted"],
    }


@pytest.fixture(scope="module")
def runtimes() -> dict[str, Run]:
    model = warp_model()
    onnx.checker.check_model(model, full_check=True)
    return runs(model)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_runtime_computes_the_int64_warp(runtimes: dict[str, Run], height: int, width: int) -> None:
    """0 mismatches with one graph at every size."""
    chosen = cases(height, width)
    if height > 256:  # the int64 computation takes its time
        chosen = {case: chosen[case] for case in ("noise", "checkerboard, far outside")}
    for case, values in chosen.items():
        expected = int64_warp(*values)
        assert case in ("white", "black") or len(np.unique(expected)) > 4
        inputs = feeds(*values)
        for name, run in runtimes.items():
            assert np.array_equal(run(inputs)[0] * 4, expected), f"{name}: {case}"


def test_every_installed_leg_computes_it_whole() -> None:
    """No node is left to another provider: GPU providers leave arithmetic on shapes to the CPU, and there is none."""
    values = cases(128, 256)["noise"]
    model = warp_model()
    model.graph.node[-1].output[0] = model.graph.output[0].name = "y"
    expected = (int64_warp(*values)[None] / 4).astype(np.float32)
    case = Case("warp", model, feeds(*values), expected)
    for name in chosen()[0]:
        if "@" in name:  # emulated: minutes
            continue
        leg = LegUnderTest(name)
        try:
            assert leg.wrong(case) == "", name
        finally:
            leg.close()


@pytest.mark.parametrize("levels", [3, 4, 5, 6])
def test_it_is_certified_for_every_target(levels: int) -> None:
    """At any height and width, without a shape."""
    for flow_unit in (None, 64):
        certificate = certified_warp(levels, flow_unit)
        assert [node.reason for node in certificate.nodes if node.reason] == []
        assert certificate.exact and certificate.targets == dict.fromkeys(TARGETS, True)
        assert "sizes up to 8192" in certificate.conditions
        assert not {"Shape", "Size"} & {node.op_type for node in certificate.nodes}


def test_where_the_levels_begin() -> None:
    """Inside the atlas, each with its border, none over another: for 3 to 6 levels at the smallest and an odd size."""
    for levels in (3, 4, 5, 6):
        per_tile, borders = start_table(levels)
        for tiles in ((1, 1), (3, 5), (1, 64)):
            height, width = (128 * side for side in tiles)
            taken = np.zeros((2 * height + 4 + height // 2 + 2, width + 2), np.int64)
            for level, (row, column) in enumerate((per_tile * tiles + borders).astype(np.int64).tolist()):
                halvings = max(level - 1, 0)
                rows, columns = (height >> halvings) + 2, (width >> halvings) + 2
                part = taken[row : row + rows, column : column + columns]
                assert part.shape == (rows, columns)
                part += 1
            assert taken.max() == 1


def test_flow_in_pixels() -> None:
    """flow_unit 64, 16 bits in 1/128 pixel: the same motion at any size."""
    random = np.random.default_rng(5)
    reference, scale = random.integers(0, 256, (3, 128, 256)), random.integers(-9000, 9000, (128, 256))
    flow = random.choice([-32768, 32767, 300, -5, 2, -2, 6], (2, 128, 256))
    expected = int64_warp(reference, flow, scale, shifts=(1, 2))
    for name, run in runs(warp_model(flow_exponent=-13, flow_unit=64)).items():
        assert np.array_equal(run(feeds(reference, flow, scale, -13))[0] * 4, expected), name


def test_the_largest_index_is_exact_beyond_24_bits() -> None:
    """Index = row x stride + column in int32: 4096 x 2304 has 24 million table rows, float32 counts to 16.7."""
    rows, columns = np.array([5000, 4097, 5765, 4099], np.int32), np.array([1, 0, 4096, 3333], np.int32)
    inputs = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["n"]))
        for name in ("rows", "columns")
    ]
    graph = GraphWriter("index", inputs)
    whole = [graph.op("Cast", value, name=f"{value.name}_int32", to=ir.DataType.INT32) for value in inputs]
    stride = graph.constant(np.array([4097], np.int32), "stride")
    index = graph.op("Add", graph.op("Mul", whole[0], stride, name="before"), whole[1], name="index")
    model = ir.to_proto(graph.finish([(index, "index", ir.DataType.INT32, ["n"])]))
    given = {"rows": rows.astype(np.float32), "columns": columns.astype(np.float32)}
    expected = rows.astype(np.int64) * 4097 + columns
    data = model.SerializeToString()
    compiled = openvino_model(data)
    assert compiled(given)[0].tolist() == expected.tolist()
    every = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert onnxruntime_run(data, every)(given).tolist() == expected.tolist()


def test_a_picture_beyond_the_largest_side_is_an_error(runtimes: dict[str, Run]) -> None:
    shape = (128, 8320)
    values = np.zeros((3, *shape), np.int64), np.zeros((2, *shape), np.int64), np.zeros(shape, np.int64)
    with pytest.raises(Exception, match=r"8320|8192"):
        runtimes["onnxruntime"](feeds(*values))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png"])
def test_prediction_is_compressais(runtimes: dict[str, Run], name: str) -> None:
    """More than 55 dB against torch's float prediction: flow sd 3 pixels, level sd 1.5 around 1.5, both white noise."""
    height, width = (384, 512) if name == "astronaut.png" else (256, 384)
    picture = photograph(name)[32 : 32 + height, :width].transpose(2, 0, 1).astype(np.int64)
    random = np.random.default_rng(1)
    sides = np.array([width, height]).reshape(2, 1, 1)
    flow = np.rint(random.standard_normal((2, height, width)) * 3 * 2**17 / sides).astype(np.int64)
    level = 1.5 + 1.5 * random.standard_normal((height, width))
    scale = np.rint(((2 * level + 1) / 6 - 1) * 2.0**-SCALE_EXPONENT).astype(np.int64)
    inputs = feeds(picture, flow, scale)
    motion = torch.from_numpy(np.concatenate([inputs["flow"], inputs["scale"]], axis=1))
    wanted = ScaleSpaceFlow().forward_prediction(torch.from_numpy(inputs["reference"] / 255), motion).numpy()
    got = runtimes["onnxruntime"](inputs) / 255
    psnr = -10 * np.log10(np.mean((got.astype(np.float64) - wanted) ** 2))
    print(f"{name}: {psnr:.2f} dB")
    assert psnr > 55


def test_kernel_is_the_gaussian_of_256() -> None:
    assert integer_kernel(SIGMA).tolist() == KERNEL
    for sigma in (0.7, 1.0, 2.0, 3.3):
        kernel = integer_kernel(sigma)
        assert kernel.sum() == 256
        assert kernel.tolist() == kernel[::-1].tolist()
        assert (np.diff(kernel[: len(kernel) // 2 + 1]) >= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"flow_exponent": -23}, "flow_exponent"), ({"flow_unit": 48}, "power of two")],
)
def test_what_could_round_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        warp_model(**change)


def test_the_file_is_the_same_every_time() -> None:
    first, second = (warp_model().SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
