"""Steps that several commands share: a sample clip, a clip's symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.console import progress_bar
from nvc_check.models.errors import UsageError

OutOption = Annotated[Path, typer.Option("--out", help="Where to write; appears only when whole.")]
SAMPLE_SIZE, SAMPLE_FRAMES, SAMPLE_SEED = "768x512", 10, 0
DECODER_SAMPLE = (160, 128)  # of nets that enlarge pictures: the oracle takes a second for some 10^9 products


def render(out: Path, size: str, frames: int, seed: int) -> None:
    from nvc_check.checker.sample import write_sample

    width, cross, height = size.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {size}: expected WIDTHxHEIGHT, e.g. {SAMPLE_SIZE}")
    with progress_bar("rendering", frames) as step:
        write_sample(out, int(width), int(height), frames, seed, progress=step)


def sample_size(package: Any) -> str:
    """WIDTHxHEIGHT of the sample clip of a package; raises UsageError where its decoder takes no pictures."""
    if package.manifest.kind != "graph":
        return SAMPLE_SIZE
    from nvc_check.checker.picture_examples import of_package, sample_size

    width, height = sample_size(of_package(package.manifest, "--input: missing"), *DECODER_SAMPLE)
    return f"{width}x{height}"


def encode(package: Any, input: Path, out: Path) -> None:
    if package.manifest.kind == "graph":
        from nvc_check.checker.examples import write_examples

        write_examples(package, input, out)
        return
    from nvc_check.checker.clip import open_clip
    from nvc_check.checker.encode import write_symbols

    clip = open_clip(input)
    with progress_bar("encoding", clip.count()) as step:
        one_size = package.manifest.kind == "video"
        frames = ((frame.name, frame.rgb) for frame in clip.frames(one_size))
        write_symbols(package, frames, {"source": input.name}, out, step)
