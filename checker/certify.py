"""The certificates of a package or of any ONNX file, computed anew, for one target.

JSON (`nvc-check/certificate/1`):
    schema, source, target
    exact       whether the source is exact for the target; of a package: each graph in at least one flavour
    verdict     "exact", "exact in arithmetic" (some form of it was never measured there) or "not exact"
    measured    file -> leg, runtime, values, different: what `--measure LEG` found here
    stored      of a package: "agrees" or "differs", the certificate.json inside against the one computed; else null
    assumptions name -> text, of those that a graph needs (design: A1 to A5)
    graphs      file -> graph, exact (under its assumptions), assumptions, conditions (on inputs and sizes),
                targets (name -> proved there, no known fault), verdicts (name -> verdict), unmeasured (name -> forms
                that were never measured there), nodes [{name, op_type, exact, bound (steps of the grid), operand_bits,
                rounding, assumptions, reason, cure, kernel, hazards [{targets, reason, cure}]}]

Exit codes: 3 where the stored certificate differs, else 4 where something is not exact, else 0. With --arithmetic,
"exact in arithmetic" is 0 too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from nvc_check.checker.measure import Measured, measure, target_of
from nvc_check.exporter.certificate.targets import ASSUMPTIONS, TARGETS
from nvc_check.exporter.certificate.verdicts import EXACT, NOT_EXACT, PROVED, Certificate
from nvc_check.exporter.certificate.walk import certify as certify_model
from nvc_check.models.artifacts.package import Package
from nvc_check.models.digest import canonical_json
from nvc_check.models.errors import BadArtifactError, ExportRefusedError, UsageError
from nvc_check.models.text import document_text

SCHEMA = "nvc-check/certificate/1"
STORED = "certificate.json"
EXTERNAL = onnx.TensorProto.EXTERNAL


@dataclass(frozen=True)
class Certified:
    """What was computed.

    Attributes:
        certificates: file name -> its certificate; of a package relative to it, in the order of their names.
        differences: where the stored certificate says something else, one line each; None where none is stored.
        arithmetic: the proof is enough, whatever was measured.
        measured: file name -> what a leg made of it here.
    """

    source: str
    target: str
    certificates: dict[str, Certificate]
    differences: tuple[str, ...] | None = None
    arithmetic: bool = False
    measured: dict[str, Measured] = field(default_factory=dict)

    @property
    def flavours(self) -> dict[str, list[str]]:
        """Graph -> its files: the flavours of a package are alternatives, of which a leg runs one."""
        groups: dict[str, list[str]] = {}
        for file in self.certificates:
            groups.setdefault(file if self.differences is None else file.split(".")[0], []).append(file)
        return groups

    def serving(self, graph: str, target: str) -> list[str]:
        return [file for file in self.flavours[graph] if self.certificates[file].targets[target]]

    def verdict(self, target: str) -> str:
        """Every graph under its assumptions, and each in a flavour whose assumptions `target` keeps."""
        sound = self.differences is None or all(certificate.exact for certificate in self.certificates.values())
        best = [
            {self._of(file, target) for file in self.serving(graph, target)} - {NOT_EXACT} for graph in self.flavours
        ]
        if not sound or not best or not all(best):
            return NOT_EXACT
        return EXACT if all(EXACT in verdicts for verdicts in best) else PROVED

    def _of(self, file: str, target: str) -> str:
        """The verdict on a file; one that came out right on a leg of the target, here, is exact here."""
        found, here = self.certificates[file].verdicts[target], self.measured.get(file)
        if found == NOT_EXACT or here is None or target_of(here.leg) != target:
            return found
        return NOT_EXACT if here.different else EXACT

    @property
    def assumptions(self) -> list[str]:
        """What the graphs ask of a runtime, of ASSUMPTIONS."""
        return sorted({name for certificate in self.certificates.values() for name in certificate.assumptions})

    @property
    def exit_code(self) -> int:
        if self.differences:
            return BadArtifactError.exit_code
        enough = (EXACT, PROVED) if self.arithmetic else (EXACT,)
        return 0 if self.verdict(self.target) in enough else ExportRefusedError.exit_code

    def to_json(self) -> str:
        document = {
            "schema": SCHEMA,
            "source": document_text(self.source),
            "target": self.target,
            "exact": self.verdict(self.target) == EXACT,
            "verdict": self.verdict(self.target),
            "measured": {document_text(file): asdict(found) for file, found in self.measured.items()},
            "stored": None if self.differences is None else "differs" if self.differences else "agrees",
            "assumptions": {name: ASSUMPTIONS[name] for name in self.assumptions},
            "graphs": {document_text(file): made.to_json() for file, made in self.certificates.items()},
        }
        return canonical_json(document)


def certify(source: Path, target: str = "any", arithmetic: bool = False) -> Certified:
    """Of a package (folder) or an ONNX file.

    Raises:
        UsageError: no such source, or an unknown target.
        BadArtifactError: a package whose files are not as its manifest says, or a file that is no ONNX model.
    """
    if target not in TARGETS:
        raise UsageError(f"--target {target}: expected one of {', '.join(TARGETS)}")
    if source.is_dir():
        return replace(certify_package(Package.open(source), target), arithmetic=arithmetic)
    if not source.is_file():
        raise UsageError(f"{source}: not found; expected a package of `nvc-check export` or an ONNX file")
    return Certified(str(source), target, {source.name: certify_model(_read(source))}, arithmetic=arithmetic)


def certify_package(package: Package, target: str = "any") -> Certified:
    """Every integer graph again, and what certificate.json says differently: it is not trusted.

    Raises:
        BadArtifactError: a graph or certificate.json cannot be read.
    """
    for file in package.integer_graphs():
        if file not in package.manifest.files:
            raise BadArtifactError(f"{package.root}: {file} is not in the manifest's files; export the package again")
    files = sorted(name for name in package.manifest.files if name.startswith("int/") and name.endswith(".onnx"))
    certificates = {name: certify_model(_read(package.root / name)) for name in files}
    return Certified(str(package.root), target, certificates, _differences(package, certificates))


def measured_on(certified: Certified, root: Path, leg: str) -> Certified:
    """With what `leg`, a leg of the target, makes here of the files that are proved and have forms never measured."""
    target = certified.target
    proved = [name for name, found in certified.certificates.items() if found.verdicts[target] == PROVED]
    return replace(certified, measured={name: measure(root / name, leg) for name in proved})


def verdicts_of(package: Package) -> dict[str, list[str]]:
    """Verdict -> targets with it, of a package just exported."""
    certified = certify_package(package)
    found: dict[str, list[str]] = {}
    for target in TARGETS:
        found.setdefault(certified.verdict(target), []).append(target)
    return found


def verified_package(folder: Path) -> tuple[Package, Certified]:
    """The package at `folder`, whose certificate was computed again: a wrong one may have been stored.

    Raises:
        BadArtifactError: not a whole package, or its certificate.json is not what its graphs give.
        ExportRefusedError: its manifest calls it exact, its graphs are not.
    """
    package = Package.open(folder)
    certified = certify_package(package)
    if certified.differences:
        more = len(certified.differences) - 1
        raise BadArtifactError(
            f"{folder}: {STORED} says otherwise than its graphs: {certified.differences[0]}"
            f"{f', and {more} more' if more else ''}; export the package again"
        )
    wrong = [name for name, certificate in certified.certificates.items() if not certificate.exact]
    if package.manifest.exact and wrong:
        raise ExportRefusedError(
            f"{folder}: the manifest says exact, {wrong[0]} is not; see `nvc-check certify`, export it again"
        )
    return package, certified


def _read(file: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(file, load_external_data=False)
    except Exception as error:  # protobuf raises a class of its own
        raise BadArtifactError(f"{file}: not a whole ONNX model ({error}); export it again") from error
    outside = next((item.name for item in model.graph.initializer if item.data_location == EXTERNAL), None)
    if outside is not None:
        raise BadArtifactError(
            f"{file}: the weights of {outside} lie in another file, expected all in one; onnx.save writes that"
        )
    if not model.graph.node and not model.graph.output:
        raise BadArtifactError(f"{file}: an ONNX model without a graph; export it again")
    return model


def _differences(package: Package, certificates: dict[str, Certificate]) -> tuple[str, ...]:
    file = package.root / STORED
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        found = {name: dict(entry) for name, entry in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadArtifactError(f"{file}: not a certificate ({error}); export the package again") from error
    lines = [f"{name}: certified in {STORED}, not in the package" for name in sorted(set(found) - set(certificates))]
    for name, certificate in certificates.items():
        if name not in found:
            lines.append(f"{name}: not in {STORED}")
        else:
            lines.extend(f"{name}: {line}" for line in _changed(found[name], json.loads(_canonical(certificate))))
    return tuple(lines)


def _canonical(certificate: Certificate) -> str:
    return canonical_json(certificate.stored())


def _changed(stored: dict[str, Any], computed: dict[str, Any]) -> list[str]:
    """One line per entry that differs, for the nodes one per node."""
    lines = [
        f"{key} is {stored.get(key)!r}, computed {computed.get(key)!r}"
        for key in sorted(stored.keys() | computed.keys())
        if key != "nodes" and stored.get(key) != computed.get(key)
    ]
    before, after = stored.get("nodes"), computed["nodes"]
    if not isinstance(before, list) or len(before) != len(after):
        return [*lines, f"the stored certificate has other nodes than the graph, which has {len(after)}"]
    for old, new in zip(before, after, strict=True):
        if old != new:
            keys = [key for key in new if not isinstance(old, dict) or old.get(key) != new[key]] or ["entries"]
            found = old.get(keys[0]) if isinstance(old, dict) else old
            lines.append(f"node {new['name']}: {keys[0]} is {found!r}, computed {new.get(keys[0])!r}")
    return lines
