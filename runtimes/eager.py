"""The leg `torch`: PyTorch eager in FP32, as the codec was trained; the reference of the FP32 path."""

from __future__ import annotations

from pathlib import Path

import torch

from nvc_check.models.analysis import Analysis
from nvc_check.models.codecs import load_codec
from nvc_check.models.package import Package
from nvc_check.runtimes.fingerprint import cpu_fingerprint
from nvc_check.runtimes.leg import EngineInfo, LegSpec, Runnable, Tensors, checked_options, float32


def open_engine(spec: LegSpec, package: Package) -> EagerEngine:
    return EagerEngine(checked_options(spec, {"threads": None}), package)


class EagerEngine:
    """Takes the weights of the package, not its graphs."""

    paths = ("fp32",)
    flavour = "qdq"

    def __init__(self, options: dict[str, str], package: Package) -> None:
        if "threads" in options:
            torch.set_num_threads(int(options["threads"]))
        self._analysis = Analysis(load_codec(str(package.root / "codec.safetensors")))
        settings = {
            "threads": str(torch.get_num_threads()),
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
        self.info = EngineInfo("torch", torch.__version__, "cpu", {**cpu_fingerprint(), **settings})

    def load(self, model: Path, graph: str) -> Runnable:
        return self._entropy if graph == "entropy" else self._frame

    def _entropy(self, inputs: Tensors) -> Tensors:
        scales_hat, means = self._analysis.entropy_parameters(inputs["z"])
        return {"scales_hat": scales_hat} if means is None else {"scales_hat": scales_hat, "means": means}

    def _frame(self, inputs: Tensors) -> Tensors:
        y_hat = float32(inputs["y"])
        return {"frame": self._analysis.synthesis(y_hat + inputs["means"] if "means" in inputs else y_hat)}
