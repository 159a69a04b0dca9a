"""Checkpoints that cannot be exported: one line that names what was found, and nothing in the file is run."""

from __future__ import annotations

import argparse
import inspect
import io
import os
import pickle
import resource
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compressai.registry import MODELS
from models.checkpoints import codec, prefixed

from nvc_check.models.codecs.architectures import ARCHITECTURES
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.codecs.state_file import read_state
from nvc_check.models.errors import ExportRefusedError, NvcCheckError, UsageError

IMAGE = "mbt2018-mean"
KEY = "h_s.2.weight"  # (12, 18, 5, 5)
State = dict[str, torch.Tensor]

# case: exit code, what becomes of the state dict, what the line must say
STATES: dict[str, tuple[int, Callable[[State], Any], list[str]]] = {
    "missing": (
        4,
        lambda s: {key: value for key, value in s.items() if not key.startswith("h_s.4")},
        ["does not load as mbt2018-mean of N = 8, M = 12", "2 of 55 weights missing: h_s.4.weight, h_s.4.bias", "save"],
    ),
    "missing, deep": (
        4,
        lambda s: {"run": {"net": {key: value for key, value in s.items() if key != "g_a.1.beta"}}},
        ["(in run/net)", "1 of 55 weights missing: g_a.1.beta;"],
    ),
    "many missing": (
        4,
        lambda s: {key: value for key, value in s.items() if not key.startswith("g_a")},
        ["14 of 55 weights missing: g_a.0.weight, g_a.0.bias, g_a.1.beta, g_a.1.gamma, …"],
    ),
    "unknown": (
        4,
        lambda s: {**s, "refine.0.weight": torch.ones(3, 3), "refine.0.bias": torch.ones(3)},
        ["does not load as mbt2018-mean", "2 unknown: refine.0.weight, refine.0.bias", "delete them if"],
    ),
    "unknown in a part": (4, lambda s: {**s, "g_s.7.weight": torch.ones(3, 3)}, ["1 unknown: g_s.7.weight"]),
    "unknown in a dict per part": (
        4,
        lambda s: (
            {"g_s": {key[4:]: v for key, v in s.items() if key[:3] == "g_s"} | {"7.weight": torch.ones(3)}}
            | {key: value for key, value in s.items() if key[:3] != "g_s"}
        ),
        ["1 unknown: g_s.7.weight"],
    ),
    "control characters": (4, lambda s: {**s, "g_a.\x1b[31m\n": torch.ones(3)}, ["1 unknown: g_a.?[31m?;"]),
    "shape": (
        4,
        lambda s: {**s, KEY: torch.ones(12, 19, 5, 5)},
        ["1 of another shape: h_s.2.weight is (12, 19, 5, 5), expected (12, 18, 5, 5)", "mixed"],
    ),
    "integers": (4, lambda s: {**s, KEY: s[KEY].to(torch.int8)}, [f"weight {KEY} is int8, expected floats"]),
    "complex": (4, lambda s: {**s, KEY: s[KEY].to(torch.complex64)}, [f"weight {KEY} is complex64, expected floats"]),
    "sparse": (4, lambda s: {**s, KEY: s[KEY].to_sparse()}, [f"weight {KEY} is sparse_coo, expected a dense"]),
    "without values": (4, lambda s: {**s, KEY: s[KEY].to("meta")}, [f"weight {KEY} is without values"]),
    "table of another shape": (
        4,
        lambda s: {**s, "g_a.1.beta_reparam.pedestal": torch.ones(2, 2)},
        ["does not load as mbt2018-mean", "pedestal"],
    ),
    "foreign": (4, lambda s: {"weight": torch.ones(3)}, ["no codec that this version exports (it has weight, …)"]),
    "numbers": (2, lambda s: {"loss": 3.0}, ["holds no state dict of tensors"]),
    "a tensor": (2, lambda s: torch.ones(3), ["holds no state dict of tensors"]),
    "nested without end": (2, lambda s: nested(s, 40), ["holds no state dict of tensors"]),
    "doubled forty times": (2, lambda s: {"w": s, "x": doubled(40)}, ["more than 100,000 tensors or 1,000,000 obj"]),
}


def nested(inner: Any, times: int) -> Any:
    for _ in range(times):
        inner = {"a": inner}
    return inner


def doubled(times: int) -> list[Any]:
    """2^times paths in a file of some hundred bytes."""
    inner: list[Any] = []
    for _ in range(times):
        inner = [inner, inner]
    return inner


def refusal(file: Path, code: int) -> str:
    with pytest.raises(NvcCheckError) as refused:
        load_codec(str(file))
    assert refused.value.exit_code == code
    line = str(refused.value)
    assert "\n" not in line and line.isprintable()
    return line


@pytest.mark.parametrize("case", STATES)
def test_state_dicts_that_are_none_of_ours(case: str, tmp_path: Path) -> None:
    code, changed, says = STATES[case]
    file = tmp_path / "weights.pth"
    torch.save(changed(codec(IMAGE).state_dict()), file)
    line = refusal(file, code)
    assert line.startswith(f"{file}: ")
    assert [part for part in says if part not in line] == [], line


NAMES: dict[str, str] = {
    "mbt2018": "context model",
    "cheng2020-anchor": "context model",
    "cheng2020-attn": "context model, attention",
    "cheng2020-anchor-checkerboard": "context model",
    "elic2022-official": "context model, channel groups, attention",
    "bmshj2018-factorized": "a prior without hyperprior",
    "bmshj2018-factorized-relu": "a prior without hyperprior",
    "bmshj2018-hyperprior-vbr": "variable rate",
    "mbt2018-mean-vbr": "variable rate",
}


@pytest.mark.parametrize("name", NAMES)
def test_other_codecs_are_named_with_what_they_need(name: str, tmp_path: Path) -> None:
    taken = inspect.signature(MODELS[name]).parameters
    widths = {} if "groups" in taken else {width: size for width, size in (("N", 16), ("M", 24)) if width in taken}
    torch.save({"state_dict": prefixed("module.", MODELS[name](**widths).state_dict())}, tmp_path / "other.pth.tar")
    line = refusal(tmp_path / "other.pth.tar", 4)
    assert f"{name}: {NAMES[name]}, not in this version; expected " in line
    assert f"the codec {name} needs {NAMES[name]}, not in this version" in refusal(Path(name), 2)


class Calls:
    """Pickled, a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def hostile(file: Path) -> dict[str, tuple[Any, str]]:
    """Name -> (what is saved, the function that would leave `file` if it were called)."""
    leave = f"open({str(file)!r}, 'w')"
    return {
        "shell": (Calls(os.system, f"touch {file}"), "posix.system"),
        "eval": (Calls(eval, leave), "builtins.eval"),
        "exec": (Calls(exec, leave), "builtins.exec"),
        "process": (Calls(subprocess.call, ["touch", str(file)]), "subprocess.call"),
        "pickle in pickle": (Calls(pickle.loads, pickle.dumps(Calls(eval, leave))), "pickle.loads"),
        "open": (Calls(io.open, str(file), "w"), "io.open"),
    }


@pytest.mark.parametrize("name", hostile(Path()))
@pytest.mark.parametrize("beside_weights", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_run(name: str, beside_weights: bool, zipped: bool, tmp_path: Path) -> None:
    left = tmp_path / "left"
    call, function = hostile(left)[name]
    saved = {"state_dict": codec(IMAGE).state_dict(), "args": call} if beside_weights else call
    torch.save(saved, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    line = refusal(tmp_path / "weights.pth", 2)
    assert f"unpickled it would call {function}, expected tensors and plain data" in line
    assert not left.exists()


def test_functions_of_other_libraries_are_not_run_either(tmp_path: Path) -> None:
    """They cannot be told from the classes of a configuration, so the weights beside them are read."""
    left = tmp_path / "left"
    torch.save({"net": codec(IMAGE).state_dict(), "x": Calls(torch.save, 3, str(left))}, tmp_path / "weights.pth")
    assert load_codec(str(tmp_path / "weights.pth")).architecture == IMAGE
    assert not left.exists()


def test_expanded_weights_are_not_unfolded(tmp_path: Path) -> None:
    """A tensor of stride 0 is any number of values in four bytes: 2^45 here. Address space for 4 GiB more is left."""
    shapes = ARCHITECTURES[IMAGE].topology.shapes({"N": 2**20, "M": 2**20})
    wide = {key: torch.zeros(1).as_strided(shape, [0] * len(shape)) for key, shape in shapes.items()}
    table = {**codec(IMAGE).state_dict(), "entropy_bottleneck._quantized_cdf": torch.zeros(1).half().expand(2**33)}
    for name, state, key in (("wide", wide, "h_s.2.weight"), ("table", table, "entropy_bottleneck._quantized_cdf")):
        torch.save({"state_dict": state}, tmp_path / f"{name}.pth")
        load_codec(f"{IMAGE}@seed0")  # what is imported and cached then needs no further address space
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + 2**32, before[1]))
        try:
            line = refusal(tmp_path / f"{name}.pth", 2)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        assert f"{key} has " in line and "expected all of them stored" in line


def address_space() -> int:
    """Bytes of address space that this process has taken (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_an_archive_that_unpacks_to_more_than_itself(tmp_path: Path) -> None:
    stored = io.BytesIO()
    torch.save({**codec(IMAGE).state_dict(), "z": torch.zeros(2**20)}, stored)
    with zipfile.ZipFile(stored) as archive, zipfile.ZipFile(tmp_path / "z.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in archive.infolist():
            packed.writestr(entry.filename, archive.read(entry))
    assert "unpacks to " in refusal(tmp_path / "z.pth", 2)


def damaged(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, what the line must say) of files that are no checkpoints."""
    torch.save(codec(IMAGE).state_dict(), folder / "whole")
    whole = (folder / "whole").read_bytes()
    traced = io.BytesIO()
    deep = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(30)))  # code that unpacks to more than the file
    torch.jit.save(torch.jit.trace(deep, torch.ones(1, 3)), traced)  # type: ignore[no-untyped-call]
    return {
        "empty": (b"", "not readable as safetensors or torch checkpoint"),
        "text": (b"some text\n", "is this the right file?"),
        "cut": (whole[: len(whole) // 2], "a zip archive whose end is missing"),
        "cut safetensors": ((100).to_bytes(8, "little") + b"{" + b" " * 200, "not readable as safetensors"),
        "plain pickle": (pickle.dumps({"a": 1}), "one pickle alone"),
        "TorchScript": (traced.getvalue(), "a TorchScript archive, expected weights"),
        "other zip": (zipped({"a.txt": b"text"}), "a zip archive without data.pkl"),
    }


def zipped(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    for name, (content, says) in damaged(tmp_path).items():
        (tmp_path / name).write_bytes(content)
        assert says in refusal(tmp_path / name, 2), name
    assert "a folder, expected a checkpoint file" in refusal(tmp_path, 2)


def test_the_trainers_take_a_state_dict_alone(tmp_path: Path) -> None:
    torch.save({"net": codec(IMAGE).state_dict()}, tmp_path / "weights.pth")
    with pytest.raises(UsageError, match="its weights lie in net, expected a state dict alone"):
        read_state(tmp_path / "weights.pth")
    torch.save(codec(IMAGE).state_dict(), tmp_path / "weights.pth")
    assert read_state(tmp_path / "weights.pth").keys() == codec(IMAGE).state_dict().keys()


def test_values_that_are_not_finite_are_still_refused(tmp_path: Path) -> None:
    state = codec(IMAGE).state_dict()
    torch.save({"model": {**state, KEY: state[KEY] / 0}, "args": argparse.Namespace()}, tmp_path / "weights.pth")
    with pytest.raises(ExportRefusedError, match="NaN or infinite"):
        load_codec(str(tmp_path / "weights.pth"))
