"""The machine: what can change the bits of a float kernel."""

from __future__ import annotations

import platform
from pathlib import Path

FLAGS = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimddp",
    "i8mm",
    "bf16",
)


def cpu_fingerprint() -> dict[str, str]:
    """CPU model, the instruction sets among FLAGS that it has, and the operating system."""
    return {"cpu": _model(), "flags": " ".join(_flags()), "os": platform.platform(aliased=True, terse=True)}


def _model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    present = set((_cpuinfo("flags") or _cpuinfo("Features") or "").split())
    return [flag for flag in FLAGS if flag in present]


def _cpuinfo(key: str) -> str:
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
