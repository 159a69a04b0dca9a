"""Every leg against every case; what is known to deviate must deviate, and as it is known to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conformance.case import Case
from conformance.every_case import CASES
from conformance.legs import LegUnderTest, chosen
from conformance.xfails import deviations, known


def pytest_report_collectionfinish() -> list[str]:
    """Says which legs run, and why others do not."""
    return list(chosen()[1])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"leg", "case"} <= set(metafunc.fixturenames):
        pairs = [(leg, name) for leg in chosen()[0] for name in CASES]
        metafunc.parametrize(
            ("leg", "case", "deviation"),
            [(leg, CASES[name], known(name, deviations(leg))) for leg, name in pairs],
            ids=[f"{leg}-{name}" for leg, name in pairs],
        )


@pytest.fixture(scope="session")
def wrong() -> Iterator[Callable[..., str]]:
    """(leg, case) -> what is wrong with its result. One leg's process at a time."""
    running: dict[str, LegUnderTest] = {}

    def ask(leg: str, case: Case) -> str:
        if leg not in running:
            for other in list(running):
                running.pop(other).close()
            running[leg] = LegUnderTest(leg)
        return running[leg].wrong(case)

    yield ask
    for leg in running.values():
        leg.close()
