"""The leg `cpu`: ONNX Runtime's CPU provider."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from nvc_check.models.artifacts.package import Package
from nvc_check.runtimes.engines.ort_options import LEVELS, SWITCHES, session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, checked_options

KNOBS: Knobs = {
    "opt": tuple(LEVELS),
    "threads": None,
    "x64quantprecision": ("on", "off"),
    "prepacking": ("on", "off"),
    "spinning": ("on", "off"),
    "flavour": ("qdq", "carrier"),
}


def open_engine(spec: LegSpec, package: Package) -> CpuEngine:
    return CpuEngine(checked_options(spec, KNOBS))


class CpuEngine:
    """Runs both paths; every node runs on this provider, there is no other one in the session."""

    paths = ("fp32", "int")

    def __init__(self, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        self._options = session_options(options)
        settings = {
            "opt": options.get("opt", "all"),
            "threads": options.get("threads", "default"),
            **{name: options.get(name, default) for name, (default, _, _) in SWITCHES.items()},
            "flavour": self.flavour,
        }
        self.info = EngineInfo("onnxruntime", onnxruntime.__version__, "cpu", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        return session(model, self._options, ["CPUExecutionProvider"])
