"""A seeded share of the altered files (make mutations: 1,000), and that the judge of them sees what is wrong."""

from __future__ import annotations

import pytest
from property.altered import Originals
from property.in_processes import in_processes
from property.mutations import CODES, MANY, Ended, attacked, made_originals, report
from property.without_end import COMMANDS, ran_for_a_second

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


@pytest.mark.parametrize("name", list(COMMANDS))
def test_time_is_the_processors_and_no_library_hides_its_end(name: str) -> None:
    ((_, found),) = in_processes(ran_for_a_second, [name], 1)  # as mutants run: an alarm is a whole process's
    assert found == COMMANDS[name][1]
