"""The leg `openvino`: OpenVINO's own API on the CPU device, reading the ONNX files directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino

from nvc_check.models.errors import RunFailedError
from nvc_check.models.package import Package
from nvc_check.runtimes.fingerprint import cpu_fingerprint
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, Tensors, checked_options

KNOBS: Knobs = {"precision": ("f32", "bf16", "default"), "threads": None, "flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> OpenVinoEngine:
    return OpenVinoEngine(checked_options(spec, KNOBS))


class OpenVinoEngine:
    """precision=f32 unless told otherwise: the default hint is bf16 on CPUs that have it, silently."""

    paths = ("fp32", "int")

    def __init__(self, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        precision = options.get("precision", "f32")
        self._core = openvino.Core()
        self._properties: dict[str, Any] = {}
        if precision != "default":
            self._properties["INFERENCE_PRECISION_HINT"] = precision
        if "threads" in options:
            self._properties["INFERENCE_NUM_THREADS"] = int(options["threads"])
        settings = {
            "precision": precision,
            "threads": options.get("threads", "default"),
            "flavour": self.flavour,
        }
        self.info = EngineInfo("openvino", openvino.__version__, "cpu", {**cpu_fingerprint(), **settings})

    def load(self, model: Path, graph: str) -> Runnable:
        try:
            compiled = self._core.compile_model(str(model), "CPU", self._properties)
        except RuntimeError as error:
            raise RunFailedError(f"{model.name}: OpenVINO cannot compile it ({str(error).splitlines()[0]})") from error
        wanted = {name for port in compiled.inputs for name in port.get_names()}

        def run(inputs: Tensors) -> Tensors:
            results = compiled({name: value for name, value in inputs.items() if name in wanted})
            return {port.get_any_name(): results[port].copy() for port in compiled.outputs}

        return run
