"""Whatever decoder goes through the exporter computes the same bits everywhere; the long run is decoders.py."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from property.decoders import check

DECODERS = 8
TARGETS = {"any", "ort-cpu", "avx2", "cuda", "webgpu", "openvino"}


@pytest.fixture(scope="module")
def core() -> openvino.Core:
    return openvino.Core()


def test_random_decoders_are_exact_and_near_to_float(core: openvino.Core) -> None:
    found = [check(seed, core) for seed in range(DECODERS)]
    for seed, each in enumerate(found):
        assert not each.different, (seed, each.different)
        assert each.targets["carrier"] == TARGETS
        assert each.targets["qdq"] >= {"ort-cpu", "avx2", "openvino"}
    noise = [decibels for each in found for decibels in each.noise.values()]
    assert len(noise) > DECODERS / 2  # most outputs are not constant
    assert np.median(noise) > 30
