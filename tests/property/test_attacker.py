"""A share of the attack on the certificate, and what the attacker must see through; the long run is attacker/run.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from property.attacker.drawn import drawn
from property.attacker.judging import (
    EXACT,
    FAILED,
    REFUSED,
    Certifier,
    Judged,
    Verdicts,
    certified,
    everything_exact,
    judge,
)
from property.attacker.run import USUAL_LEGS, Tally, attacked

FIRST, GRAPHS, CONTROLS = 2_000_000, 300, 40


def attack(seeds: Sequence[int], folder: Path, certifier: Certifier = certified) -> Tally:
    tally = Tally(folder)
    for judged in attacked(seeds, USUAL_LEGS, 2, certifier, confirmed=certifier is certified):
        tally.add(judged)
    return tally


def nothing_exact(model: onnx.ModelProto) -> Verdicts:
    return dict.fromkeys(everything_exact(model), REFUSED)


def ends_the_process(model: onnx.ModelProto) -> Verdicts:
    os._exit(3)


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    tally = attack(range(FIRST, FIRST + GRAPHS), tmp_path_factory.mktemp("found"))
    print(tally.report())
    return tally


def test_nothing_is_called_exact_that_is_not(share: Tally) -> None:
    assert [judged.seed for judged in share.false] == []
    assert not share.counts["certificate raised"]


def test_the_share_shows_something(share: Tally) -> None:
    assert not share.vacuous()
    assert share.counts["valid"] > 0.7 * GRAPHS
    assert min(share.legs[leg] for leg in ("oracle", *USUAL_LEGS)) > 0.02 * GRAPHS


def test_a_certificate_that_calls_everything_exact_is_caught(tmp_path: Path) -> None:
    tally = attack(range(FIRST, FIRST + CONTROLS), tmp_path, everything_exact)
    wrong = [
        leg for judged in tally.false for leg, found in judged.wrong(EXACT).items() if not found.startswith(FAILED)
    ]
    assert set(wrong) >= {"ort all", "openvino"}
    first = tally.false[0].seed
    onnx.checker.check_model(onnx.load(tmp_path / str(first) / "model.onnx"))
    assert (tmp_path / str(first) / "inputs0.npz").is_file()


def test_a_certificate_that_refuses_everything_is_vacuous(tmp_path: Path) -> None:
    assert attack(range(FIRST, FIRST + 4), tmp_path, nothing_exact).vacuous()


def test_a_crash_is_said_and_does_not_end_the_run(tmp_path: Path) -> None:
    tally = attack(range(FIRST, FIRST + 2), tmp_path, ends_the_process)
    assert tally.counts["drawn"] == tally.counts["certificate raised"] == 2


@pytest.mark.parametrize("any_size", [False, True])
def test_inputs_too_small_say_nothing_of_graphs_of_any_size_only(any_size: bool) -> None:
    """And only where the graph itself cannot be computed, not where a leg alone gives nothing."""
    nothing = dict.fromkeys(("oracle", "ort off", "ort all"), FAILED)
    judged = Judged(FIRST, True, "", everything_exact(onnx.ModelProto()), nothing, any_size=any_size)
    assert (judged.wrong(EXACT) == {}) == any_size
    assert replace(judged, legs={**nothing, "oracle": ""}).wrong(EXACT)


@pytest.mark.parametrize("seed", [1_017_167, 12_017_895])
def test_the_graph_that_was_given_one_row_too_few(seed: int) -> None:
    """An exported decoder with a 3x3 kernel, drawn with one row; one that reflects two columns, drawn with two."""
    judged = judge(seed, ("ort off", "ort all"))  # OpenVINO crashes
    assert judged.claim("oracle") == EXACT and judged.untaken() and judged.wrong(EXACT) == {}


def test_a_seed_gives_the_same_graph_again() -> None:
    for seed in range(FIRST, FIRST + 8):
        one, two = (drawn(seed).model.SerializeToString(deterministic=True) for _ in range(2))
        assert one == two
