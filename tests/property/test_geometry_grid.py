"""A share of the geometry grid, and what it must not let pass; the whole grid is geometry_grid.py."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from property.ends_once import ends_once
from property.geometry_grid import (
    EMPTY,
    EXACT,
    FORMS,
    WRONG,
    IntegerForm,
    Setting,
    check,
    chosen,
    integer_form,
    judge,
    square_settings,
    uneven_settings,
)
from property.in_processes import in_processes

SHARE, SEED = 40, 12
PLAIN = Setting(False, (3, 3), (1, 1), (1, 1), (1, 1), (0, 0), 1, FORMS[0], 0)


def made_of(setting: Setting) -> IntegerForm:
    return integer_form(setting.model(), np.random.default_rng(1))


@pytest.mark.parametrize("setting", chosen(SHARE, SEED), ids=str)
def test_a_layer_of_any_geometry_is_exact_and_near_to_float(setting: Setting) -> None:
    outcome = check(setting)
    assert outcome.verdict in (EXACT, EMPTY), outcome.reason


def test_the_grid_is_whole() -> None:
    """Kernels 1 to 7, strides 1 to 4, paddings and output paddings, three group numbers."""
    square = list(square_settings(0))
    conv, transposed = 3 * 4 * sum(range(1, 8)), 3 * sum(range(1, 5)) * sum(range(1, 8))
    assert [sum(each.transposed is t for each in square) for t in (False, True)] == [conv, transposed]
    assert len({replace(each, form="", seed=0) for each in square}) == len(square)
    assert {each.form for each in square} == set(FORMS)
    uneven = list(uneven_settings(0))
    assert len(uneven) == len(square)
    assert sum(each.begin != each.end or each.kernel[0] != each.kernel[1] for each in uneven) > len(uneven) / 2


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (replace(PLAIN, seed=1), r"^-?\d.* dB"),  # other weights
        (replace(PLAIN, stride=(2, 2)), r"picture: shape \(1, 4, 8, 9\), expected \(1, 4, 4, 5\)"),
        (replace(PLAIN, begin=(2, 1), end=(0, 1)), r"^-?\d.* dB"),  # of the same shape, a row further
        (replace(PLAIN, form="Relu behind"), r"^-?\d.* dB"),
    ],
)
def test_another_function_is_wrong(other: Setting, says: str) -> None:
    made = made_of(PLAIN)
    assert judge(PLAIN, PLAIN.model(), made).verdict == EXACT
    outcome = judge(PLAIN, other.model(), made)
    assert outcome.verdict == WRONG
    assert re.search(says, outcome.reason)


def test_flavours_of_other_bits_are_wrong() -> None:
    made, other = made_of(PLAIN), made_of(replace(PLAIN, seed=1))
    mixed = made._replace(models={"qdq": made.models["qdq"], "carrier": other.models["carrier"]})
    outcome = judge(PLAIN, PLAIN.model(), mixed)
    assert outcome.verdict == WRONG
    assert "carrier, ort all, picture" in outcome.reason


def test_an_empty_output_is_counted_apart() -> None:
    empty = replace(PLAIN, kernel=(7, 7), begin=(0, 0), end=(0, 0), stride=(4, 4))
    assert empty.empty  # seven columns of a latent of six
    assert check(empty).verdict == EMPTY


def test_a_process_that_ends_ends_only_its_own_check(tmp_path: Path) -> None:
    assert list(in_processes(abs, [-2, 3])) == [(-2, 2), (3, 3)]
    assert list(in_processes(os._exit, [5], processes=1)) == [(5, None)]
    assert list(in_processes(os._exit, [5], processes=1, again=True)) == [(5, None)]
    once, twice = (str(tmp_path / name) for name in ("once", "twice"))
    assert list(in_processes(ends_once, [once], 1)) == [(once, None)]
    assert list(in_processes(ends_once, [twice], 1, again=True)) == [(twice, True)]
