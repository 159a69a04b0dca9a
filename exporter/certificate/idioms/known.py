"""The closed list of forms that were measured right, per target, and the versions on which they were.

`measured.json` is written by `make idioms` (tests/conformance/idioms): for each form a graph that has it, run on every
leg with values at the ends of their ranges and compared with the oracle. A form is listed for a leg only where every
graph of its kind came out right there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

# target -> the legs on which a form must have been measured; none: nobody has measured there
LEGS: Final[dict[str, tuple[str, ...]]] = {
    "any": ("ort-cpu", "avx2", "webgpu", "openvino"),
    "ort-cpu": ("ort-cpu",),
    "avx2": ("avx2",),
    "cuda": (),
    "webgpu": ("webgpu",),
    "openvino": ("openvino",),
}
NOBODY: Final = "all of them: nobody has measured on this target yet"
FILE: Final = Path(__file__).with_name("measured.json")


@cache
def record() -> dict[str, Any]:
    """versions: leg -> engine, version and lowest version; forms: form -> letters of the legs, as in `legs`."""
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


@cache
def _legs() -> dict[str, frozenset[str]]:
    letters: dict[str, str] = record()["legs"]
    return {form: frozenset(letters[letter] for letter in found) for form, found in record()["forms"].items()}


def unmeasured(forms: Iterable[str], target: str) -> tuple[str, ...]:
    """Those of `forms` that were never measured on `target`, each once, in their order."""
    wanted = frozenset(LEGS[target])
    if not wanted:
        return (NOBODY,)
    known = _legs()
    return tuple(form for form in dict.fromkeys(forms) if not wanted <= known.get(form, frozenset()))
