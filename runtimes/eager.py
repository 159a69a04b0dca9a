"""The leg `torch`: PyTorch eager in FP32, as the codec was trained; the reference of the FP32 path."""

from __future__ import annotations

from pathlib import Path

import torch

from nvc_check.models.codecs import load_codec
from nvc_check.models.hyperprior import Hyperprior
from nvc_check.models.package import Package, graph_name
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, Tensors, checked_options

KNOBS: Knobs = {"threads": None, "isa": ("sse41", "avx2")}  # isa is set before torch is imported: launch.py


def open_engine(spec: LegSpec, package: Package) -> EagerEngine:
    return EagerEngine(checked_options(spec, KNOBS), package)


class EagerEngine:
    """Takes the weights of the package, not its graphs."""

    paths = ("fp32",)
    flavour = "qdq"
    stated = "PyTorch eager runs the codec's modules, not the graphs, with its float32 kernels"

    def __init__(self, options: dict[str, str], package: Package) -> None:
        if "threads" in options:
            torch.set_num_threads(int(options["threads"]))
        self._codec = load_codec(str(package.root / "codec.safetensors"))
        settings = {"threads": str(torch.get_num_threads()), "capability": torch.backends.cpu.get_cpu_capability()}
        self.info = EngineInfo("torch", torch.__version__, "cpu", settings)

    def load(self, model: Path, graph: str) -> Runnable:
        for part, hyperprior in self._codec.hyperpriors.items():
            if graph == graph_name(part, "entropy"):

                def entropy(inputs: Tensors, h_s: Hyperprior = hyperprior) -> Tensors:
                    scales_hat, means = h_s.entropy_parameters(inputs["z"])
                    return {"scales_hat": scales_hat} if means is None else {"scales_hat": scales_hat, "means": means}

                return entropy
        module = self._codec.frame_graphs(native=True)[graph]

        @torch.inference_mode()
        def frame(inputs: Tensors) -> Tensors:
            arguments = [torch.from_numpy(inputs[name]) for name in module.inputs if name in inputs]
            return {"frame": module(*arguments).numpy()}

        return frame
