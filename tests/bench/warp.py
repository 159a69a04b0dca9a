"""The integer warp's time against the float warp's on ONNX Runtime: python tests/bench/warp.py [--size 1920x1024].

Float: the warp as `export` writes it into the FP32 inter_frame graph. Both take the same motion, alternate in one
process, and are reported as medians of wall and processor time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime

warnings.simplefilter("ignore")

from nvc_check.exporter.graph_writer import GraphWriter  # noqa: E402
from nvc_check.exporter.network.float_warp import write_float_warp  # noqa: E402
from nvc_check.exporter.warp.graph import FLOW_EXPONENT, SCALE_EXPONENT, write_warp  # noqa: E402


def inputs_of(**widths: int) -> list[ir.Value]:
    return [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, width, "height", "width"]))
        for name, width in widths.items()
    ]


def float_model() -> ir.Model:
    reference, motion = inputs = inputs_of(reference=3, motion=3)
    graph = GraphWriter("warp", inputs)
    predicted = write_float_warp(graph, reference, motion, levels=6, sigma=1.5, flow_unit=None)
    return graph.finish([(predicted, "predicted", ir.DataType.FLOAT, [1, 3, "height", "width"])])


def integer_model() -> ir.Model:
    reference, flow, scale = inputs = inputs_of(reference=3, flow=2, scale=1)
    graph = GraphWriter("warp", inputs)
    predicted = write_warp(graph, reference, flow, scale, levels=6, sigma=1.5)
    return graph.finish([(predicted, "predicted", ir.DataType.FLOAT, [1, 3, "height", "width"])])


def motion(width: int, height: int) -> tuple[Any, Any]:
    """Flow of standard deviation 3 pixels and levels of 1.5, changing every 16 pixels as a decoder's do."""
    random = np.random.default_rng(0)
    coarse = random.standard_normal((1, 3, height // 16, width // 16)).repeat(16, axis=2).repeat(16, axis=3)
    flow = coarse[:, :2] * 3 * 2 / np.array([width, height]).reshape(1, 2, 1, 1)
    scale = (2 * (1.5 + 1.5 * coarse[:, 2:]) + 1) / 6 - 1
    grids = (flow, FLOW_EXPONENT), (scale, SCALE_EXPONENT)
    flow, scale = (np.ldexp(np.rint(np.ldexp(values, -e)), e).astype(np.float32) for values, e in grids)
    return flow, scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1024")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    reference = np.random.default_rng(1).integers(0, 256, (1, 3, height, width)).astype(np.float32)
    flow, scale = motion(width, height)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    contestants = {
        "float": (float_model(), {"reference": reference / 255, "motion": np.concatenate([flow, scale], axis=1)}),
        "integer": (integer_model(), {"reference": reference, "flow": flow, "scale": scale}),
    }
    sessions: dict[str, Any] = {
        name: onnxruntime.InferenceSession(
            ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for name, (model, _) in contestants.items()
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(args.rounds + 1):
        for name, (_, inputs) in contestants.items():
            wall, processor = time.perf_counter(), time.process_time()
            sessions[name].run(None, inputs)
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    medians = {name: np.median(np.array(rows[1:]), axis=0) * 1e3 for name, rows in times.items()}
    for name, (wall, processor) in medians.items():
        print(f"{name}: wall {wall:.0f} ms, processor {processor:.0f} ms")
    wall, processor = medians["integer"] / medians["float"]
    print(f"ratio at {args.size}, {args.threads} threads: wall {wall:.2f}, processor {processor:.2f}")


if __name__ == "__main__":
    main()
