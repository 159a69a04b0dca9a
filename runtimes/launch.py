"""How a leg's process is started: which Python, which environment variables, which emulated processor."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from nvc_check.models.errors import ProviderUnavailableError, UsageError
from nvc_check.runtimes.environments import bridge, interpreter_of
from nvc_check.runtimes.leg import LegSpec

# qemu's name of the processor, and what it is there for
EMULATED: Final = {
    "haswell": ("qemu-x86_64-static", "Haswell"),  # AVX2 without VNNI: int8 kernels saturate pairs of products
    "nehalem": ("qemu-x86_64-static", "Nehalem"),  # SSE4.2 only
}
CHROMIUM = Path("/usr/lib/chromium")  # Debian's package brings SwiftShader, a GPU in software, and a Vulkan loader


def command_of(spec: LegSpec, scratch: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and environment variables of the leg's process; `scratch` is a folder that lives as long as it.

    Raises:
        UsageError: an emulated processor that is not known.
        ProviderUnavailableError: its emulator is not installed.
    """
    python = interpreter_of(spec.engine)
    variables = {**os.environ, **_variables(spec)}
    if python != sys.executable:
        variables["PYTHONPATH"] = str(bridge(scratch))
    return [*_emulator(spec), python, "-m", "nvc_check.runtimes.worker"], variables


def _emulator(spec: LegSpec) -> list[str]:
    if not spec.machine:
        return []
    if spec.machine not in EMULATED:
        raise UsageError(f"provider {spec.name}: processor {spec.machine!r}, expected one of {', '.join(EMULATED)}")
    program, processor = EMULATED[spec.machine]
    found = shutil.which(program)
    if found is None:
        raise ProviderUnavailableError(f"{spec.name}: {program} is not installed; apt-get install qemu-user-static")
    return [found, "-cpu", processor]


def _variables(spec: LegSpec) -> dict[str, str]:
    """What an engine reads before it is imported."""
    if spec.engine == "torch" and "isa" in spec.options:
        capability = "default" if spec.options["isa"] == "sse41" else spec.options["isa"]
        return {"ATEN_CPU_CAPABILITY": capability, "ONEDNN_MAX_CPU_ISA": spec.options["isa"].upper()}
    if spec.engine == "webgpu" and uses_swiftshader(spec):
        return {
            "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp"),
            "VK_DRIVER_FILES": str(CHROMIUM / "vk_swiftshader_icd.json"),
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, (str(CHROMIUM), os.environ.get("LD_LIBRARY_PATH")))),
        }
    return {}


def uses_swiftshader(spec: LegSpec) -> bool:
    """As asked for with adapter=; else where Chromium's SwiftShader is and no GPU shows itself."""
    if "adapter" in spec.options:
        return spec.options["adapter"] == "swiftshader"
    a_gpu = any(Path("/dev/dri").glob("renderD*")) or Path("/dev/nvidia0").exists()
    return (CHROMIUM / "vk_swiftshader_icd.json").is_file() and not a_gpu
