"""The placement audit: what ran where, and as what; a leg whose nodes ran elsewhere is not one that ran."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.engines.reference import as_written
from nvc_check.runtimes.leg import LegSpec, RanNode
from nvc_check.runtimes.placement import Placement, kind_of, precision_of
from nvc_check.runtimes.process.running import LegProcess

NOTHING = "AzureExecutionProvider"  # in every ONNX Runtime, and takes no node of ours: all fall back


def audited(package: Package, symbols: Path, leg: str, path: str) -> dict[str, Any]:
    """Fields of the Placement after one frame."""
    allow = leg.endswith(" and elsewhere")
    spec = replace(LegSpec.parse(leg.removesuffix(" and elsewhere")), allow_fallback=allow)
    with closing(LegProcess(spec, package.root)) as process, Symbols(symbols, package.manifest.digest) as read:
        process.open()
        assert process.placement(path) == {"rows": [], "fell_back": [], "stated": ""}
        process.decode(path, read.read(0, path))
        return process.placement(path)


def counted(placement: dict[str, Any], graph: str) -> Counter[tuple[str, str]]:
    """(kind, operator) -> nodes, of one graph."""
    return Counter({(row[2], row[4]): len(row[5]) for row in placement["rows"] if row[0] == graph})


def test_fused_and_as_written(package: Package, symbols: Path) -> None:
    """With optimisation the convolutions run in integers, without it as exact carriers; frames are floats here.

    Two transposed layers of four phases each, and the last one, whose sum is read as it is: a matrix product.
    """
    fused = audited(package, symbols, "cpu", "int")
    written = audited(package, symbols, "cpu:opt=off", "int")
    for one, products in (
        (fused, {("integer", "QLinearConv"): 8, ("integer", "MatMulIntegerToFloat"): 1}),
        (written, {("carrier", "Conv"): 8, ("carrier", "MatMul"): 1}),
    ):
        found = counted(one, "entropy")
        assert {key: nodes for key, nodes in found.items() if "Conv" in key[1] or "MatMul" in key[1]} == products
    model = onnx.load(package.graph("int", "entropy"))
    named = [node for row in written["rows"] if row[0] == "entropy" for node in row[5]]
    # ONNX Runtime gives each reader of a DequantizeLinear one of its own
    assert sorted(n for n in named if not n.partition("/")[2].startswith("duplicated")) == sorted(
        node.name for node in model.graph.node
    )
    for placement in (fused, written):
        assert {row[1] for row in placement["rows"]} == {"CPUExecutionProvider"}
        assert {kind for kind, _ in counted(placement, "frame")} == {"float"}
        assert placement["fell_back"] == []


def test_a_graph_that_is_not_exact_has_no_carriers(inexact_package: Package, inexact_symbols: Path) -> None:
    """The same nodes in float32 are floats where the certificate does not say exact."""
    found = counted(audited(inexact_package, inexact_symbols, "cpu:opt=off", "int"), "entropy")
    assert {kind for kind, _ in found} <= {"integer", "float"}
    assert found["float", "Conv"] == 8
    assert found["float", "MatMul"] == 1


@pytest.mark.parametrize(
    ("leg", "provider", "operator"),
    [
        ("openvino", "OpenVINO", "Convolution"),
        ("exact", "numpy", "Conv"),
        ("reference:flavour=carrier", "numpy", "Conv"),
    ],
)
def test_other_engines(leg: str, provider: str, operator: str, package: Package, symbols: Path) -> None:
    """Each tells in its own words; a product is there, and the graph is exact."""
    placement = audited(package, symbols, leg, "int")
    rows = [row for row in placement["rows"] if row[0] == "entropy"]
    assert all(row[1].startswith(provider) for row in rows)
    assert {row[2] for row in rows if row[4] == operator} <= {"integer", "carrier"}
    assert operator in {row[4] for row in rows} and placement["stated"] == ""


def test_an_engine_without_nodes_says_so(package: Package, symbols: Path) -> None:
    """torch runs no graph."""
    placement = audited(package, symbols, "torch", "fp32")
    assert placement["rows"] == [] and placement["stated"].startswith("PyTorch eager runs the codec's modules")


def test_nodes_that_fell_back(package: Package, symbols: Path) -> None:
    """Refused with their names; allowed, every one of them is listed."""
    says = r"10 of 10 nodes fell back from AzureExecutionProvider: .*\(Conv.* and 5 more; say --allow-fallback"
    with pytest.raises(ProviderUnavailableError, match=says):
        audited(package, symbols, NOTHING, "fp32")
    placement = audited(package, symbols, f"{NOTHING} and elsewhere", "int")
    assert len(placement["fell_back"]) == sum(len(row[5]) for row in placement["rows"]) > 40
    assert any(
        line.startswith("entropy/") and line.endswith(" on CPUExecutionProvider)") for line in placement["fell_back"]
    )


def test_a_comparison_with_nodes_that_fell_back(
    command: Callable[..., tuple[int, str, str]], package: Package, symbols: Path, tmp_path: Path
) -> None:
    """Exit code 5, though what did run is identical; --allow-fallback counts it, and names the nodes."""
    words = ["compare", package.root, "--symbols", symbols, "--providers", f"cpu,{NOTHING}", "--json"]
    code, out, _ = command(*words, tmp_path / "refused.json")
    assert code == 5 and "fell back from AzureExecutionProvider" in out
    report = json.loads((tmp_path / "refused.json").read_text())
    assert {row["leg"] for row in report["results"]}.isdisjoint({NOTHING})
    assert {leg["compared"] for leg in report["legs"] if leg["name"] == NOTHING} == {0}
    code, out, _ = command(*words, tmp_path / "allowed.json", "--allow-fallback")
    assert code == 0 and "nodes fell back: entropy/" in out
    (leg,) = (
        leg
        for leg in json.loads((tmp_path / "allowed.json").read_text())["legs"]
        if (leg["name"], leg["path"]) == (NOTHING, "int")
    )
    assert leg["compared"] > 0 and len(leg["placement"]["fell_back"]) > 40
    assert {count["provider"] for count in leg["placement"]["counts"]} == {"CPUExecutionProvider"}


def test_a_trace_of_nodes_that_fell_back(
    command: Callable[..., tuple[int, str, str]], package: Package, symbols: Path, tmp_path: Path
) -> None:
    """Not recorded; recorded on request, and then merged on request only."""
    words = ["record", package.root, "--symbols", symbols, "--out"]
    azure, cpu = tmp_path / "azure.trace", tmp_path / "cpu.trace"
    code, _, err = command(*words, azure, "--provider", NOTHING)
    assert code == 5 and "fell back" in err and not azure.exists()
    assert command(*words, azure, "--provider", NOTHING, "--allow-fallback")[0] == 0
    assert command(*words, cpu, "--provider", "cpu")[0] == 0
    code, out, _ = command("compare", azure, cpu)
    assert code == 5 and "int: not compared" in out and "say --allow-fallback to compare it" in out
    code, out, _ = command("compare", azure, cpu, "--allow-fallback")
    assert code == 0 and "int: identical: 0 of 73,728 values" in out and "nodes fell back: entropy/" in out


@pytest.mark.parametrize(
    ("op_type", "types", "precision"),
    [
        ("QLinearConv", ["uint8"], "integer"),
        ("MatMulInteger", ["int32"], "integer"),
        ("MatMulIntegerToFloat", ["float32"], "integer"),
        ("Transpose", ["", ""], "integer"),
        ("QuantizeLinear", ["float32", ""], "float32"),
        ("Cast", ["float32", "float16"], "float16"),
        ("Conv", ["float32", "bfloat16"], "bfloat16"),
        ("Conv", ["float64"], "float64"),
    ],
)
def test_precision_of_a_node(op_type: str, types: list[str], precision: str) -> None:
    """Of a quantized operator integers, else the narrowest float of its data."""
    assert precision_of(op_type, types) == precision


def test_kinds() -> None:
    """Only an exact graph, in float32 or wider, has carriers."""
    assert [kind_of(p, True) for p in ("integer", "float32", "float64", "float16", "bfloat16", "compiled")] == [
        "integer", "carrier", "carrier", "float", "float", "compiled",
    ]  # fmt: skip
    assert [kind_of(p, False) for p in ("integer", "float32", "float64")] == ["integer", "float", "float"]
    placement = Placement()
    placement.add("g", [RanNode("a", "Conv", "P", "float32"), RanNode("b", "Conv", "P", "float32", True)], True)
    assert placement.rows == [["g", "P", "carrier", "float32", "Conv", ["a", "b"]]]
    assert placement.fell_back == ["g/b (Conv on P)"]


def test_as_written() -> None:
    """Types are inferred through the graph: a cast to integers and what moves them are integers."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, [2, 1])
    nodes = [
        helper.make_node("Floor", ["x"], ["f"]),
        helper.make_node("Cast", ["f"], ["i"], name="cast", to=TensorProto.INT32),
        helper.make_node("Transpose", ["i"], ["y"], name="move"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]))
    assert as_written(model, "p") == (
        RanNode("f", "Floor", "p", "float32"),
        RanNode("cast", "Cast", "p", "float32"),
        RanNode("move", "Transpose", "p", "integer"),
    )
