"""Any execution provider of ONNX Runtime by its full name (CoreMLExecutionProvider); no node is left to the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import UsageError
from nvc_check.runtimes.engines.ort_options import require_provider, session_options
from nvc_check.runtimes.engines.ort_session import exclusive_session
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable

KNOBS: Knobs = {"flavour": ("qdq", "carrier")}  # of the checker; a provider's own are not listed by ONNX Runtime


def open_engine(spec: LegSpec, package: Package) -> ProviderEngine:
    """Options other than `flavour` go to the provider as they are.

    Raises:
        ProviderUnavailableError: this ONNX Runtime has no such provider.
    """
    require_provider(spec, spec.engine)
    return ProviderEngine(spec)


class ProviderEngine:
    """Takes the carrier flavour unless told otherwise: plain float operators are what every provider has."""

    paths = ("fp32", "int")

    def __init__(self, spec: LegSpec) -> None:
        options = dict(spec.options)
        self.flavour = options.pop("flavour", "carrier")
        if self.flavour not in ("qdq", "carrier"):
            raise UsageError(f"provider {spec.name}: flavour={self.flavour}, expected one of qdq, carrier")
        self._spec, self._options = spec, options
        settings = {**options, "flavour": self.flavour}
        device = spec.engine.removesuffix("ExecutionProvider").lower()
        self.info = EngineInfo("onnxruntime", onnxruntime.__version__, device, settings)

    def load(self, model: Path, graph: str) -> Runnable:
        return exclusive_session(self._spec, model, session_options({}), self._spec.engine, self._options)
