"""Limbs of whatever range and grids a tensor has stay below 2^24 in every step, or are saturated first."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.codes import apart, in_limbs
from nvc_check.exporter.lower.flavours import FLAVOURS
from nvc_check.exporter.lower.values import Known, Plan
from nvc_check.exporter.lower.writing import column

# near 2^24, once a half is added to what is left of them in steps 2^6 to 2^9 finer, and others
REACHES = (*((1 << 24 - finer) - 30 for finer in range(5, 11)), 1 << 15, 100_000, 500_000, (1 << 21) - 1)


def tensor(reach: int, spread: int, seen: float) -> Known:
    """Three channels on grids `spread` bits apart, of which the calibration saw a share `seen` of the range."""
    unit = np.array([0.0, -spread, -2 * spread])
    integers = [np.rint(np.random.default_rng(0).uniform(-1, 1, (1, 3, 40, 40)) * reach * seen)]
    return Known("x", unit, [each * np.exp2(column(unit)) for each in integers], integers, -reach, reach)


@pytest.mark.parametrize("bits", [9, 12, 14, 15, 16])
@pytest.mark.parametrize("reach", REACHES)
def test_every_step_is_exact(reach: int, bits: int) -> None:
    for spread in (0, 1, 3):
        for seen in (1.0, 0.2, 0.01, 100 / reach, 50 / reach):
            x = tensor(reach, spread, seen)
            plan = Plan()
            names = [each.name for each in (*apart(plan, x, bits), in_limbs(plan, x))]
            given = ir.Value(name="given", type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape([1, 3, 8, 8]))
            graph = GraphWriter("limbs", [given])
            real = graph.op("Cast", given, name="real", to=ir.DataType.FLOAT)
            values = {"x": graph.op("Clip", real, graph.scalar(-reach), graph.scalar(reach), name="limited")}
            plan.follow(graph, FLAVOURS["carrier"], values)
            made: list[tuple[ir.Value, str, ir.DataType, list[int | str]]] = []
            for name in names:
                last = graph.op("Cast", values[name], name=f"{name}_int32", to=ir.DataType.INT32)
                made.append((last, f"{name}_out", ir.DataType.INT32, [1, f"{name}_channels", 8, 8]))
            refused = [node.reason for node in certify(ir.to_proto(graph.finish(made))).nodes if not node.exact]
            assert not refused, (spread, seen, refused[0])
