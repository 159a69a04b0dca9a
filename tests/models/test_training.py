"""The trainers run, stop and go on from their checkpoint as if they had not stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors.numpy import load_file

from nvc_check.checker.media.sample import render_sample
from nvc_check.models.codecs.loading import load_codec
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall
from nvc_check.models.training import image as train_image
from nvc_check.models.training import video as train_video


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number, rgb in enumerate(render_sample(240, 230, 2, seed=0)):
        Image.fromarray(rgb).save(tmp_path / "data" / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def trained(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs a trainer for some steps of batch 1; gives its weights."""

    def run(program: Callable[[], None], name: str, steps: int, *options: str) -> Path:
        out, checkpoint = tmp_path / f"{name}.safetensors", tmp_path / f"{name}.ckpt"
        fixed = ["--data", str(photographs), "--out", str(out), "--checkpoint", str(checkpoint), "--batch", "1"]
        monkeypatch.setattr(sys, "argv", ["train", *fixed, "--steps", str(steps), *options])
        program()
        return out

    return run


def test_a_stopped_run_goes_on(trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps and two more give the weights of four: optimizer, random numbers and schedule are kept."""
    monkeypatch.setattr("nvc_check.models.training.loop.learning_rate_factor", lambda step, steps: 1.0)
    whole = load_file(trained(train_image.main, "whole", 4, "--crop", "64"))
    trained(train_image.main, "halves", 2, "--crop", "64")
    halves = load_file(trained(train_image.main, "halves", 4, "--crop", "64"))
    assert whole.keys() == halves.keys()
    assert all((whole[name] == halves[name]).all() for name in whole)


def test_each_stage_moves_its_own_path(trained: Callable[..., Path]) -> None:
    """Keyframe leaves motion and residual alone, motion the residual too, inter the keyframe path; then both join."""
    start = trained(train_video.main, "start", 0)
    keyframe = trained(train_video.main, "keyframe", 1, "--stage", "keyframe", "--start", str(start))
    motion = trained(train_video.main, "motion", 1, "--stage", "motion", "--start", str(start))
    inter = trained(train_video.main, "inter", 1, "--stage", "inter", "--start", str(start))
    joined = trained(train_video.main, "joined", 0, "--start", str(inter), "--keyframe", str(keyframe))
    began, first, moving, second, both = (load_file(file) for file in (start, keyframe, motion, inter, joined))

    def moved(weights: dict[str, object]) -> set[str]:
        kept = [name for name in began if not name.endswith("quantiles")]  # found anew whenever weights are written
        return {name.split("_")[0] for name in kept if (began[name] != weights[name]).any()}

    assert moved(first) == {"img"}
    assert moved(moving) == {"motion"}
    assert moved(second) == {"motion", "res"}
    assert moved(both) == {"img", "motion", "res"}
    assert load_codec(str(joined)).architecture == "ssf-small"


def test_a_seed_gives_the_same_model_and_another_seed_another() -> None:
    """And the weights are float16-representable, as trained ones are."""
    first, again, other = (seeded(lambda: ScaleSpaceFlowSmall(16), seed) for seed in (1, 1, 2))
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert (a == b).all() and (a == a.half().float()).all()
        assert a.ndim < 4 or (a != c).any()


def test_full_width_from_a_seed() -> None:
    """ssf2020 without any weights at hand: CompressAI's own class and widths."""
    codec = load_codec("ssf2020@seed3")
    assert (codec.name, codec.kind) == ("ssf2020@seed3", "video")
    assert codec.model.img_encoder[0].weight.shape == (128, 3, 5, 5)
