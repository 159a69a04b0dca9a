"""Whatever is certified gives the same bits on every leg; the long run is tests/property/fuzz.py."""

from __future__ import annotations

import openvino
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.fuzz import check

GRAPHS = 40


@pytest.fixture(scope="module")
def core() -> openvino.Core:
    return openvino.Core()


def test_certified_graphs_give_one_result(core: openvino.Core) -> None:
    """ONNX Runtime with and without optimization, OpenVINO in float32, and the oracle where it knows the operators."""
    exact = []

    @settings(max_examples=GRAPHS, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def one_graph(seed: int) -> None:
        found = check(seed, core)
        assert not found.different, (seed, found.different)
        exact.append(found.certificate.targets["avx2"])

    one_graph()
    share = sum(exact) / len(exact)
    print(f"{100 * share:.0f} % of {len(exact)} random graphs certified")
    assert 0.3 < share < 0.9  # neither everything nor nothing


FOUND = [
    93,
    117,
    153,
    247,
    250,
    527,
    2231,
    5661,
    7295,
    10941,
    20073,
    23273,
    23976,
    24418,
    24805,
    27491,
    32553,
    43756,
    44994,
    108142,
]


@pytest.mark.parametrize("seed", FOUND)
def test_graphs_that_runtimes_once_computed_differently(seed: int, core: openvino.Core) -> None:
    """Each showed a rewrite or kernel against the assumptions; the certificate must refuse it where it happens."""
    found = check(seed, core)
    assert not found.different
    assert not all(found.certificate.targets[name] for name in ("avx2", "openvino"))
