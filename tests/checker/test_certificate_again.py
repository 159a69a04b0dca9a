"""compare and record compute a package's certificate again: one that was forged, digests included, is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nvc_check.exporter.certificate.walk import certify
from nvc_check.models.artifacts.package import Package, write_manifest
from nvc_check.models.digest import canonical_json

GRAPH = "int/entropy.carrier.onnx"
VERBS = ["compare {package} --symbols {symbols}", "record {package} --symbols {symbols} --provider cpu --out {out}"]


def ordinary_scales(root: Path) -> None:
    """Weights x 1.1: the graph runs, and its sums round."""
    model = onnx.load(root / GRAPH)
    weight = next(item for item in model.graph.initializer if "weight" in item.name)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.1), weight.name))
    onnx.save(model, root / GRAPH)


def smaller_bound(root: Path) -> None:
    document = json.loads((root / "certificate.json").read_text())
    worst: dict[str, Any] = max(document[GRAPH]["nodes"], key=lambda node: node["bound"])
    worst["bound"] = 1.0
    (root / "certificate.json").write_text(canonical_json(document))


def own_certificate(root: Path) -> None:
    ordinary_scales(root)
    document = json.loads((root / "certificate.json").read_text())
    document[GRAPH] = certify(onnx.load(root / GRAPH)).stored()
    (root / "certificate.json").write_text(canonical_json(document))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("forge", "code", "says"),
    [
        (smaller_bound, 3, "certificate.json says otherwise than its graphs: int/entropy.carrier.onnx: node"),
        (ordinary_scales, 3, "certificate.json says otherwise than its graphs: int/entropy.carrier.onnx: "),
        (own_certificate, 4, "the manifest says exact, int/entropy.carrier.onnx is not"),
    ],
)
def test_a_forged_certificate_is_refused(
    forge: Callable[[Path], None],
    code: int,
    says: str,
    verb: str,
    refused: Callable[[int, list[str]], str],
    package: Package,
    symbols: Path,
    tmp_path: Path,
) -> None:
    """The manifest's digests fit the forged files: only the graphs speak against them."""
    root = shutil.copytree(package.root, tmp_path / "package")
    forge(root)
    write_manifest(root, package.manifest)
    line = refused(code, verb.format(package=root, symbols=symbols, out=tmp_path / "x").split())
    assert says in line and "export" in line


def test_what_is_marked_inexact_still_runs(
    command: Callable[..., tuple[int, str, str]], inexact_package: Package, inexact_symbols: Path
) -> None:
    """Its certificate says so itself."""
    code, out, err = command("compare", inexact_package.root, "--symbols", inexact_symbols, "--providers", "cpu")
    differs = "int: different" in out  # rarely: two pictures may show nothing
    assert code == (1 if differs else 0) and err == "" and "marked inexact" in out
    assert differs or "int: identical" in out
