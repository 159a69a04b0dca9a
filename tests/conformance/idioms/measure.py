"""Which forms come out right where: PYTHONPATH=tests python tests/conformance/idioms/measure.py PACKAGE...

Every source is exported, and each of its graphs run on ONNX Runtime without and with optimization and on OpenVINO; a
small share of the graphs that has every form runs on the legs with environments of their own as well. A form is listed
for a leg where every graph that has it gave the oracle's bits, and at least one did. Writes measured.json.

With --add, only graphs with a form that the list does not have are run, and the list is extended, or shortened by the
forms of a graph that came out wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from conformance.idioms.sources import feeds, graphs, names
from conformance.legs import LegUnderTest, RefusedError
from property.against_float import _core
from property.fuzz import Results, on_onnxruntime, on_openvino, on_oracle
from property.in_processes import in_processes

from nvc_check.exporter.certificate.idioms.known import FILE, record
from nvc_check.exporter.certificate.walk import certify, forms_of

# letter in measured.json -> target's name there; avx2 is an emulated processor without VNNI
LETTERS: Final = {"c": "ort-cpu", "a": "avx2", "w": "webgpu", "o": "openvino"}
HERE: Final = frozenset("co")  # the legs of this process
Forms = dict[str, str]
APART: Final = {"avx2": "cpu@haswell", "webgpu": "webgpu"}
# nothing older was measured; before its change 27671 (March 2026) ONNX Runtime chose wrong uint8 kernels on VNNI
SMALL_FILE: Final = 3000  # bytes: starting a graph costs an emulated processor as much as running such a one
LOWEST: Final = {"ort-cpu": "1.31", "avx2": "1.31", "webgpu": "1.27", "openvino": "2026.4"}


@dataclass(frozen=True)
class Witness:
    """One graph that was run.

    Attributes:
        wrong: leg -> what was wrong there.
        proved: the targets for which its certificate holds without a list.
        file: the model, kept for other legs.
        size: of that file, bytes.
    """

    name: str
    forms: tuple[str, ...]
    wrong: dict[str, str]
    proved: frozenset[str]
    file: str
    size: int


def witnesses(source: str, folder: str, known: Forms | None = None) -> list[Witness]:
    """Exports a source and runs it in this process, but for graphs that have only forms `known` on the legs here."""
    found = []
    for name, model in graphs(source):
        if known is not None and all(set(known.get(form, "")) >= HERE for form in forms_of(model)):
            continue
        certificate = certify(model)
        try:
            expected = expectations(model)
        except ValueError as error:
            print(f"{name}: not run: {error}", flush=True)
            continue
        if not certificate.exact or not expected:
            print(f"{name}: not exact, or nothing to compare", flush=True)
            continue
        file = Path(folder) / f"{name.replace('/', '_').replace(' ', '_')}.onnx"
        onnx.save(model, file)
        proved = frozenset(target for target, holds in certificate.targets.items() if holds)
        found.append(Witness(name, forms_of(model), _wrong(model, expected), proved, str(file), file.stat().st_size))
    return found


def expectations(model: onnx.ModelProto) -> list[tuple[dict[str, Any], Results]]:
    """(inputs, the oracle's outputs).

    Raises:
        ValueError: the graph takes no inputs of these sizes.
    """
    found = [(inputs, on_oracle(model, inputs)) for inputs in feeds(model)]
    return [(inputs, expected) for inputs, expected in found if expected is not None]


def _wrong(model: onnx.ModelProto, expected_of: list[tuple[dict[str, Any], Results]]) -> dict[str, str]:
    data = model.SerializeToString()
    wrong: dict[str, str] = {}
    for number, (inputs, expected) in enumerate(expected_of):
        runs: dict[str, Callable[..., Results]] = {
            "ort-cpu": lambda level="ORT_DISABLE_ALL", given=inputs: on_onnxruntime(data, given, level),
            "ort-cpu all": lambda given=inputs: on_onnxruntime(data, given, "ORT_ENABLE_ALL"),
            "openvino": lambda given=inputs: on_openvino(_core(), data, given),
        }
        for leg, run in runs.items():
            try:
                said = _differs(expected, run())
            except Exception as error:  # each engine has classes of its own
                said = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            if said:
                wrong.setdefault(leg.split()[0], f"feed {number}: {said}")
    return wrong


def _differs(expected: Results, found: Results) -> str:
    for a, b in zip(expected, found, strict=True):
        if a.shape != b.shape:
            return f"shape {b.shape}, not {a.shape}"
        if not np.array_equal(a, b):
            return f"{np.count_nonzero(a != b)} of {a.size} values differ"
    return ""


def cover(found: Iterable[Witness], usable: Any, known: Collection[str] = ()) -> list[Witness]:
    """Few graphs, small ones where that does not matter, that have every form between them that is not `known`."""
    left = {form for witness in found if usable(witness) for form in witness.forms} - set(known)
    chosen = []
    candidates = sorted((w for w in found if usable(w)), key=lambda w: w.size)
    while left:
        best = max(candidates, key=lambda w: len(left & set(w.forms)) / (SMALL_FILE + w.size))
        chosen.append(best)
        left -= set(best.forms)
    return chosen


def on_leg(leg: str, chosen: list[Witness]) -> dict[str, str]:
    """Witness -> what was wrong; those that are right are left out."""
    under_test, wrong = LegUnderTest(leg, allow_fallback=True), {}
    try:
        for number, witness in enumerate(chosen):
            model = onnx.load(witness.file)
            outputs = [output.name for output in model.graph.output]
            for inputs, expected in expectations(model):
                try:
                    results = under_test.outputs(model, inputs)
                    said = _differs(expected, [results[name] for name in outputs])
                except RefusedError as error:
                    said = str(error)
                if said:
                    wrong[witness.name] = said
                    break
            if number % 20 == 19:
                print(f"{leg}: {number + 1} of {len(chosen)}, {len(wrong)} wrong", flush=True)
    finally:
        under_test.close()
    return wrong


def listed(
    found: list[Witness], wrong: dict[str, dict[str, str]], ran: dict[str, set[str]], known: Forms | None = None
) -> Forms:
    """Form -> the letters of the legs on which all its graphs that ran came out right; those `known` stay."""
    forms: dict[str, set[str]] = defaultdict(set, {form: set(letters) for form, letters in (known or {}).items()})
    for letter, leg in LETTERS.items():
        right = {f for w in found if w.name in ran[leg] and w.name not in wrong[leg] for f in w.forms}
        bad = {f for w in found if w.name in wrong[leg] for f in w.forms}
        for form in right - bad:
            forms[form].add(letter)
        for form in bad & set(forms):
            forms[form].discard(letter)
    return {form: "".join(sorted(letters)) for form, letters in sorted(forms.items()) if letters}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("packages", nargs="*", help="exported packages, their graphs are sources too")
    arguments.add_argument("--decoders", type=int, default=400)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--every", type=int, default=1, help="only every n-th source")
    arguments.add_argument("--only-packages", action="store_true")
    arguments.add_argument("--add", action="store_true", help="extend the list by what it does not have")
    arguments.add_argument("--legs", nargs="*", default=list(APART), choices=list(APART))
    arguments.add_argument("--out", type=Path, default=FILE)
    options = arguments.parse_args()
    start = time.monotonic()
    known: Forms | None = record()["forms"] if options.add else None
    with tempfile.TemporaryDirectory() as folder:
        sources = names(options.decoders, options.packages)[:: options.every]
        sources = [name for name in sources if name.startswith("package ") or not options.only_packages]
        found: list[Witness] = []
        for place, (source, made) in enumerate(
            in_processes(partial(witnesses, folder=folder, known=known), sources, options.processes)
        ):
            if made is None:
                print(f"{source}: its process ended", flush=True)
            found += made or []
            if place % 50 == 49:
                seen = len({f for w in found for f in w.forms})
                print(f"{place + 1} of {len(sources)}, {time.monotonic() - start:.0f} s, {seen} forms", flush=True)
        wrong = {leg: {w.name: w.wrong[leg] for w in found if leg in w.wrong} for leg in ("ort-cpu", "openvino")}
        ran = {leg: {w.name for w in found} for leg in ("ort-cpu", "openvino")}
        for leg, spelled in APART.items():
            letter = next(each for each, name in LETTERS.items() if name == leg)
            there = {form for form, letters in (known or {}).items() if letter in letters}
            usable = [w for w in found if (leg in w.proved or leg == "webgpu") and leg in options.legs]
            chosen = cover(usable, lambda w: True, there)
            found_wrong = on_leg(f"{spelled}", chosen) if chosen else {}
            # what the certificate refuses on the leg, for a reason that it knows, says nothing of its forms
            refused = {w.name for w in chosen if leg not in w.proved and w.name in found_wrong}
            wrong[leg] = {name: text for name, text in found_wrong.items() if name not in refused}
            ran[leg] = {w.name for w in chosen} - refused
    for leg, names_wrong in wrong.items():
        for name, said in list(names_wrong.items())[:20]:
            print(f"{leg}: {name}: {said}")
    forms = listed(found, wrong, ran, known)
    write(options.out, forms)
    served = Counter(target for group in _exports(found).values() for target in group)
    print(f"of {len(_exports(found))} exports proved in some flavour: {dict(served)}")
    counts = Counter(letter for letters in forms.values() for letter in letters)
    print(f"{len(found)} graphs, {len(forms)} forms, {time.monotonic() - start:.0f} s: {dict(counts)}")
    return 1 if any(wrong.values()) else 0


def _exports(found: list[Witness]) -> dict[str, frozenset[str]]:
    """Source -> the targets for which one of its flavours is proved; of packages, each graph."""
    served: dict[str, frozenset[str]] = defaultdict(frozenset)
    for witness in found:
        source = witness.name.rpartition(" ")[0] or witness.name.rpartition(".")[0].rpartition(".")[0]
        served[source] |= witness.proved
        if witness.proved != served[source] and len(served[source]) < 6:
            print(f"{witness.name}: {sorted(witness.proved)}")
    return served


def write(file: Path, forms: dict[str, str]) -> None:
    measured = {
        "ort-cpu": f"ONNX Runtime {version('onnxruntime')}",
        "avx2": f"ONNX Runtime {version('onnxruntime')}, emulated Haswell",
        "webgpu": "ONNX Runtime WebGPU 1.27.0, SwiftShader",
        "openvino": f"OpenVINO {version('openvino')}",
    }
    versions = {leg: {"measured": measured[leg], "lowest": LOWEST[leg]} for leg in LETTERS.values()}
    document = {"versions": versions, "legs": LETTERS, "forms": forms}
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
