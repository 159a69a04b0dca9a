"""Scale-space flow: the warp that is exported is the one that was trained, and a clip goes through every leg."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import onnxruntime
import torch

from nvc_check.checker.coding.encode import write_symbols
from nvc_check.checker.compare.live import compare, with_references
from nvc_check.checker.media.sample import render_sample
from nvc_check.exporter.network.torch_export import export_codec
from nvc_check.models.artifacts.package import Package
from nvc_check.models.artifacts.symbols import Symbols
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.codecs.video import InterGraph, VideoCodec
from nvc_check.runtimes.leg import split_providers


@torch.inference_mode()
def test_the_exported_warp_is_torchs_own() -> None:
    """One 4-D grid sample of all levels, blended, against the 5-D one: less than 1e-4 apart on white noise, peak 1."""
    model = seeded(lambda: ScaleSpaceFlowSmall(16), 0)
    native, codec = InterGraph(model), VideoCodec("seeded", "ssf-small", model.eval())
    exported = ir.to_proto(export_codec(codec)["inter_frame"]).SerializeToString()
    y = [torch.randint(-20, 21, (1, 16, 8, 12), dtype=torch.int32) for _ in range(2)]
    means = [torch.randn(1, 16, 8, 12) for _ in range(2)]
    reference = torch.rand(1, 3, 128, 192)
    inputs = (y[0], means[0], y[1], means[1], reference)
    motion = model.motion_decoder(y[0] + means[0])
    assert motion[:, :2].abs().max() > 0.1
    assert motion[:, 2].std() > 0.05
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    given = {name: tensor.numpy() for name, tensor in zip(InterGraph.inputs, inputs, strict=True)}
    (frame,) = session.run(["frame"], given)
    assert (native(*inputs) - torch.from_numpy(frame)).abs().max() < 1e-4


def test_three_parts_are_exact_on_every_leg_and_frames_drift(video_package: Package, tmp_path: Path) -> None:
    """Keyframe, motion and residual: 0 integer mismatches; each leg carries its own reference frames."""
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(200, 120, 4, seed=2)))
    write_symbols(video_package, frames, {"source": "sample"}, tmp_path / "symbols")
    with Symbols(tmp_path / "symbols", video_package.manifest.digest) as symbols:
        assert set(symbols.read(0, "int")) == {"keyframe.y", "keyframe.z"}
        assert set(symbols.read(1, "int")) == {"motion.y", "motion.z", "residual.y", "residual.z"}
        specs = with_references(split_providers("cpu,cpu:flavour=carrier,openvino"))
        report = compare(video_package, symbols, specs)
    assert (report.verdict.int, report.exit_code) == ("identical", 0)
    compared = {row.tensor for row in report.results if row.path == "int" and row.leg == "openvino"}
    assert {f"{part}/{t}" for part in video_package.manifest.parts for t in ("indexes", "means")} <= compared
    drift = [row for row in report.results if row.path == "fp32" and row.tensor == "frame"]
    assert len(drift) == 3
    assert all(row.frames == 4 and row.frames_different >= 1 for row in drift)


def test_a_frame_depends_on_the_one_before(video_package: Package, tmp_path: Path) -> None:
    """The drift that is counted is real: at the last frame it is larger than at the keyframe."""
    frames = ((f"frame {i}", rgb) for i, rgb in enumerate(render_sample(128, 128, 6, seed=2)))
    write_symbols(video_package, frames, {"source": "sample"}, tmp_path / "symbols")
    with Symbols(tmp_path / "symbols", video_package.manifest.digest) as symbols:
        report = compare(video_package, symbols, with_references(split_providers("cpu:opt=off")))
    (frame,) = [row for row in report.results if row.path == "fp32" and row.tensor == "frame"]
    assert [row.frame for row in frame.by_frame] == list(range(6))
    assert sum(row.mismatched for row in frame.by_frame) == frame.mismatched
    assert frame.by_frame[-1].max_abs > frame.by_frame[0].max_abs
    assert frame.by_frame[-1].psnr is not None
    assert frame.psnr_min == min(row.psnr for row in frame.by_frame if row.psnr is not None)
