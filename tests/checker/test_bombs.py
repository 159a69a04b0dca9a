"""Small files that unpack to more than memory, files without end, and names that are no names: one line, soon."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from nvc_check.checker.views.plain import harmless, plain
from nvc_check.exporter.certificate.verdicts import NOT_EXACT
from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.arrays import array_of
from nvc_check.models.artifacts.package import GridTensor, Package
from nvc_check.models.artifacts.schema import typed

Refused = Callable[[int, list[str]], str]


@pytest.mark.parametrize(("entry", "verb"), [("trace.json", "traces"), ("symbols.json", "symbols")])
def test_a_document_that_unpacks_to_more_than_memory(
    refused: Refused, package: Package, tmp_path: Path, entry: str, verb: str
) -> None:
    """1 GB of spaces in 1 MB: its length is read before it is."""
    bomb = tmp_path / "bomb"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(entry, "w") as stream:
        for _ in range(128):
            stream.write(b" " * (8 << 20))
    assert bomb.stat().st_size < 2 << 20
    words = ["compare", str(bomb), str(bomb)] if verb == "traces" else []
    words = words or ["compare", str(package.root), "--symbols", str(bomb), "--providers", "cpu"]
    assert "unpacks to 1,073,741,824 bytes" in refused(3, words)


@pytest.mark.parametrize("kind", ["FIFO", "/dev/zero"])
@pytest.mark.parametrize("verb", ["symbols", "input", "trace", "package", "export", "calibration"])
def test_what_has_no_end(refused: Refused, package: Package, tmp_path: Path, kind: str, verb: str) -> None:
    place = Path(kind)
    if kind == "FIFO":
        os.mkfifo(place := tmp_path / "fifo")
    words = {
        "symbols": ["compare", package.root, "--symbols", place, "--providers", "cpu"],
        "input": ["compare", package.root, "--input", place, "--providers", "cpu"],
        "trace": ["compare", place, place],
        "package": ["certify", place],
        "export": ["export", place, "--out", tmp_path / "out"],
        "calibration": ["export", "mbt2018-mean-relu-small", "--calibration", place, "--out", tmp_path / "out"],
    }[verb]
    assert str(place) in refused(2, [str(word) for word in words])


def saved(shape: tuple[int, ...], dtype: str) -> bytes:
    """A header that promises an array, and no array."""
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


NONE_OF_THEM = [
    *(b"", b"\x93NUMPY", b"\x93NUMPY\1\0\x0a\0{'descr':(" + b"\n" * 9),
    *(saved((2**50,), "<f4"), saved((-1, 3), "<i4"), saved((1,), "|O"), saved((4,), "<i4") + b"\0" * 15),
    *(saved((1,), "<U3") + b"\0" * 12, saved((1,), "<c8") + b"\0" * 8),
]


@pytest.mark.parametrize("data", NONE_OF_THEM)
def test_arrays_that_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        array_of(data)


def test_constants_that_grow_when_folded() -> None:
    """Some bytes of sizes that ask for 2^36 values: nothing is allocated, and nothing is proved."""
    sizes = numpy_helper.from_array(np.array([4096] * 3), "sizes")
    for op_type, inputs in (("ConstantOfShape", ["found"]), ("Expand", ["one", "found"]), ("Tile", ["one", "found"])):
        nodes = [
            helper.make_node("Max", ["sizes", "sizes"], ["found"], "hidden"),
            helper.make_node(op_type, inputs, ["grown"], "grown"),
            helper.make_node("Add", ["x", "grown"], ["y"], "used"),
        ]
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 3)],
            [sizes, numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "one")],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        assert set(certify(model).verdicts.values()) == {NOT_EXACT}


def test_strides_and_inputs_without_measure() -> None:
    """3,000 x 3,000 phases of which one has a tap; 60 times the same input, 30 times in a row: 60^30 ways back."""
    weight = numpy_helper.from_array(np.ones((4, 1, 1, 1), np.float32), "w")
    wide = helper.make_node("ConvTranspose", ["f", "w"], ["y"], "wide", strides=[3000, 3000])
    chained = [helper.make_node("Max", [f"m{i}"] * 60, [f"m{i + 1}"], f"max{i}") for i in range(30)]
    ends = [helper.make_node("Identity", ["f"], ["m0"]), helper.make_node("QuantizeLinear", ["m30", "one"], ["y"], "q")]
    for nodes, kind in (([wide], TensorProto.FLOAT), ([ends[0], *chained, ends[1]], TensorProto.UINT8)):
        graph = helper.make_graph(
            [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), *nodes], "g",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4, 2, 2])],
            [helper.make_tensor_value_info("y", kind, [None] * 4)],
            [weight, numpy_helper.from_array(np.array(1, np.float32), "one")],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        assert certify(model).targets["ort-cpu"]


NAMES = [
    "[/red]",
    "[bold]x[/bold]",
    "\x1b[31mred",
    "two\nlines",
    "\u202eturned",
    "back\\slash",
    "[/",
    "ordinary:name/1",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_reach_the_terminal_plain(name: str) -> None:
    console = Console(record=True, width=200, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]{harmless(name)}[/]")
    said = console.export_text(clear=False).rstrip("\n")
    assert said == plain(name) and said.isprintable() and "\x1b[31m" not in console.export_text(styles=True)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("channels", "3", "channels is '3', expected int"),
        ("channels", True, "channels is True, expected int"),
        ("channels", 2**60, "expected int"),
        ("exponent", 0.5, "exponent is 0.5, expected int"),
        ("dtype", ["float32"], "expected str"),
        ("dtype", "\ud800", "expected str"),
        ("peak", float("nan"), "peak is nan, expected float"),
        ("shape", [1, "2"], r"shape\[1\] is '2', expected int"),
        ("more", 1, "more is not known"),
    ],
)
def test_fields_of_other_types(field: str, value: Any, says: str) -> None:
    good = {"channels": 3, "exponent": -4, "low": 0, "high": 255, "shape": [1, None], "peak": 1}
    assert typed(GridTensor, good) == GridTensor(3, -4, 0, 255, shape=[1, None], peak=1.0)
    with pytest.raises(ValueError, match=says):
        typed(GridTensor, {**good, field: value})
    with pytest.raises(ValueError, match="low is missing"):
        typed(GridTensor, {key: item for key, item in good.items() if key != "low"})
    with pytest.raises(ValueError, match="expected an object"):
        typed(GridTensor, [good])
