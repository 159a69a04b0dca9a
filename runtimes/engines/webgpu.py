"""The leg `webgpu`: ONNX Runtime's WebGPU provider, on a GPU or Chromium's SwiftShader; no node is left to the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime

from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.engines.ort_options import require_provider, session_options
from nvc_check.runtimes.engines.ort_session import exclusive_session
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, checked_options

PROVIDER = "WebGpuExecutionProvider"
KNOBS: Knobs = {"adapter": ("swiftshader", "system"), "flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> WebGpuEngine:
    """Raises ProviderUnavailableError where this ONNX Runtime has no WebGPU provider."""
    options = checked_options(spec, KNOBS)
    require_provider(spec, PROVIDER)
    return WebGpuEngine(spec, options)


class WebGpuEngine:
    """Takes the carrier flavour: WebGPU has no 8-bit tensors and no QuantizeLinear."""

    paths = ("fp32", "int")

    def __init__(self, spec: LegSpec, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "carrier")
        self._spec = spec
        driver = Path(os.environ.get("VK_DRIVER_FILES", "system")).stem
        settings = {"driver": driver, "flavour": self.flavour}
        device = "webgpu, SwiftShader" if "swiftshader" in driver else "webgpu"
        self.info = EngineInfo("onnxruntime", onnxruntime.__version__, device, settings)

    def load(self, model: Path, graph: str) -> Runnable:
        return exclusive_session(self._spec, model, session_options({}), PROVIDER, {})
