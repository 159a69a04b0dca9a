"""The leg `cpu`: ONNX Runtime's CPU provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from nvc_check.models.package import Package
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, checked_options
from nvc_check.runtimes.ort_session import session

LEVELS = {
    "off": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
# x64quantprecision: int8 kernels that do not saturate pairs of products on x86 without VNNI
# spinning: a decoder is several sessions in turn, and the threads of the one before would spin beside those of the next
# name: default, the session's entry, the entry's values where they are not ONNX Runtime's own
SWITCHES = {
    "x64quantprecision": ("off", "session.x64quantprecision", {"on": "1"}),
    "prepacking": ("on", "session.disable_prepacking", {"off": "1"}),
    "spinning": ("off", "session.intra_op.allow_spinning", {"off": "0"}),
}
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


def session_options(options: dict[str, str]) -> Any:
    """ONNX Runtime session options for all of KNOBS but the flavour."""
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 3
    made.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[options.get("opt", "all")])
    if "threads" in options:
        made.intra_op_num_threads = int(options["threads"])
    for name, (default, entry, values) in SWITCHES.items():
        value = options.get(name, default)
        if value in values:
            made.add_session_config_entry(entry, values[value])
    return made
