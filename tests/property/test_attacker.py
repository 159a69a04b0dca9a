"""A share of the attack on the certificate, and what the attacker must see through; the long run is attacker/run.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from property.attacker.drawn import drawn
from property.attacker.judging import EXACT, FAILED, REFUSED, Certifier, Verdicts, certified, everything_exact
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


def test_a_seed_gives_the_same_graph_again() -> None:
    for seed in range(FIRST, FIRST + 8):
        one, two = (drawn(seed).model.SerializeToString(deterministic=True) for _ in range(2))
        assert one == two
