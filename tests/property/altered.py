"""Files with one thing changed, each with the command that it is given to: what mutations.py judges."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from nvc_check.models.digest import document_digest, file_digest

Rng = np.random.Generator
VALUES: Final[list[Any]] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        0.5,
        -0.0,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        2**31,
        2**63,
        2**70,
        -(2**63),
    ),
    *("", "x", "x" * 100_000, "[/red]\x1b[31m\n\r\0", "../../etc/passwd", "\ud800", "999999999999999999999", "nan"),
    *([], [[]], {}, {"": {}}, [0] * 10_000, [None], {"a": 1}, [1, 2, 3], ["x"]),
]


@dataclass(frozen=True)
class Originals:
    """Whole files, for copies that are altered.

    Attributes:
        media: pictures and clips.
        pictures: a folder to calibrate on.
        export_seconds: what exporting the whole checkpoint takes here.
    """

    package: Path
    symbols: Path
    trace: Path
    other_trace: Path
    checkpoint: Path
    media: tuple[Path, ...]
    pictures: Path
    export_seconds: float


def mutated_json(document: Any, rng: Rng) -> Any:
    """One value replaced, removed, doubled, renamed or put one deeper, anywhere."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in entries:
            places.append((value, key))
            walk(item)

    walk(document)
    holder, key = places[int(rng.integers(len(places)))]
    way = int(rng.integers(8))
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, list):
        holder.extend(holder[:1] * int(rng.choice([1, 1000])))
    elif way == 1:
        holder[f"{key} more"] = holder[key]
    elif way == 2 and isinstance(holder, dict):
        holder[str(rng.choice(["", "[/red]\x1b", "x" * 1000, "../x"]))] = holder.pop(key)
    elif way == 3:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"in": holder[key]}
    elif way == 4 and isinstance(holder[key], (int, float)):
        holder[key] = holder[key] * rng.choice([-1, 2, 1000, 10**9]).item()
    elif way == 5 and isinstance(holder[key], str):
        holder[key] = holder[key][::-1] if rng.random() < 0.5 else holder[key] + "0"
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return document


def mutated_bytes(data: bytes, rng: Rng) -> bytes:
    """Cut, or some bytes changed, taken out or put in."""
    at = int(rng.integers(len(data) + 1))
    way = int(rng.integers(5))
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + data[at + int(rng.choice([1, 8, 1000])) :]
    if way == 2:
        return data[:at] + rng.bytes(int(rng.choice([1, 8, 1000]))) + data[at:]
    if way == 3:
        return data[:at] + b"\xff" * 8 + data[at + 8 :]
    return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]


def _text(document: Any) -> str:
    return json.dumps(document)  # NaN and lone surrogates too


def _digested(document: Any) -> Any:
    """With a digest that fits, where one can be made."""
    with contextlib.suppress(Exception):
        document["digest"] = document_digest(document)
    return document


def altered_package(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    root = Path(shutil.copytree(originals.package, folder / "package"))
    files = sorted(file for file in root.rglob("*") if file.is_file())
    file = files[int(rng.integers(len(files)))] if rng.random() < 0.5 else root / "manifest.json"
    if file.suffix == ".json" and rng.random() < 0.8:
        file.write_text(_text(mutated_json(json.loads(file.read_text()), rng)), "utf-8", "surrogatepass")
    elif file.suffix == ".onnx" and rng.random() < 0.5:
        file.write_bytes(mutated_model(onnx.load(file), rng))
    else:
        file.write_bytes(mutated_bytes(file.read_bytes(), rng))
    if rng.random() < 0.7:
        with contextlib.suppress(Exception):
            manifest = json.loads((root / "manifest.json").read_text())
            if file.name != "manifest.json":
                manifest["files"][file.relative_to(root).as_posix()] = file_digest(file)
            (root / "manifest.json").write_text(_text(_digested(manifest)))
    return ["certify", str(root)]


def altered_trace(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    out = folder / "altered.trace"
    with zipfile.ZipFile(originals.trace) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.6:
        document = mutated_json(json.loads(entries["trace.json"]), rng)
        entries["trace.json"] = _text(_digested(document)).encode("utf-8", "surrogatepass")
    else:
        name = sorted(entries)[int(rng.integers(len(entries)))]
        entries[name] = mutated_bytes(entries[name], rng)
    _zipped(out, entries, rng)
    return ["compare", str(originals.other_trace), str(out)]


def altered_symbols(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    out = folder / "altered.npz"
    with zipfile.ZipFile(originals.symbols) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = "symbols.json" if rng.random() < 0.5 else sorted(entries)[int(rng.integers(len(entries)))]
    if name.endswith(".json"):
        entries[name] = _text(mutated_json(json.loads(entries[name]), rng)).encode("utf-8", "surrogatepass")
    elif rng.random() < 0.5:
        buffer = io.BytesIO()
        shape = tuple(int(side) for side in rng.choice([0, 1, 2, 3, 8, 16], int(rng.integers(6))))
        np.save(buffer, np.zeros(shape, rng.choice(["i4", "f4", "f8", "i8", "u1", "U3", "c8", "?"])))
        entries[name] = buffer.getvalue()
    else:
        entries[name] = mutated_bytes(entries[name], rng)
    _zipped(out, entries, rng)
    words = ["record", str(originals.package), "--symbols", str(out), "--provider", "exact"]
    return [*words, "--out", str(folder / "made.trace")]


def altered_model(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    files = sorted(originals.package.glob("*/*.onnx"))
    model = onnx.load(files[int(rng.integers(len(files)))])
    out = folder / "altered.onnx"
    out.write_bytes(mutated_model(model, rng) if rng.random() < 0.8 else mutated_bytes(model.SerializeToString(), rng))
    return ["certify", str(out)]


def _zipped(out: Path, entries: dict[str, bytes], rng: Rng) -> None:
    way = rng.random()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in entries.items():
            if way < 0.05 and rng.random() < 0.2:
                continue
            archive.writestr(name, data + bytes(1 << 26) if 0.05 < way < 0.1 and rng.random() < 0.2 else data)
    if way > 0.9:
        out.write_bytes(mutated_bytes(out.read_bytes(), rng))


def mutated_model(model: onnx.ModelProto, rng: Rng) -> bytes:
    """One field of one part of the graph given another value, however senseless."""
    graph = model.graph
    node = graph.node[int(rng.integers(len(graph.node)))]
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    info = [*graph.input, *graph.output][int(rng.integers(len(graph.input) + len(graph.output)))]
    huge = int(rng.choice([0, -1, 1, 3000, 2**31, 2**40, 2**62]))
    names = [name for other in graph.node for name in (*other.input, *other.output)]

    def attribute() -> None:
        if node.attribute:
            found = node.attribute[int(rng.integers(len(node.attribute)))]
            found.i, found.f, found.s = huge, float(huge), b"[/red]\x1b"
            found.ints[:] = [huge] * max(1, len(found.ints))
            found.type = int(rng.integers(0, 15))

    def stored() -> None:
        if len(tensor.dims):
            tensor.dims[int(rng.integers(len(tensor.dims)))] = huge
        else:
            tensor.raw_data = mutated_bytes(tensor.raw_data, rng)

    def shape() -> None:
        for dim in info.type.tensor_type.shape.dim:
            dim.dim_value = huge

    def operator() -> None:
        known = [
            "Conv",
            "Expand",
            "Tile",
            "ConstantOfShape",
            "Range",
            "Resize",
            "Loop",
            "MatMul",
            "OneHot",
            "Pad",
            "Max",
        ]
        node.op_type = str(rng.choice(known))

    def repeated() -> None:
        node.input.extend(list(node.input) * int(rng.choice([1, 60])))

    def wired() -> None:
        if node.input:
            node.input[int(rng.integers(len(node.input)))] = str(rng.choice(names))

    changes: list[Callable[[], Any]] = [
        *(attribute, attribute, stored, shape, operator, repeated, wired),
        lambda: setattr(node, "op_type", "[/red]\x1b"),
        lambda: setattr(node, "name", "[/red]\x1b\n"),
        lambda: setattr(node, "domain", "[/red]"),
        lambda: node.ClearField("attribute"),
        lambda: node.ClearField("input"),
        lambda: node.ClearField("output"),
        lambda: setattr(tensor, "data_type", int(rng.choice([0, 1, 2, 8, 11, 16, 17, 22, 99]))),
        lambda: setattr(info.type.tensor_type, "elem_type", int(rng.choice([0, 1, 2, 7, 8, 11, 16, 99]))),
        lambda: info.ClearField("type"),
        lambda: setattr(model.opset_import[0], "version", int(rng.choice([-1, 0, 1, 7, 13, 99, 2**40]))),
        lambda: model.ClearField("opset_import"),
        lambda: graph.node.append(node),
        lambda: graph.node.insert(0, graph.node[-1]),
    ]
    for _ in range(int(rng.integers(1, 3))):
        with contextlib.suppress(ValueError, TypeError, IndexError):  # what a protobuf cannot hold, or has no more
            changes[int(rng.integers(len(changes)))]()
    return model.SerializeToString()
