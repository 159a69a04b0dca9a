"""What a process computed before changes nothing that it computes later: graphs that differ in one thing, in a row."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.case import Array, Case, Fixed, chain, f32, fixed, node
from conformance.integers import convolution
from conformance.legs import LegUnderTest, chosen

RANDOM = np.random.default_rng(13)
PICTURE = RANDOM.integers(-128, 128, (1, 8, 5, 6)).astype(np.float32)
WEIGHT = RANDOM.integers(-60, 61, (7, 8, 1, 1))
LIMITS = (900, 300, None)
# as the certificate says of them: its programs for small products are kept without what limits them
FORGETFUL = {"webgpu": 8}


def limited(channels: int, limit: int | None) -> Case:
    """A 1x1 Conv, and where there is a limit a Clip that optimizers take into it."""
    x, weight = PICTURE[:, :channels], WEIGHT[:, :channels]
    total = convolution(x, weight)
    conv = node("Conv", "x weight bias", "y" if limit is None else "sum", kernel_shape=[1, 1])
    operands: dict[str, Array | Fixed] = {"x": x, "weight": Fixed(f32(weight)), "bias": fixed([0] * 7)}
    if limit is None:
        return chain(f"conv/{channels}_channels", [conv], operands, f32(total))
    operands |= {"low": fixed(0), "high": fixed(limit)}
    nodes = [conv, node("Clip", "sum low high", "y")]
    return chain(f"conv/{channels}_channels_to_{limit}", nodes, operands, f32(np.clip(total, 0, limit)))


def said(running: LegUnderTest, channels: int, turned: bool) -> list[str]:
    """What was wrong with each graph, one after the other; "" where nothing was."""
    return [running.wrong(limited(channels, limit)) for limit in (LIMITS[::-1] if turned else LIMITS)]


@pytest.mark.parametrize("leg", chosen()[0])
def test_limits_of_one_graph_are_not_those_of_the_next(leg: str) -> None:
    """All in one process, but for those that a forgetful engine gets wrong: what these leave behind stays in theirs."""
    running = LegUnderTest(leg)
    try:
        for channels in (1, 7, 8):
            for turned in (False, True):
                if channels >= FORGETFUL.get(leg, 0):
                    assert said(running, channels, turned) == ["", "", ""], (channels, turned)
    finally:
        running.close()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("channels", [1, 7])
@pytest.mark.parametrize("leg", FORGETFUL)
def test_a_forgetful_engine_gives_the_next_graph_the_first_ones_limits(leg: str, channels: int, turned: bool) -> None:
    running = LegUnderTest(leg)
    try:
        first, *others = said(running, channels, turned)
    finally:
        running.close()
    assert first == "" and all("values are wrong" in word for word in others)
