"""One codec gives one package, whatever the folder, the threads and the instruction set that export it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nvc_check.exporter.export import export_package
from nvc_check.exporter.quantize.calibration import calibrate
from nvc_check.models.artifacts.package import Package
from nvc_check.models.codecs.architectures import Codec
from nvc_check.models.codecs.image import ImageCodec
from nvc_check.models.codecs.mean_scale_relu import MeanScaleHyperpriorReLU
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.codecs.video import VideoCodec

CAPPED = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
}
KINDS = ["image", "video"]


def codec(kind: str) -> Codec:
    if kind == "image":
        model = seeded(lambda: MeanScaleHyperpriorReLU((12, 12, 12), 12, 8), 0).eval()
        return ImageCodec("seeded", "mbt2018-mean-relu-small", model, has_means=True)
    return VideoCodec("seeded", "ssf-small", seeded(lambda: ScaleSpaceFlowSmall(8), 0).eval())


def exported(kind: str, weights: Path, out: Path) -> Package:
    """With weights from a file: random ones differ between instruction sets already."""
    rng = np.random.default_rng(4)
    coarse = rng.random((2, 1, 3, 20, 20)).repeat(8, axis=3).repeat(8, axis=4)[..., :128, :128]
    pictures = (coarse + rng.random((2, 1, 3, 128, 128)) / 4).astype(np.float32) / np.float32(1.25)
    made = codec(kind)
    made.model.load_state_dict(torch.load(weights))
    return export_package(made, pictures, out, scope="decoder")


@pytest.mark.parametrize("kind", ["image", pytest.param("video", marks=pytest.mark.heavy)])
def test_folders_threads_and_instruction_sets(kind: str, tmp_path: Path) -> None:
    """Here with two threads; in a process of its own with one, and nothing newer than SSE4."""
    weights = tmp_path / "weights.pt"
    torch.save(codec(kind).model.state_dict(), weights)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        here = exported(kind, weights, tmp_path / "a" / "package")
    finally:
        torch.set_num_threads(threads)
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
    program += "from exporter.test_same_bytes import exported; from pathlib import Path\n"
    program += f"exported({kind!r}, Path({str(weights)!r}), Path({str(tmp_path / 'other folder')!r}))"
    environment = {**os.environ, **CAPPED, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], env=environment, check=True, cwd=tmp_path)
    there = Package.open(tmp_path / "other folder")
    assert here.manifest.files == there.manifest.files
    assert here.manifest.digest == there.manifest.digest


def test_the_instruction_sets_differ() -> None:
    """The cap is no empty one: float32 convolutions give other bits under it, so calibration has something to hide."""
    program = "import torch; torch.manual_seed(0); x = torch.rand(1, 64, 32, 32)\n"
    program += "print(torch.nn.functional.conv2d(x, torch.rand(64, 64, 5, 5)).double().sum().item())"
    environments = (dict(os.environ), {**os.environ, **CAPPED})
    sums = {
        subprocess.run([sys.executable, "-c", program], env=e, check=True, capture_output=True, text=True).stdout
        for e in environments
    }
    assert len(sums) == 2


@pytest.mark.heavy
def test_a_trained_codec_on_other_kernels_of_linear_algebra(tmp_path: Path) -> None:
    """Its weights have few bits, so that many are ties on the grids of integers."""
    digests = set()
    for core in ("Haswell", "Nehalem"):
        nvc_check = str(Path(sys.executable).with_name("nvc-check"))
        command = [nvc_check, "export", "ssf-small", "--out", str(tmp_path / core)]
        subprocess.run(command, env={**os.environ, "OPENBLAS_CORETYPE": core}, check=True, cwd=tmp_path)
        digests.add(Package.open(tmp_path / core).manifest.digest)
    assert len(digests) == 1


@pytest.mark.parametrize(("size", "same"), [(2e-15, True), (3e-2, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_last_bits_of_convolutions_do_not_reach_the_calibration(kind: str, size: float, same: bool) -> None:
    """What another processor's kernels would change, as noise on every sum; much more of it does change symbols."""
    made = codec(kind)
    pictures = [np.random.default_rng(seed).random((1, 3, 128, 128)).astype(np.float32) for seed in range(2)]
    draw = torch.Generator().manual_seed(1)

    def noisy(module: nn.Module, inputs: object, sums: torch.Tensor) -> torch.Tensor:
        noise: torch.Tensor = 1 + size * torch.randn(sums.shape, generator=draw, dtype=sums.dtype)
        return sums * noise

    plain = calibrate(made, pictures)
    layers = [each for each in made.model.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(noisy) for layer in layers]
    disturbed = calibrate(made, pictures)
    for hook in hooks:
        hook.remove()
    equal = [
        np.array_equal(a, b)
        for before, after in ((plain.symbols, disturbed.symbols), (plain.latents, disturbed.latents))
        for part in before
        for a, b in zip(before[part], after[part], strict=True)
    ]
    assert hooks and all(equal) == same
