"""The leg `reference`: the ONNX project's own reference evaluator, in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from nvc_check.models.errors import RunFailedError
from nvc_check.models.package import Package
from nvc_check.runtimes.fingerprint import cpu_fingerprint
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, Tensors, checked_options

KNOBS: Knobs = {"flavour": ("qdq", "carrier")}


def open_engine(spec: LegSpec, package: Package) -> ReferenceEngine:
    return ReferenceEngine(checked_options(spec, KNOBS))


class ReferenceEngine:
    """Slow: plain numpy, no fusion; what the operators' definitions say."""

    paths = ("fp32", "int")

    def __init__(self, options: dict[str, str]) -> None:
        self.flavour = options.get("flavour", "qdq")
        settings = {"numpy": np.__version__, "flavour": self.flavour}
        self.info = EngineInfo("onnx.reference", onnx.__version__, "cpu", {**cpu_fingerprint(), **settings})

    def load(self, model: Path, graph: str) -> Runnable:
        try:
            evaluator = ReferenceEvaluator(str(model))
        except Exception as error:  # one class per missing operator
            raise RunFailedError(f"{model.name}: onnx.reference cannot load it ({error})") from error
        wanted = {str(name) for name in evaluator.input_names}
        names = [str(name) for name in evaluator.output_names]

        def run(inputs: Tensors) -> Tensors:
            results: Any = evaluator.run(None, {name: value for name, value in inputs.items() if name in wanted})
            return dict(zip(names, results, strict=True))

        return run
