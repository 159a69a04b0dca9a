"""How a leg's process is started: which Python, which environment variables, which emulated processor."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from nvc_check.models.errors import ProviderUnavailableError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process import foreign
from nvc_check.runtimes.process.environments import bridge, folder_of, is_installed, python_of
from nvc_check.runtimes.process.processors import Processor, emulator_of, is_foreign, processor_of
from nvc_check.runtimes.registry import registered

WORKER = ["-m", "nvc_check.runtimes.process.worker"]
# Browsers that bring SwiftShader, a GPU in software, and a Vulkan loader: Debian's, Google's
BROWSERS: Final = (Path("/usr/lib/chromium"), Path("/opt/google/chrome"))
DRIVER: Final = "vk_swiftshader_icd.json"
# They say for which processor OpenBLAS, numpy, torch and MKL choose their kernels: this one, not an emulated one
KERNELS: Final = ("OPENBLAS_CORETYPE", "NPY_ENABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")


def command_of(spec: LegSpec, scratch: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and environment variables of the leg's process; `scratch` is a folder that lives as long as it.

    Raises:
        UsageError: an emulated processor that is not known.
        ProviderUnavailableError: its emulator or its programs are not installed.
    """
    processor = processor_of(spec) if spec.machine else None
    kept = {name: value for name, value in os.environ.items() if processor is None or name not in KERNELS}
    variables = {**kept, **_variables(spec)}
    if processor is not None and is_foreign(processor):
        return _foreign_command(spec, processor, scratch, variables)
    python = _interpreter(spec.engine)
    if python != sys.executable:
        variables["PYTHONPATH"] = str(bridge(scratch))
    emulator = [emulator_of(spec), "-cpu", processor.model] if processor is not None else []
    return [*emulator, python, *WORKER], variables


def _interpreter(engine: str) -> str:
    """The Python that runs the leg: of its own environment where that was made, else this one."""
    found = registered(engine)
    own = found is not None and found.packages and is_installed(engine, (*found.packages, *found.npm))
    return str(python_of(engine)) if own else sys.executable


def _foreign_command(
    spec: LegSpec, processor: Processor, scratch: Path, variables: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    emulator = emulator_of(spec)
    if not foreign.is_ready(processor.architecture):
        raise ProviderUnavailableError(
            f"{spec.name}: its {processor.architecture} programs are not installed;"
            f" nvc-check providers --install {spec.engine}@{spec.machine}"
        )
    python, folders = foreign.python_of(processor.architecture)
    variables = {**variables, "PYTHONPATH": os.pathsep.join([str(bridge(scratch)), *folders])}
    return [emulator, "-cpu", processor.model, *python, *WORKER], variables


def _variables(spec: LegSpec) -> dict[str, str]:
    """What an engine reads before it is imported."""
    if spec.engine == "torch" and "isa" in spec.options:
        capability = "default" if spec.options["isa"] == "sse41" else spec.options["isa"]
        return {"ATEN_CPU_CAPABILITY": capability, "ONEDNN_MAX_CPU_ISA": spec.options["isa"].upper()}
    if spec.engine == "wasm":
        return {"NVC_CHECK_NODE_MODULES": str(folder_of("wasm"))}
    if spec.engine == "webgpu" and _uses_swiftshader(spec):
        browser = swiftshader()
        if browser is None:
            raise ProviderUnavailableError(f"{spec.name}: SwiftShader is not installed; apt-get install chromium")
        return {
            "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp"),
            "VK_DRIVER_FILES": str(browser / DRIVER),
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, (str(browser), os.environ.get("LD_LIBRARY_PATH")))),
        }
    return {}


def _uses_swiftshader(spec: LegSpec) -> bool:
    """As asked for with adapter=; else where it is installed and no GPU shows itself."""
    if "adapter" in spec.options:
        return spec.options["adapter"] == "swiftshader"
    a_gpu = any(Path("/dev/dri").glob("renderD*")) or Path("/dev/nvidia0").exists()
    return sys.platform == "linux" and not a_gpu


def swiftshader() -> Path | None:
    """The folder of a browser that brings it."""
    return next((folder for folder in BROWSERS if (folder / DRIVER).is_file()), None)
