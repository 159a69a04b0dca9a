"""Targets of the certificate: which assumptions a runtime guarantees, and which of its defects are known.

A node's verdict `exact` holds on every runtime that meets the node's assumptions; a target's verdict says whether
this runtime does. Both are needed: a 3x3 Conv between QuantizeLinear and DequantizeLinear is exact under A2;
ONNX Runtime's CPU provider fuses it to an integer kernel; the CUDA provider, which has none, runs it as a float
Conv that may be Winograd's. So it is refused for `cuda`, and for `any`, which promises nothing that CUDA does not keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASSUMPTIONS: Final = {
    "A1": "sums are kept in float32 or int32",
    "A2": "convolution is direct or like a matrix product, not Winograd or FFT",
    "A3": "nothing is stored below float32; multiplier operands keep 8 bits",
    "A4": "QuantizeLinear rounds half to even and saturates",
    "A5": "fusions preserve the real-number meaning",
}
MAX_SIZE: Final = 8192  # of a dimension that is known at run time only: sides of pictures, tiles and latents
SMALL_MATMUL: Final = 8  # ONNX Runtime WebGPU has a product of its own below so many inputs and outputs
SIZES = f"sizes up to {MAX_SIZE}"


def largest(size: int | None) -> int:
    """A size as far as it is known."""
    return MAX_SIZE if size is None else size


@dataclass(frozen=True)
class Target:
    """Where a graph is to run.

    Attributes:
        guarantees: the assumptions that it keeps, measured or by construction.
        operand_bits: significant bits that its multipliers keep: 8 bf16, 11 TF32, 24 float32.
    """

    name: str
    guarantees: frozenset[str]
    operand_bits: int
    note: str


ALL = frozenset(ASSUMPTIONS)
TARGETS: Final = {
    target.name: target
    for target in (
        Target("any", ALL - {"A2"}, 8, "every runtime below, with the defects of them all"),
        Target("ort-cpu", ALL, 24, "ONNX Runtime CPU on Arm or on x86 with VNNI"),
        Target("avx2", ALL, 24, "ONNX Runtime CPU on x86 without VNNI: int8 products saturate in pairs"),
        Target("cuda", ALL - {"A2"}, 11, "ONNX Runtime CUDA: TF32 may multiply, cuDNN may choose Winograd"),
        Target("webgpu", ALL, 24, "ONNX Runtime WebGPU: every node on the GPU, no fall-back to the CPU"),
        Target(
            "openvino",
            ALL,
            24,
            "OpenVINO on x86 with INFERENCE_PRECISION_HINT f32 and DYNAMIC_QUANTIZATION_GROUP_SIZE 0",
        ),
    )
}
EVERY = tuple(TARGETS)
WINOGRAD = "a float Conv of this shape may be computed by Winograd's or an FFT algorithm (A2), which rounds"
UNFOLD = "unfold it into shifted Slices and a 1x1 Conv or MatMul, or choose a target with direct convolution"


@dataclass(frozen=True)
class Hazard:
    """Why a node is not exact on some targets, and what would make it so."""

    targets: tuple[str, ...]
    reason: str
    cure: str


def operand_hazards(bits: int, found: str) -> tuple[Hazard, ...]:
    """For the targets whose multipliers keep fewer than `bits` bits."""
    missing = {target.name: target.operand_bits for target in TARGETS.values() if target.operand_bits < bits}
    cure = "split the operand into limbs of 8 bits, one product each"
    return tuple(Hazard((name,), f"{found}, more than {kept}", cure) for name, kept in missing.items())
