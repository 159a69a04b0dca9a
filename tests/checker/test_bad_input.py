"""Every bad argument or input file: one line that says what to do, exit code 2 or 4, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from compressai.zoo.image import model_urls
from safetensors.torch import load_file

from nvc_check.models.artifacts.package import Package

CODEC = "mbt2018-mean-relu-small"
SYMBOLS = "symbols {package} --out {out} --input"
RECORD = "record {package} --symbols {symbols} --out {out} --provider"
COMPARE = "compare {package} --symbols {symbols} --providers"

# case: exit code, command, what the line must say of name, found, expected and remedy
CASES: dict[str, tuple[int, str, list[str]]] = {
    "missing clip": (2, f"{SYMBOLS} {{bad}}/none.y4m", ["none.y4m: no such file", "expected a picture", "check"]),
    "cut clip": (2, f"{SYMBOLS} {{bad}}/cut.y4m", ["cut.y4m: frame 2 has", "expected 36,000", "copy it again"]),
    "text as clip": (2, f"{SYMBOLS} {{bad}}/text.y4m", ['text.y4m: not a Y4M stream (begins with "some tex', "right"]),
    "no pictures": (2, "export {codec} --out {out} --calibration {bad}/empty", ["empty: no pictures", ".png", "name"]),
    "NaN weight": (4, "export {bad}/nan.pth --out {out}", ["weight h_s.0.weight has 1 values that are NaN", "retrain"]),
    "NaN quantile": (4, "export {bad}/quantile.pth --out {out}", ["bottleneck.quantiles has 1 values that are NaN"]),
    "lost weight": (4, "export {bad}/lost.pth --out {out}", ["lost.pth: does not load as", "h_a.2.bias"]),
    "foreign weights": (4, "export {bad}/foreign.pth --out {out}", ["foreign.pth: no codec", "it has a.weight", CODEC]),
    "cut weights": (2, "export {bad}/cut.pth --out {out}", ["cut.pth: not readable as safetensors", "expected .saf"]),
    "text as weights": (
        2,
        "export {bad}/text.y4m --out {out}",
        ["text.y4m: not readable as safetensors", "right file"],
    ),
    "unknown codec": (2, "export no-codec --out {out}", ["no-codec: no such file", CODEC, "a checkpoint of one"]),
    "unsupported codec": (
        2,
        "export cheng2020-anchor --out {out}",
        ["cheng2020-anchor: no such", CODEC, "or a"],
    ),
    "no quality": (2, "export {codec}@² --out {out}", ["quality '²', expected a number"]),
    "lost quality": (2, "export {codec}@77 --out {out}", ["@77: no such weights are shipped; there are: " + CODEC]),
    "no such quality": (2, "export mbt2018-mean@9 --out {out}", ["mbt2018-mean@9", "expected a quality of 1 to 8"]),
    "no network": (2, "export mbt2018-mean@3 --out {out}", ["mbt2018-mean@3", "not download", "pass the checkpoint"]),
    "cut download": (2, "export mbt2018-mean@4 --out {out}", ["mbt2018-mean@4", "not readable", "delete them in"]),
    "precision": (
        2,
        "export {codec} --precision w4a4 --allow-inexact --out {out}",
        ["ordinary scales are for w8a8", "leave --allow-inexact out"],
    ),
    "no precision": (2, "export {codec} --precision fp16 --out {out}", ["precision fp16: expected wNaM"]),
    "scope": (2, "export {codec} --scope frame --out {out}", ["--scope frame: expected hyperprior or decoder"]),
    "two sources": (2, f"{COMPARE} cpu --input {{clip}}", ["--input and --symbols: give one of the two"]),
    "trace input": (
        2,
        "compare {bad}/a {bad}/b --input {clip}",
        ["--input, --symbols and --sweep: for a package", "recorded"],
    ),
    "no provider": (2, f"{COMPARE} cpu,tpu", ["provider 'tpu': unknown; known are torch, cpu, cuda,"]),
    "references only": (2, f"{COMPARE} exact", ["nothing to compare but the references", "add a leg such as cpu"]),
    "leg twice": (2, f"{COMPARE} cpu,cpu", ["cpu,cpu: a leg is named twice; give each one once"]),
    "leg spelling": (2, f"{COMPARE} cpu:opt", ["provider 'cpu:opt': option 'opt', expected option=value"]),
    "option": (2, f"{RECORD} cpu:speed=1", ["nvc-check: provider cpu:speed=1: unknown option 'speed'; cpu has opt,"]),
    "option value": (2, f"{RECORD} exact:flavour=x", ["flavour=x, expected one of qdq, carrier"]),
    "one trace": (2, "compare {clip}", ["one trace; give at least two traces, or a package"]),
    "size": (2, "sample --size 64 --out {out}", ["--size 64: expected WIDTHxHEIGHT, e.g. 768x512"]),
    "symbols below a file": (2, "symbols {package} --input {clip} --out {clip}/x", ["clip.y4m/x: cannot write there"]),
    "trace below a file": (2, f"{RECORD} cpu --out {{clip}}/x", ["clip.y4m/x: cannot write there", "another place"]),
    "trace at a folder": (2, f"{RECORD} cpu --out {{bad}}", ["bad: found a folder, expected a file name; choose"]),
    "package below a file": (2, "export {codec} --out {clip}/x", ["clip.y4m/x: cannot write there", "choose another"]),
    "clip below a file": (2, "sample --out {clip}/x.y4m", ["clip.y4m/x.y4m: cannot write there", "choose another"]),
    "report below a file": (2, f"{COMPARE} cpu --json {{clip}}/x", ["clip.y4m/x: cannot write there", "is a file"]),
    "maps below a file": (2, f"{COMPARE} cpu --out {{clip}}/x", ["clip.y4m/x", "cannot write there", "is a file"]),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, package: Package, symbols: Path, clip: Path) -> dict[str, object]:
    """What the commands name: good files, and a folder `bad` of bad ones."""
    bad = tmp_path_factory.mktemp("bad-input") / "bad"
    (bad / "empty").mkdir(parents=True)
    (bad / "text.y4m").write_text("some text, not a clip\n")
    (bad / "cut.y4m").write_bytes(clip.read_bytes()[:-1000])
    state = load_file(package.root / "codec.safetensors")
    for name, key in (("nan", "h_s.0.weight"), ("quantile", "entropy_bottleneck.quantiles")):
        values = state[key].clone()
        values.view(-1)[0] = float("nan")
        torch.save({**state, key: values}, bad / f"{name}.pth")
    torch.save({key: value for key, value in state.items() if key != "h_a.2.bias"}, bad / "lost.pth")
    torch.save({"a.weight": torch.zeros(3)}, bad / "foreign.pth")
    (bad / "cut.pth").write_bytes((bad / "lost.pth").read_bytes()[:5000])
    return {"bad": bad, "package": package.root, "symbols": symbols, "clip": clip, "codec": CODEC}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A proxy where nobody listens, and a cache with nothing but one damaged download."""
    cache = tmp_path_factory.mktemp("torch")
    (cache / "hub" / "checkpoints").mkdir(parents=True)
    cut = model_urls["mbt2018-mean"]["mse"][4].rsplit("/", 1)[1]
    (cache / "hub" / "checkpoints" / cut).write_bytes(b"PK\x03\x04 and no more")
    monkeypatch.setenv("TORCH_HOME", str(cache))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_line(
    case: str, refused: Callable[[int, list[str]], str], places: dict[str, object], tmp_path: Path
) -> None:
    """The line names the thing, what was found, what was expected and what to do."""
    code, spelled, says = CASES[case]
    arguments = [word.format(out=tmp_path / "result", **places) for word in spelled.split()]
    line = refused(code, arguments)
    assert [part for part in says if part not in line] == [], line
