"""What actionlint cannot see: legs, commands and options that exist; the shell lines of the workflows, really run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from nvc_check.checker.cli.main import app
from nvc_check.checker.traces.record import record
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.digest import canonical_json, document_digest
from nvc_check.runtimes.leg import LegSpec, checked_options
from nvc_check.runtimes.registry import ENGINES, knobs_of, registered

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS: dict[str, Any] = {
    file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.yml"))
}
RECORD, MERGE = WORKFLOWS["legs.yml"]["jobs"]["record"], WORKFLOWS["legs.yml"]["jobs"]["merge"]
ROWS: list[dict[str, str]] = RECORD["strategy"]["matrix"]["include"]


def steps() -> list[tuple[str, dict[str, Any]]]:
    """(workflow/job, step) of all that run shell lines."""
    return [
        (f"{name}/{job}", step)
        for name, workflow in WORKFLOWS.items()
        for job, described in workflow["jobs"].items()
        for step in described.get("steps", [])
        if "run" in step
    ]


def shell_lines(job: dict[str, Any], name: str) -> str:
    (found,) = (step["run"] for step in job["steps"] if step.get("name") == name)
    return str(found)


def commands(lines: str) -> list[list[str]]:
    """The words of every nvc-check command line."""
    joined = lines.replace("\\\n", " ")
    found = re.findall(r"^\s*(?:run: )?(nvc-check [^|&>]*?)(?:\s2?>.*|\s\|\|.*)?$", joined, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found]


def unknown(words: list[str]) -> list[str]:
    """What of `nvc-check COMMAND --option ...` does not exist."""
    known: Any = typer.main.get_command(app)
    command = known.commands.get(words[1])
    if command is None:
        return [words[1]]
    options = {spelled for parameter in command.params for spelled in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words[2:] if word.startswith("--") and word not in options]


def test_every_leg_exists_with_its_options() -> None:
    """And stands once per machine."""
    assert len({(row["machine"], row["leg"]) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        spec = LegSpec.parse(row["leg"])
        assert spec.engine in ENGINES and registered(spec.engine) is not None, row
        if spec.options:
            declared = {"webgpu": {"adapter": ("swiftshader", "system")}}.get(spec.engine) or knobs_of(spec)
            checked_options(spec, declared)
        assert spec.engine == "exact" or ENGINES[spec.engine].packages or ENGINES[spec.engine].npm, row


def test_five_machines_and_four_engines() -> None:
    """Each machine has ONNX Runtime and WebAssembly, with which the others are compared; none needs torch."""
    machines = {row["machine"] for row in ROWS}
    assert machines == {"linux-x64", "linux-arm64", "windows-x64", "windows-arm64", "macos-arm64"}
    for machine in machines:
        assert {"cpu", "wasm"} <= {row["leg"] for row in ROWS if row["machine"] == machine}
        assert len({row["os"] for row in ROWS if row["machine"] == machine}) == 1
    engines = {LegSpec.parse(row["leg"]).engine for row in ROWS}
    assert engines == {"exact", "cpu", "openvino", "webgpu", "wasm"}


def test_every_command_and_option_exists() -> None:
    """Of nvc-check, in all workflows; and every target of make."""
    found = [(place, words) for place, step in steps() for words in commands(step["run"])]
    assert {words[1] for _, words in found} == {"export", "sample", "symbols", "providers", "record", "compare"}
    assert sum(step["run"].count("nvc-check ") for _, step in steps()) == len(found)
    assert [(place, unknown(words)) for place, words in found if unknown(words)] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for _, step in steps() for name in re.findall(r"^make (\S+)", step["run"])} <= targets


def test_an_unknown_command_or_option_is_found() -> None:
    """Behind a line's continuation too."""
    lines = "nvc-check record PKG \\\n    --simbols FILE --out TRACE || code=$?\nnvc-check recrod PKG --out T\n"
    assert [unknown(words) for words in commands(lines)] == [["--simbols"], ["recrod"]]


def run_lines(lines: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs `shell: bash`, with this environment's nvc-check."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def merged(folder: Path, recorded: str = "success") -> tuple[int, str]:
    """(exit code, job summary) of the workflow's own lines."""
    summary = folder / "summary.md"
    summary.write_text("", encoding="utf-8")
    done = run_lines(shell_lines(MERGE, "Merge"), folder, GITHUB_STEP_SUMMARY=str(summary), RECORDED=recorded)
    assert done.stdout == summary.read_text(encoding="utf-8")
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def recorded(package: Package, symbols: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `traces`: of cpu by the workflow's own lines, of exact."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "input").mkdir()
    (folder / "input" / "package").symlink_to(package.root)
    (folder / "input" / "symbols.npz").symlink_to(symbols)
    row = {"LEG": "cpu:opt=off,threads=1", "MACHINE": "windows-arm64", "OPTIONS": ""}
    done = run_lines(shell_lines(RECORD, "Record"), folder, **row)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (folder / "traces").iterdir()] == ["windows-arm64-cpu-opt-off-threads-1.trace"]
    with Symbols(symbols, package.manifest.digest) as read:
        record(package, read, LegSpec.parse("exact"), folder / "traces" / "linux-x64-exact.trace", label="linux-x64")
    return folder


def copied(recorded: Path, folder: Path) -> Path:
    (folder / "traces").mkdir()
    for file in (recorded / "traces").iterdir():
        (folder / "traces" / file.name).write_bytes(file.read_bytes())
    return folder / "traces" / "windows-arm64-cpu-opt-off-threads-1.trace"


def test_merge_of_equal_traces(recorded: Path, tmp_path: Path) -> None:
    """The table and the verdict are in the job summary, by machine; a leg that is missing is told."""
    copied(recorded, tmp_path)
    code, summary = merged(tmp_path)
    assert (code, "int: identical" in summary) == (0, True)
    assert "cpu:opt=off,threads=1 (windows-arm64)" in summary and summary.count("```") == 2
    assert "Not every leg" not in summary
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["verdict"]["int"] == "identical"
    code, summary = merged(tmp_path, "failure")
    assert (code, "**Not every leg recorded a trace (failure)" in summary) == (0, True)


def test_merge_fails_on_one_integer_that_differs(recorded: Path, tmp_path: Path) -> None:
    """A trace of other integers is a whole trace; an edited one is none; no traces are no agreement."""
    file = copied(recorded, tmp_path)
    document = json.loads(file.read_text(encoding="utf-8"))
    frame = document["paths"]["int"]["frames"][0]
    frame["means"]["sha256"] = frame["indexes"]["sha256"]
    edited = canonical_json(document)
    file.write_text(canonical_json({**document, "digest": document_digest(document)}), encoding="utf-8")
    code, summary = merged(tmp_path)
    assert (code, "int: different" in summary) == (1, True)
    file.write_text(edited, encoding="utf-8")
    code, summary = merged(tmp_path)
    assert (code, "it was altered or damaged" in summary) == (3, True)
    for trace in (tmp_path / "traces").iterdir():
        trace.unlink()
    code, summary = merged(tmp_path)
    assert code not in (0, 1) and "nvc-check: " in summary


def test_reusable_workflow_is_the_one_that_runs_here() -> None:
    """With the artifacts that the job before it uploads."""
    jobs = WORKFLOWS["matrix.yml"]["jobs"]
    uploaded = {s["with"]["name"] for s in jobs["package"]["steps"] if "upload-artifact" in s.get("uses", "")}
    assert jobs["legs"]["uses"] == "./.github/workflows/legs.yml"
    assert set(jobs["legs"]["with"].values()) == uploaded
    inputs = WORKFLOWS["legs.yml"][True]["workflow_call"]["inputs"]  # YAML 1.1 reads `on` as true
    assert set(jobs["legs"]["with"]) <= set(inputs)


def test_linting_finds_what_is_wrong(tmp_path: Path) -> None:
    """An input that does not exist; a missing npm is told."""
    text = (FOLDER / "legs.yml").read_text(encoding="utf-8")
    (tmp_path / "legs.yml").write_text(text.replace("inputs.wheel", "inputs.weel"), encoding="utf-8")
    lint = [str(ROOT / ".ci" / "lint-workflows")]
    good = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, f"actionlint: {len(WORKFLOWS)} workflows, 0 findings\n"), good.stderr
    bad = subprocess.run([*lint, str(tmp_path)], capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and 'property "weel" is not defined' in bad.stderr
    (tmp_path / "bin").mkdir()
    for program in ("bash", "dirname", "env"):
        (tmp_path / "bin" / program).symlink_to(f"/usr/bin/{program}")
    bare = subprocess.run(lint, env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False)
    assert bare.returncode == 1 and bare.stderr.startswith("lint-workflows: found no node; install Node.js")
