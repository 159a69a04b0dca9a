"""The leg `torch`: PyTorch eager in FP32, as the codec was trained; the reference of the FP32 path."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch

from nvc_check.models.artifacts.package import Package, graph_name
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.codecs.hyperprior import Hyperprior
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.leg import EngineInfo, Knobs, LegSpec, Runnable, Tensors, checked_options

KNOBS: Knobs = {"threads": None, "isa": ("sse41", "avx2")}  # isa is set before torch is imported: launch.py
# no knobs: a sweep on a CPU would ask for a GPU
DEVICE: Knobs = {"device": ("cpu", "cuda"), "tf32": ("on", "off")}


def open_engine(spec: LegSpec, package: Package) -> EagerEngine:
    """Raises ProviderUnavailableError where torch cannot compute on the device."""
    options = checked_options(spec, {**KNOBS, **DEVICE})
    if "tf32" in options and options.get("device") != "cuda":
        raise ProviderUnavailableError(f"{spec.name}: a CPU has no TF32; say torch:device=cuda,tf32=...")
    if package.manifest.kind == "graph":
        raise ProviderUnavailableError(f"{spec.name}: runs torch codecs, this package is of an ONNX graph; say cpu")
    try:
        torch.zeros(1, device=options.get("device", "cpu"))
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise ProviderUnavailableError(f"{spec.name}: torch {torch.__version__} finds no GPU ({reason})") from error
    return EagerEngine(options, package)


class EagerEngine:
    """Takes the weights of the package, not its graphs."""

    paths = ("fp32",)
    flavour = "qdq"
    stated = "PyTorch eager runs the codec's modules, not the graphs, with its float32 kernels"

    def __init__(self, options: dict[str, str], package: Package) -> None:
        if "threads" in options:
            torch.set_num_threads(int(options["threads"]))
        self._weights = package.root / "codec.safetensors"
        self._device = torch.device(options.get("device", "cpu"))
        device, settings = "cpu", {"threads": str(torch.get_num_threads())}
        if self._device.type == "cuda":
            tf32 = options.get("tf32", "on") == "on"  # cuDNN's own default for convolutions
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            device = torch.cuda.get_device_name(self._device)
            settings |= {"tf32": "on" if tf32 else "off", "cuda": str(torch.version.cuda)}
        else:
            settings["capability"] = torch.backends.cpu.get_cpu_capability()
        self.info = EngineInfo("torch", torch.__version__, device, settings)

    @cached_property
    def _codec(self) -> Codec:
        codec = load_codec(str(self._weights))
        codec.model.to(self._device)
        return codec

    def load(self, model: Path, graph: str) -> Runnable:
        for part, hyperprior in self._codec.hyperpriors.items():
            if graph == graph_name(part, "entropy"):

                def entropy(inputs: Tensors, h_s: Hyperprior = hyperprior) -> Tensors:
                    scales_hat, means = h_s.entropy_parameters(inputs["z"])
                    return {"scales_hat": scales_hat} if means is None else {"scales_hat": scales_hat, "means": means}

                return entropy
        module = {**self._codec.frame_graphs(native=True), **self._codec.analysis_graphs()}[graph].to(self._device)

        @torch.inference_mode()
        def run(inputs: Tensors) -> Tensors:
            arguments = [torch.from_numpy(inputs[name]).to(self._device) for name in module.inputs if name in inputs]
            made = module(*arguments)
            outputs = made if isinstance(made, tuple) else (made,)
            return {name: output.cpu().numpy() for name, output in zip(module.outputs, outputs, strict=True)}

        return run
