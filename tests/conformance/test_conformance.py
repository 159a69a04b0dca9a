"""Every operator that exported integer graphs use, and every assumption, on every leg: the bits of exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance.case import Case
from conformance.xfails import Deviation, as_known


def test_leg_gives_the_exact_bits(
    leg: str, case: Case, deviation: Deviation | None, wrong: Callable[[str, Case], str]
) -> None:
    """No value differs, none is missing; a leg that leaves nodes to another provider gives none."""
    said = wrong(leg, case)
    if deviation is None:
        assert said == ""
        return
    assert as_known(deviation, said), f"{said or 'right'}, expected {deviation.kind} ({deviation.place})"
    pytest.xfail(f"{deviation.reason} ({deviation.place})")
