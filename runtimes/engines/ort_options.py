"""ONNX Runtime's session options as options of a leg, and whether it has a provider."""

from __future__ import annotations

from typing import Any

import onnxruntime

from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.registry import registered

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


def require_provider(spec: LegSpec, provider: str) -> None:
    """Raises ProviderUnavailableError where this ONNX Runtime was built without `provider`."""
    available = onnxruntime.get_available_providers()
    if provider not in available:
        engine = registered(spec.engine)
        raise ProviderUnavailableError(
            f"{spec.name}: {provider} is not installed: onnxruntime {onnxruntime.__version__} has only"
            f" {', '.join(available)}; {engine.install if engine else ''}"
        )
