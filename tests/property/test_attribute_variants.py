"""A share of the attribute variants, and what their judge must not let pass; all of them are attribute_variants.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from property.attribute_variants import REFUSED, RIGHT, WRONG, calibration, check, judge, refusal, variants
from property.variant_drafts import Arrays, Draft, Variant

from nvc_check.exporter.graph_export import export_user_graph
from nvc_check.models.artifacts.package import Package

SHARE, SEED, LEAST_VARIANTS = 40, 12, 300
EVERY = list(variants())
CHOSEN = [EVERY[place] for place in sorted(np.random.default_rng(SEED).choice(len(EVERY), SHARE, replace=False))]


def named(variant: Variant) -> str:
    return f"{variant.kind}: {variant.what}"


def slope(alpha: float) -> Variant:
    draft = Draft("judge", "slope")
    return draft.done(draft.op("LeakyRelu", draft.layer(draft.input()), alpha=alpha, outputs=["picture"]))


def exported(variant: Variant, folder: Path) -> tuple[Package, list[Arrays]]:
    examples = calibration(variant, np.random.default_rng(1))
    onnx.save(variant.model, folder / "variant.onnx")
    return export_user_graph(folder / "variant.onnx", examples, folder / "package")[0], examples


@pytest.mark.parametrize("variant", CHOSEN, ids=named)
def test_a_variant_is_right_or_refused(variant: Variant) -> None:
    finding = check(variant)
    assert finding.verdict != WRONG, finding.why


def test_there_are_enough_and_each_has_its_name() -> None:
    assert len({named(variant) for variant in EVERY}) == len(EVERY) > LEAST_VARIANTS


def test_the_function_that_was_given_is_right(tmp_path: Path) -> None:
    package, examples = exported(slope(0.2), tmp_path)
    finding = judge(slope(0.2), package, examples)
    assert finding.verdict == RIGHT
    assert finding.decibels > 30


def test_another_slope_is_wrong(tmp_path: Path) -> None:
    package, examples = exported(slope(0.2), tmp_path)
    finding = judge(slope(0.01), package, examples)
    assert finding.verdict == WRONG
    assert finding.why.endswith("dB")


def test_another_shape_is_wrong(tmp_path: Path) -> None:
    package, examples = exported(slope(0.2), tmp_path)
    draft = Draft("judge", "slope")
    x = draft.conv(draft.input(), pads=(1, 1, 0, 0))
    wider = draft.done(draft.op("LeakyRelu", x, alpha=0.2, outputs=["picture"]))
    finding = judge(wider, package, examples)
    assert finding.verdict == WRONG
    assert "picture: shape (1, 4, 8, 10), expected (1, 4, 7, 9)" in finding.why


def test_flavours_of_other_bits_are_wrong(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    package, examples = exported(slope(0.2), folders[0])
    other, _ = exported(slope(0.21), folders[1])
    shutil.copy(other.graph("int", "decoder", "carrier"), package.graph("int", "decoder", "carrier"))
    finding = judge(slope(0.2), package, examples)
    assert finding.verdict == WRONG
    assert "carrier, ort off, picture" in finding.why


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("node leakyrelu_1 (LeakyRelu): alpha 0.2, expected another", REFUSED),
        ("input latent_0: a size that is not known", REFUSED),
        ("LeakyRelu of this slope has no exact form", REFUSED),
        ("this model cannot be exported", WRONG),
        ("node leakyrelu_1 (LeakyRelu)\nsecond line", WRONG),
    ],
)
def test_a_refusal_is_one_line_that_names_something(said: str, verdict: str) -> None:
    assert refusal(slope(0.2).model, said).verdict == verdict
