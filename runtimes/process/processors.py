"""Processors that this machine does not have, through qemu-user: `cpu@haswell`, `cpu@neoverse-n1`.

Where the architecture is this machine's, the leg's own Python runs under the emulator. Another architecture needs
programs of its own: runtimes/foreign.py.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from typing import Final

from nvc_check.models.errors import ProviderUnavailableError, UsageError
from nvc_check.runtimes.leg import LegSpec


@dataclass(frozen=True)
class Processor:
    """`architecture` as Linux calls it; `model`: qemu's name; `purpose`: why one emulates it."""

    architecture: str
    model: str
    purpose: str


PROCESSORS: Final[dict[str, Processor]] = {
    "haswell": Processor("x86_64", "Haswell", "AVX2 without VNNI: int8 kernels may saturate"),
    "nehalem": Processor("x86_64", "Nehalem", "SSE4.2 only"),
    "neoverse-n1": Processor("aarch64", "neoverse-n1", "64-bit Arm with dot products"),
}
SAME = {"amd64": "x86_64", "arm64": "aarch64"}  # names of an architecture on Windows, macOS and Debian
STARTS_PROGRAMS = ("wasm",)  # node would be started outside the emulator


def processor_of(spec: LegSpec) -> Processor:
    """Raises UsageError for a processor that is not known, or an engine that does not run in the leg's own process."""
    if spec.machine not in PROCESSORS:
        raise UsageError(f"provider {spec.name}: processor {spec.machine!r}, expected one of {', '.join(PROCESSORS)}")
    if spec.engine in STARTS_PROGRAMS:
        raise UsageError(f"provider {spec.name}: {spec.engine} cannot be emulated; it runs in a program of its own")
    return PROCESSORS[spec.machine]


def emulator_of(spec: LegSpec) -> str:
    """Path of the emulator.

    Raises:
        ProviderUnavailableError: it is not installed.
    """
    program = f"qemu-{processor_of(spec).architecture}-static"
    found = shutil.which(program)
    if found is None:
        raise ProviderUnavailableError(f"{spec.name}: {program} is not installed; apt-get install qemu-user-static")
    return found


def is_foreign(processor: Processor) -> bool:
    """Whether this machine cannot run the processor's programs itself."""
    here = platform.machine().lower()
    return SAME.get(here, here) != processor.architecture
