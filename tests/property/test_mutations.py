"""A seeded share of the altered files (make mutations: 1,000), and that the judge of them sees what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from property import mutations
from property.altered import Originals
from property.mutations import CODES, HUNG, MANY, Ended, attacked, made_originals, report

MUTANTS = 100
FIRST = 20_000


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return made_originals(tmp_path_factory.mktemp("originals"))


def test_altered_files_end_in_one_line(originals: Originals) -> None:
    found = attacked(range(FIRST, FIRST + MUTANTS), originals, 2)
    lines, well = report(found)
    assert well, "\n".join(lines)


@pytest.mark.parametrize("code", [70, -1, 139])
def test_what_a_fault_is(code: int) -> None:
    assert code not in CODES
    lines, well = report([(7, Ended("onnx", code, "said", f"exit code {code}"))])
    assert not well and lines[0].startswith("mutant 7 (onnx)") and lines[-1] == "1 mutants, 1 faults"
    assert report([(7, Ended("onnx", 4, "", ""))])[1]
    lines, well = report([(number, Ended("onnx", 4, "", "")) for number in range(MANY)])
    assert not well and "nothing was refused of: checkpoint, media, package, symbols, trace" in lines


def works(seconds: float) -> None:
    """As a library that makes an error of its own of whatever Exception it meets."""
    end = time.process_time() + seconds
    try:
        while time.process_time() < end:
            pass
    except Exception as error:
        raise RuntimeError("an error of the library") from error


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (lambda: works(60), (-1, HUNG)),  # past any clock
        (lambda: works(1.5), (-1, HUNG)),  # too much work, which the clock of a shared machine would allow
        (lambda: time.sleep(1.5), (0, "")),  # as long by the clock, while others have the processor
        (lambda: time.sleep(60), (-1, HUNG)),
    ],
    ids=["no end", "too long", "waited", "waits without end"],
)
def test_time_is_the_processors_and_no_library_hides_its_end(
    command: Callable[[], None], expected: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutations, "nvc_check", command)
    code, _, said = mutations._ran(["export"], seconds=1)
    assert (code, said) == expected
