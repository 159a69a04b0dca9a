"""The leg `cuda`: ONNX Runtime's CUDA provider, with no node left to the CPU."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import onnxruntime

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.engines.ort_options import require_provider, session_options
from nvc_check.runtimes.engines.ort_session import exclusive_session
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, checked_options

PROVIDER = "CUDAExecutionProvider"
KNOBS: Knobs = {
    "tf32": ("on", "off"),
    "algo": ("default", "heuristic", "exhaustive"),  # how cuDNN's algorithm of a Conv is chosen
    "nhwc": ("on", "off"),
    "flavour": ("qdq", "carrier"),
}


def open_engine(spec: LegSpec, package: Package) -> CudaEngine:
    """Raises ProviderUnavailableError where this ONNX Runtime has no CUDA provider or finds no GPU."""
    options = checked_options(spec, KNOBS)
    require_provider(spec, PROVIDER)
    _require_device(spec.name)
    onnxruntime.preload_dlls()  # of the pip packages nvidia-*, where they are installed
    return CudaEngine(spec, options)


class CudaEngine:
    """Takes the carrier flavour: CUDA has no QLinearConv, and a float 3x3 Conv may be computed by Winograd."""

    paths = ("fp32", "int")

    def __init__(self, spec: LegSpec, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "carrier")
        self._spec = spec
        algorithm = options.get("algo", "exhaustive")  # ONNX Runtime's default
        tf32, nhwc = options.get("tf32", "on"), options.get("nhwc", "off")
        self._provider: dict[str, Any] = {
            "use_tf32": int(tf32 == "on"),
            "cudnn_conv_algo_search": algorithm.upper(),
            "prefer_nhwc": int(nhwc == "on"),
        }
        settings = {"tf32": tf32, "algo": algorithm, "nhwc": nhwc, "flavour": self.flavour}
        self.info = EngineInfo("onnxruntime", onnxruntime.__version__, "cuda", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        return exclusive_session(self._spec, model, session_options({}), PROVIDER, self._provider)


def _require_device(name: str) -> None:
    """Asks the driver: without a device ONNX Runtime says only that nodes are left to the CPU."""
    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        code = int(ctypes.CDLL(driver).cuInit(0))
    except OSError as error:
        raise ProviderUnavailableError(f"{name}: found no NVIDIA driver ({error}); it needs an NVIDIA GPU") from error
    if code:
        raise ProviderUnavailableError(f"{name}: the NVIDIA driver finds no device (cuInit returned {code})")
