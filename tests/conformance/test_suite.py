"""The suite itself: it covers what is exported, its known deviations are needed, and it finds what is wrong."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from conformance.case import OPSET, Case, f32, one
from conformance.every_case import ASSUMPTIONS, CASES, OPERATORS
from conformance.legs import MAIN, NOT_FOR_GRAPHS, chosen
from conformance.violations import VIOLATIONS
from conformance.xfails import FOLDER, as_known, deviations, file_of, known, unmatched
from onnx import helper

from nvc_check.checker.providers import names
from nvc_check.exporter import graph_writer
from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.registry import registered

WRITES = re.compile(r"""[._]op\(\s*"(\w+)\"""")


def test_every_operator_that_the_exporter_writes_has_a_file() -> None:
    """As its source spells them; Conv and ConvTranspose come from `geometry`.

    Shape: no graph of ours has it, as GPU providers leave sizes to the CPU; its cases show that they still do.
    """
    folder = Path(graph_writer.__file__).parent
    sources = [file for file in folder.rglob("*.py") if file.name != "float_warp.py"]  # of an FP32 graph
    written = {name.lower() for file in sources for name in WRITES.findall(file.read_text(encoding="utf-8"))}
    assert written | {"conv", "convtranspose", "shape"} == set(OPERATORS) and "shape" not in written


def test_every_operator_of_an_exported_package_has_a_file(package: Package) -> None:
    """Both flavours, opset and operators."""
    models = [onnx.load(file) for file in sorted((package.root / "int").glob("*.onnx"))]
    assert {model.opset_import[0].version for model in models} == {OPSET}
    used = {node.op_type.lower() for model in models for node in model.graph.node}
    assert {"conv", "matmul", "quantizelinear", "floor"} <= used <= set(OPERATORS)


def test_every_file_has_cases_of_its_own() -> None:
    """Named after it, and with its operator in them; the five assumptions are A1 to A5."""
    assert ASSUMPTIONS == ("a1", "a2", "a3", "a4", "a5")
    for file, cases in itertools.groupby(CASES.values(), key=lambda case: case.name.split("/")[0]):
        for case in cases:
            operators = {node.op_type.lower() for node in case.model.graph.node}
            assert file in operators | set(ASSUMPTIONS), case.name
    assert {name.split("/")[0] for name in CASES} == {*OPERATORS, *ASSUMPTIONS}


def test_known_deviations_are_of_legs_and_cases_that_exist() -> None:
    """Also of legs that do not run here."""
    files = {file.name: file.stem.replace("-", ":", 1) if "=" in file.stem else file.stem for file in FOLDER.iterdir()}
    for file, leg in files.items():
        assert file_of(leg) == file
        assert registered(LegSpec.parse(leg).engine) is not None, file
        assert unmatched(deviations(leg), CASES) == []


def test_a_line_that_matches_nothing_is_found(tmp_path: Path) -> None:
    """And one without a kind or a reason; a case that fails otherwise than it is known to is no known one."""
    lines = "# none\nadd/*  wrong: because\nadd/lost  falls back: because\n"
    (tmp_path / "cpu-opt=off.txt").write_text(lines, encoding="utf-8")
    listed = deviations("cpu:opt=off", tmp_path)
    assert unmatched(listed, CASES) == ["cpu-opt=off.txt:3: add/lost matches no case"]
    found = known("add/zero", listed)
    assert found is not None and (found.reason, found.place) == ("because", "cpu-opt=off.txt:2")
    assert known("sub/zero", listed) is None
    assert as_known(found, "add/zero: 3 of 4 values are wrong; at (0) found 1, expected 2")
    for other in ("", "add/zero: its process ended with -11", "add/zero: cpu: 1 of 8 nodes fell back from ..."):
        assert not as_known(found, other)
    for line in ("add/zero", "add/zero  because", "add/zero  wrong: "):
        (tmp_path / "cpu.txt").write_text(f"{line}\n", encoding="utf-8")
        with pytest.raises(
            ValueError, match=r"cpu.txt:1: 'add/zero.*expected FILE/CASE, two spaces, falls back, wrong"
        ):
            deviations("cpu", tmp_path)


def test_every_leg_is_tested_or_named_with_a_reason() -> None:
    """Those that `nvc-check providers` lists."""
    legs, lines = chosen()
    if len(lines) == 1:
        assert legs  # of CONFORMANCE_LEGS
        return
    said = {leg.split(":")[0] if leg not in names() else leg for leg in (*legs, *NOT_FOR_GRAPHS)}
    said |= {
        match[1] for line in lines if (match := re.match(r"conformance: (\S+) is (not installed|cannot start)", line))
    }
    assert set(names()) <= said
    assert set(MAIN) <= set(legs)


def test_a_wrong_value_fails(wrong: Callable[[str, Case], str]) -> None:
    """By one step, and a shape or a type that is another."""
    case = CASES["add/largest"]
    edited = case.expected.copy()
    edited[1] += 1
    text = wrong("cpu", replace(case, expected=edited))
    assert text.startswith("add/largest: 1 of 5 values are wrong; at (1,) found") and "-16777215" in text
    assert "expected float32 (1, 5)" in wrong("cpu", replace(case, expected=case.expected[None]))
    assert "expected int32 (5,)" in wrong("cpu", replace(case, expected=case.expected.astype(np.int32)))


def test_a_result_that_is_no_number_fails() -> None:
    """NaN is unequal to everything."""
    case = one("add/nan", "Add", [f32([1]), f32([2])], f32([3]))
    assert case.wrong(np.array([np.nan], np.float32)).startswith("add/nan: 1 of 1 values are wrong")


def test_a_graph_that_is_refused_fails(wrong: Callable[[str, Case], str]) -> None:
    """And the next one runs."""
    case = CASES["add/largest"]
    node = helper.make_node("Add", ["in_0", "in_1"], ["y"], domain="com.example")
    unknown = onnx.ModelProto()
    unknown.CopyFrom(case.model)
    unknown.graph.node[0].CopyFrom(node)
    unknown.opset_import.append(helper.make_opsetid("com.example", 1))
    assert "com.example" in wrong("cpu", replace(case, model=unknown))
    assert wrong("cpu", case) == ""


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_what_violates_an_assumption_fails_its_cases(violation: str) -> None:
    """Arithmetic that breaks one assumption, on that assumption's cases: at least one of them must not pass."""
    broken, evaluate = violation[:2], VIOLATIONS[violation]
    cases = [case for name, case in CASES.items() if name.startswith(f"{broken}/")]
    found = {case.name: case.wrong(evaluate(case)) for case in cases}
    assert any(found.values()), found
