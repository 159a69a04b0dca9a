"""The machine and its software, as a trace records them: what can change the bits of a float kernel."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnx

# As Linux spells them: vector widths, int8 dot products (VNNI, dotprod, i8mm), AMX, bf16, float16, SVE
FLAGS: Final = (
    "sse4_1", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "asimdfhm", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16", "sme",
)  # fmt: skip
# numpy's names, for systems without /proc/cpuinfo and for emulated processors, whose /proc/cpuinfo is the host's
NUMPY_FLAGS: Final = {
    "SSE41": "sse4_1", "AVX": "avx", "F16C": "f16c", "FMA3": "fma", "AVX2": "avx2", "AVX512F": "avx512f",
    "AVX512_CLX": "avx512_vnni", "AVX512_ICL": "avx512_vnni", "ASIMD": "asimd", "ASIMDHP": "asimdhp",
    "ASIMDDP": "asimddp", "ASIMDFHM": "asimdfhm", "SVE": "sve",
}  # fmt: skip
MACOS_FLAGS: Final = {"FEAT_I8MM": "i8mm", "FEAT_BF16": "bf16", "FEAT_SME": "sme"}
COMMAND_SECONDS = 10.0


def environment(emulated: str = "") -> dict[str, str]:
    """Processor and its instruction sets among FLAGS, system, GPUs and drivers, Python and its packages.

    Args:
        emulated: name of the processor that is emulated, or "".
    """
    found = {
        "cpu": f"{emulated}, emulated on {_model()}" if emulated else _model(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count() or 1),
        "flags": " ".join(_flags(emulated)),
        "os": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnx": onnx.__version__,
    }
    gpus = _nvidia_gpus()
    return {**found, "gpu": gpus} if gpus else found


def _model() -> str:
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string")
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags(emulated: str) -> list[str]:
    listed = _cpuinfo("flags") or _cpuinfo("Features")
    if listed and not emulated:
        present = set(listed.split())
    else:
        present = {NUMPY_FLAGS[name] for name, has in _numpy_features().items() if has and name in NUMPY_FLAGS}
    if sys.platform == "darwin":
        present |= {
            flag for key, flag in MACOS_FLAGS.items() if _output("sysctl", "-n", f"hw.optional.arm.{key}") == "1"
        }
    return [flag for flag in FLAGS if flag in present]


def _numpy_features() -> dict[str, bool]:
    """What numpy asked the processor; the module is numpy.core in numpy 1, numpy._core in 2."""
    major = int(np.__version__.partition(".")[0])
    package = "numpy._core" if major > 1 else "numpy.core"
    return dict(importlib.import_module(f"{package}._multiarray_umath").__cpu_features__)


def _nvidia_gpus() -> str:
    """Name and driver of each, "" without any."""
    if shutil.which("nvidia-smi") is None:
        return ""
    return "; ".join(_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines())


def _sysctl(key: str) -> str:
    return _output("sysctl", "-n", key)


def _output(*command: str) -> str:
    """What a command prints; "" where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpuinfo(key: str) -> str:
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
