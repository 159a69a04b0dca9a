"""Every operator that exported integer graphs use, and every assumption, on every leg: the bits of exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from conformance.case import Case


def test_leg_gives_the_exact_bits(leg: str, case: Case, wrong: Callable[[str, Case], str]) -> None:
    """No value differs, none is missing; a leg that leaves nodes to another provider gives none."""
    assert wrong(leg, case) == ""
