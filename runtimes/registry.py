"""Every leg that there is. Third parties join with an entry point in the group `nvc_check.engines`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import ProviderUnavailableError, UsageError
from nvc_check.runtimes.leg import Engine, LegSpec


@dataclass(frozen=True)
class Registered:
    """Where an engine is and what it needs.

    Attributes:
        module: has open_engine(spec, package) -> Engine.
        requires: the module that must import.
        install: the line that installs it.
        packages, npm: what its own environment holds, for engines that others exclude.
    """

    module: str
    requires: str
    install: str
    summary: str
    packages: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()


ENGINES: Final[dict[str, Registered]] = {
    "torch": Registered(
        "nvc_check.runtimes.engines.eager", "torch", "pip install 'nvc-check[export]'",
        "PyTorch eager; the reference of the FP32 path; device=cpu|cuda, tf32=on|off, threads=N, isa=sse41|avx2",
    ),
    "cpu": Registered(
        "nvc_check.runtimes.engines.cpu", "onnxruntime",
        "pip install 'nvc-check[cpu]'; or nvc-check providers --install cpu",
        "ONNX Runtime CPU; opt=off|basic|extended|all, threads=N, x64quantprecision=on|off, prepacking=on|off,"
        " spinning=off|on, flavour=qdq|carrier",
        packages=("onnxruntime==1.31.1",),
    ),
    "cuda": Registered(
        "nvc_check.runtimes.engines.cuda", "onnxruntime",
        "on a machine with an NVIDIA GPU: nvc-check providers --install cuda",
        "ONNX Runtime CUDA; tf32=on|off, algo=default|heuristic|exhaustive, nhwc=on|off, flavour=qdq|carrier",
        packages=("onnxruntime-gpu[cuda,cudnn]==1.31.1",),
    ),
    "openvino": Registered(
        "nvc_check.runtimes.engines.openvino_native", "openvino",
        "pip install 'nvc-check[openvino]'; or nvc-check providers --install openvino",
        "OpenVINO CPU; precision=f32|bf16|default, threads=N, flavour=qdq|carrier",
        packages=("openvino==2026.4.1",),
    ),
    "exact": Registered(
        "nvc_check.runtimes.oracle.engine", "numpy", "pip install nvc-check",
        "the oracle: exact arithmetic, integer path; flavour=qdq|carrier",
    ),
    "reference": Registered(
        "nvc_check.runtimes.engines.reference", "onnx", "pip install nvc-check",
        "onnx.reference, numpy; flavour=qdq|carrier",
    ),
    "webgpu": Registered(
        "nvc_check.runtimes.engines.webgpu", "onnxruntime", "nvc-check providers --install webgpu",
        "ONNX Runtime WebGPU; adapter=swiftshader|system, flavour=qdq|carrier",
        packages=("onnxruntime-webgpu==1.27.0",),
    ),
    "wasm": Registered(
        "nvc_check.runtimes.engines.wasm", "numpy", "nvc-check providers --install wasm",
        "onnxruntime-web in node; opt=off|basic|extended|all, threads=N, flavour=qdq|carrier",
        npm=("onnxruntime-web@1.30.0",),
    ),
    "OpenVINOExecutionProvider": Registered(
        "nvc_check.runtimes.engines.ort_provider", "onnxruntime",
        "nvc-check providers --install OpenVINOExecutionProvider",
        "ONNX Runtime OpenVINO; flavour=qdq|carrier, others go to the provider (device_type=CPU)",
        packages=("onnxruntime-openvino==1.24.1",),
    ),
}  # fmt: skip
PROVIDER = Registered(
    "nvc_check.runtimes.engines.ort_provider", "onnxruntime", "install the onnxruntime package that brings it",
    "an execution provider of ONNX Runtime by its full name; options go to the provider",
)  # fmt: skip


def known_engines() -> dict[str, Registered]:
    """The engines above and those of installed entry points (name -> module; summary and remedy are the package's)."""
    found = dict(ENGINES)
    for point in entry_points(group="nvc_check.engines"):
        package = point.dist.name if point.dist else point.module
        found.setdefault(point.name, Registered(point.value, point.module, f"pip install {package}", f"from {package}"))
    return found


def check_names(specs: list[LegSpec]) -> None:
    """Raises UsageError for an engine that does not exist; lists those that do."""
    for spec in specs:
        if registered(spec.engine) is None:
            raise UsageError(
                f"provider {spec.engine!r}: unknown; known are {', '.join(known_engines())},"
                " or an ONNX Runtime provider by its full name, ...ExecutionProvider"
            )


def registered(engine: str) -> Registered | None:
    """Where `engine` is; every name ending in ExecutionProvider is one of ONNX Runtime's."""
    return known_engines().get(engine) or (PROVIDER if engine.endswith("ExecutionProvider") else None)


def knobs_of(spec: LegSpec) -> dict[str, tuple[str, ...] | None]:
    """What the engine's file declares as KNOBS; {} where it declares none."""
    found = registered(spec.engine)
    assert found is not None
    return dict(getattr(importlib.import_module(found.module), "KNOBS", {}))


def open_engine(spec: LegSpec, package: Package) -> Engine:
    """The engine of `spec`, imported here and not before.

    Raises:
        UsageError: unknown engine or option.
        ProviderUnavailableError: not installed (says the pip line) or no such device.
    """
    check_names([spec])
    found = registered(spec.engine)
    assert found is not None
    try:
        importlib.import_module(found.requires)
    except ImportError as error:
        raise ProviderUnavailableError(
            f"{spec.name}: {found.requires} is not installed ({error}); {found.install}"
        ) from error
    opener: Callable[[LegSpec, Package], Engine] = importlib.import_module(found.module).open_engine
    return opener(spec, package)
