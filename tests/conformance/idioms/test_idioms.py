"""The list of measured forms: what the exporter writes is on it, and comes out right here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from conformance.idioms.measure import LETTERS, Witness, cover, listed, witnesses
from conformance.idioms.sources import names
from exporter.controls import in_float
from onnx import helper

from nvc_check.exporter.certificate.idioms.known import LEGS, record, unmeasured
from nvc_check.exporter.certificate.verdicts import EXACT, PROVED
from nvc_check.exporter.certificate.walk import certify, forms_of

SHARE = 14  # sources of each kind
SEED = 3


def some(kind: str) -> list[str]:
    drawn = [name for name in names(400, ()) if name.startswith(kind)]
    return [str(name) for name in np.random.default_rng(SEED).choice(drawn, SHARE, replace=False)]


@pytest.mark.parametrize("source", [*some("variant"), *some("decoder")])
def test_what_the_exporter_writes_is_listed_and_right(source: str, tmp_path: Any) -> None:
    for witness in witnesses(source, str(tmp_path)):
        assert not witness.wrong, witness.name
        certificate = certify(onnx.load(witness.file))
        for target in ("ort-cpu", "avx2", "openvino"):
            assert certificate.verdicts[target] == EXACT or target not in witness.proved, certificate.unmeasured[target]


def test_the_list_says_where_each_form_was_measured() -> None:
    document = record()
    assert document["legs"] == LETTERS and set(document["versions"]) == set(LETTERS.values())
    assert {leg for legs in LEGS.values() for leg in legs} == set(LETTERS.values())
    assert all(letters and set(letters) <= set(LETTERS) for letters in document["forms"].values())
    assert list(document["forms"]) == sorted(document["forms"])
    assert all(version["measured"] and version["lowest"] for version in document["versions"].values())


def test_a_form_that_nobody_measured_is_only_exact_in_arithmetic() -> None:
    """Two CumSum in a row are proved, and written by nobody."""
    sums = [helper.make_node("CumSum", [a, "axis"], [b], b, reverse=1) for a, b in (("c", "s"), ("s", "y"))]
    model = in_float(*sums, axis=np.array(2, np.int64), reach=3)
    certificate = certify(model)
    assert certificate.verdicts["ort-cpu"] == certificate.verdicts["openvino"] == PROVED
    assert any("CumSum" in form for form in certificate.unmeasured["ort-cpu"])
    assert unmeasured(forms_of(model), "cuda") == ("all of them: nobody has measured on this target yet",)


def test_a_form_of_a_graph_that_came_out_wrong_is_not_listed() -> None:
    def witness(name: str, *forms: str) -> Witness:
        return Witness(name, forms, {}, frozenset(LETTERS.values()), "", len(forms))

    found = [witness("right", "a", "b"), witness("wrong", "b", "c"), witness("not run", "d")]
    wrong = {"ort-cpu": {"wrong": "1 of 2 values differ"}, "avx2": {}, "webgpu": {}, "openvino": {}}
    ran = {"ort-cpu": {"right", "wrong"}, "avx2": set[str](), "webgpu": {"wrong"}, "openvino": {"right"}}
    assert listed(found, wrong, ran) == {"a": "co", "b": "ow", "c": "w"}
    assert [w.name for w in cover(found, lambda w: w.name != "not run")] == ["right", "wrong"]


def test_a_form_tells_apart_what_an_optimizer_sees() -> None:
    """Powers of two and other factors, a sole reader and several, quantized graphs and others."""

    def forms(factor: float, *more: onnx.NodeProto) -> set[str]:
        node = helper.make_node("Mul", ["c", "k"], ["m"], "scaled")
        last = helper.make_node("Floor", ["m"], ["y"], "floor")
        return set(forms_of(in_float(node, *more, last, k=np.array(factor, np.float32))))

    assert forms(0.5) == forms(0.25) and forms(3) == forms(7)
    assert len({frozenset(forms(f)) for f in (0.5, 3.0, -0.5, 0.0)}) == 4
    turned = [helper.make_node("Transpose", ["m"], [name], name, perm=[0, 2, 3, 1]) for name in ("t", "u")]
    floors = [helper.make_node("Floor", ["t"], [name], name) for name in ("v", "w")]
    assert any("alone" in form for form in forms(0.5, turned[0], floors[0]))
    assert any("shared" in form for form in forms(0.5, turned[0], *floors))
    cast = helper.make_node("QuantizeLinear", ["c", "k"], ["q"], "quantized")
    assert all("[quantized]" in form for form in forms(0.5, cast) if " > " in form)
