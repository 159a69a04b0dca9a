"""Every leg that there is. Third parties join with an entry point in the group `nvc_check.engines`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from nvc_check.models.errors import ProviderUnavailableError, UsageError
from nvc_check.models.package import Package
from nvc_check.runtimes.leg import Engine, LegSpec


@dataclass(frozen=True)
class Registered:
    """Where an engine is and what it needs; `module` has open_engine(spec, package) -> Engine."""

    module: str
    requires: str
    install: str
    summary: str


ENGINES: Final[dict[str, Registered]] = {
    "torch": Registered(
        "nvc_check.runtimes.eager", "torch", "pip install 'nvc-check[export]'",
        "PyTorch eager; the reference of the FP32 path"
    ),
    "cpu": Registered(
        "nvc_check.runtimes.cpu", "onnxruntime", "pip install 'nvc-check[cpu]'",
        "ONNX Runtime CPU; opt=off|basic|extended|all, threads=N, flavour=qdq|carrier",
    ),
    "cuda": Registered(
        "nvc_check.runtimes.cuda", "onnxruntime", "pip install 'nvc-check[cuda]' in place of onnxruntime",
        "ONNX Runtime CUDA; tf32=on|off, flavour=qdq|carrier",
    ),
    "openvino": Registered(
        "nvc_check.runtimes.openvino_native", "openvino", "pip install 'nvc-check[openvino]'",
        "OpenVINO CPU; precision=f32|bf16|default, threads=N, flavour=qdq|carrier",
    ),
    "exact": Registered(
        "nvc_check.runtimes.oracle", "numpy", "pip install nvc-check",
        "the oracle: exact arithmetic, integer path; flavour=qdq|carrier",
    ),
}  # fmt: skip


def known_engines() -> dict[str, Registered]:
    """The engines above and those of installed entry points (name -> module; summary and remedy are the package's)."""
    found = dict(ENGINES)
    for point in entry_points(group="nvc_check.engines"):
        package = point.dist.name if point.dist else point.module
        found.setdefault(point.name, Registered(point.value, point.module, f"pip install {package}", f"from {package}"))
    return found


def check_names(specs: list[LegSpec]) -> None:
    """Raises UsageError for an engine that does not exist; lists those that do."""
    known = known_engines()
    for spec in specs:
        if spec.engine not in known:
            raise UsageError(f"provider {spec.engine!r}: unknown; known are {', '.join(known)}")


def open_engine(spec: LegSpec, package: Package) -> Engine:
    """The engine of `spec`, imported here and not before.

    Raises:
        UsageError: unknown engine or option.
        ProviderUnavailableError: not installed (says the pip line) or no such device.
    """
    check_names([spec])
    registered = known_engines()[spec.engine]
    try:
        importlib.import_module(registered.requires)
    except ImportError as error:
        raise ProviderUnavailableError(
            f"{spec.name}: {registered.requires} is not installed ({error}); {registered.install}"
        ) from error
    opener: Callable[[LegSpec, Package], Engine] = importlib.import_module(registered.module).open_engine
    return opener(spec, package)
