"""The package: every byte of it is under the digest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nvc_check.models.artifacts.package import Manifest, Package, Part, write_manifest
from nvc_check.models.digest import file_digest
from nvc_check.models.errors import BadArtifactError

PART = Part(
    y_channels=96, z_channels=64, z_min=-127, z_max=127, scales_exponent=-9, means_exponent=-8, y_min=-1023, y_max=1023
)
FILES = ("certificate.json", "int/entropy.qdq.onnx")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A manifest over two small files; Package.open reads them only to check them."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    described = Manifest(
        name="codec@1",
        architecture="codec",
        kind="image",
        precision="w8a8",
        scope="hyperprior",
        exact=True,
        multiple=64,
        parts={"image": PART},
        files={},
        digest="",
    )
    write_manifest(tmp_path, described)
    return Package.open(tmp_path)


def edit(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((root / "manifest.json").read_text())
    change(document)
    (root / "manifest.json").write_text(json.dumps(document))


def test_the_manifest_lists_every_file(package: Package) -> None:
    """Their SHA-256, whatever the manifest that was handed in said."""
    assert package.manifest.files == {name: file_digest(package.root / name) for name in FILES}
    assert package.manifest.parts == {"image": PART}


def test_the_digest_is_of_the_content_alone(package: Package) -> None:
    """Layout of the JSON text does not matter, and writing again gives the same digest."""
    edit(package.root, lambda document: None)
    assert Package.open(package.root).manifest == package.manifest
    assert write_manifest(package.root, package.manifest) == package.manifest


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Part)])
def test_every_field_of_a_part_is_under_the_digest(package: Package, field: str) -> None:
    """An exponent off by one would shift every mean: it is refused, and only a new digest makes it another package."""
    part = dataclasses.replace(PART, y_exponent=-8)
    parts = dict.fromkeys(("keyframe", "motion", "residual"), part)
    described = dataclasses.replace(package.manifest, kind="video", scope="codec", parts=parts)
    manifest = write_manifest(package.root, described)
    value = True if field == "sees_flow" else getattr(part, field) + 1
    altered = dataclasses.replace(part, **{field: value})
    edit(package.root, lambda document: document["parts"]["motion"].update({field: value}))
    with pytest.raises(BadArtifactError, match=r"does not fit its content .*: the manifest was altered or damaged"):
        Package.open(package.root)
    other = write_manifest(package.root, dataclasses.replace(manifest, parts={**parts, "motion": altered}))
    assert Package.open(package.root).manifest.parts["motion"] == altered
    assert other.digest != manifest.digest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "codec@2"),
        ("architecture", "other"),
        ("kind", "video"),
        ("precision", "w8a16"),
        ("scope", "decoder"),
        ("exact", False),
        ("multiple", 16),
        ("files", {}),
        ("digest", "0" * 64),
        ("unknown", 1),
    ],
)
def test_every_field_is_under_the_digest(package: Package, field: str, value: object) -> None:
    """Also one that this version does not know, and the digest itself."""
    edit(package.root, lambda document: document.update({field: value}))
    with pytest.raises(BadArtifactError, match="does not fit its content"):
        Package.open(package.root)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_under_the_digest(package: Package, name: str) -> None:
    """One byte more, or no file at all."""
    (package.root / name).write_text(f"content of {name}.")
    with pytest.raises(BadArtifactError, match=f"{name} has SHA-256 .*, the manifest says"):
        Package.open(package.root)
    (package.root / name).unlink()
    with pytest.raises(BadArtifactError, match=f"{name} is missing"):
        Package.open(package.root)


def test_the_graph_of_a_path(package: Package) -> None:
    """At scope hyperprior both paths make frames with the FP32 graph, at scope decoder each has its own."""
    root = package.root
    assert package.graph("int", "entropy", "carrier") == root / "int" / "entropy.carrier.onnx"
    assert package.graph("fp32", "entropy") == root / "fp32" / "entropy.onnx"
    assert package.graph("int", "frame") == package.graph("fp32", "frame") == root / "fp32" / "frame.onnx"
    decoder = Package(root, dataclasses.replace(package.manifest, scope="decoder"))
    assert decoder.graph("int", "frame", "carrier") == root / "int" / "frame.carrier.onnx"
    assert decoder.graph("fp32", "frame") == root / "fp32" / "frame.onnx"
