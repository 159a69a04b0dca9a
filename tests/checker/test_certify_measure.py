"""certify --measure: forms that nobody measured, run here; never a word about a target that the leg is not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporter.controls import in_float, pair
from onnx import TensorProto, helper

from nvc_check.checker.certify import certify, measured_on
from nvc_check.checker.cli.main import main
from nvc_check.checker.measure import feeds, measure


def running_sums(file: Path) -> Path:
    """Proved, and written by no exporter."""
    nodes = [helper.make_node("CumSum", [a, "axis"], [b], b, reverse=1) for a, b in (("c", "s"), ("s", "y"))]
    onnx.save(in_float(*nodes, axis=np.array(2, np.int64), reach=3), file)
    return file


def odd_zero_point(file: Path) -> Path:
    """Counted from the lowest value, as OpenVINO does it, ties go the other way: a fault that only a run shows."""
    half = helper.make_node("Mul", ["c", "half"], ["m"], "halved")
    constants: dict[str, Any] = {
        "s": np.array(1, np.float32),
        "z": np.array(3, np.uint8),
        "half": np.array(0.5, np.float32),
    }
    onnx.save(in_float(half, *pair("m", "y", "s", "z", "odd"), **constants), file)
    return file


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["nvc-check", "certify", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_what_was_never_measured_is_measured_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = running_sums(tmp_path / "sums.onnx")
    for leg, target in (("cpu", "ort-cpu"), ("openvino", "openvino")):
        assert ended(monkeypatch, file, "--target", target) == 4
        assert f"exact in arithmetic for {target}" in capsys.readouterr().out
        assert ended(monkeypatch, file, "--target", target, "--arithmetic") == 0
        assert ended(monkeypatch, file, "--measure", leg) == 0
        assert f"measured here on {leg}" in capsys.readouterr().out
    assert ended(monkeypatch, file, "--measure", "cpu", "--target", "cuda") == 2
    assert "says nothing of target cuda" in capsys.readouterr().err
    assert ended(monkeypatch, file, "--measure", "torch") == 2
    assert "expected a leg of a target" in capsys.readouterr().err


def test_a_leg_that_computes_something_else_is_not_exact(tmp_path: Path) -> None:
    file = odd_zero_point(tmp_path / "odd.onnx")
    assert measure(file, "openvino").different > 0 == measure(file, "cpu").different
    found = measured_on(certify(file, "ort-cpu"), tmp_path, "cpu")
    assert found.verdict("ort-cpu") == "exact" and found.verdict("openvino") == "not exact"


def test_inputs_reach_the_ends_of_their_types() -> None:
    def of(kind: int) -> onnx.ModelProto:
        value = helper.make_tensor_value_info("x", kind, [1, 3, "h", "2*h"])
        node = helper.make_node("Identity", ["x"], ["y"])
        return helper.make_model(helper.make_graph([node], "g", [value], []))

    for kind, low, high in (
        (TensorProto.INT32, -(2**31), 2**31 - 1),
        (TensorProto.INT8, -128, 127),
        (TensorProto.UINT8, 0, 255),
    ):
        given = [inputs["x"] for inputs in feeds(of(kind), {"h": 5})]
        assert {x.shape for x in given} == {(1, 3, 5, 10)}
        assert min(x.min() for x in given) == low and max(x.max() for x in given) == high
