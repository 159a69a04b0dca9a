"""The leg `cuda`: ONNX Runtime's CUDA provider, with no node left to the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.models.package import Package
from nvc_check.runtimes.cpu import session_options
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, checked_options
from nvc_check.runtimes.ort_session import exclusive_session

PROVIDER = "CUDAExecutionProvider"
KNOBS: Knobs = {"tf32": ("on", "off"), "flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> CudaEngine:
    """Raises ProviderUnavailableError where this ONNX Runtime has no CUDA provider or finds no GPU."""
    options = checked_options(spec, KNOBS)
    if PROVIDER not in onnxruntime.get_available_providers():
        raise ProviderUnavailableError(
            f"{spec.name}: onnxruntime {onnxruntime.__version__} has no {PROVIDER}, only"
            f" {', '.join(onnxruntime.get_available_providers())};"
            " on a machine with an NVIDIA GPU: pip uninstall onnxruntime, then pip install 'nvc-check[cuda]'"
        )
    return CudaEngine(spec, options)


class CudaEngine:
    """Takes the carrier flavour: CUDA has no QLinearConv, and a float 3x3 Conv may be computed by Winograd."""

    paths = ("fp32", "int")

    def __init__(self, spec: LegSpec, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "carrier")
        self._spec = spec
        self._provider: dict[str, Any] = {"use_tf32": int(options.get("tf32", "on") == "on")}
        self._options = session_options({})
        settings = {"tf32": options.get("tf32", "on"), "flavour": self.flavour}
        self.info = EngineInfo("onnxruntime", onnxruntime.__version__, "cuda", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        return exclusive_session(self._spec, model, self._options, PROVIDER, self._provider)
