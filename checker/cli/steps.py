"""Steps that several commands share: a sample clip, a clip's symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_check.checker.cli.console import progress_bar
from nvc_check.models.errors import UsageError

OutOption = Annotated[Path, typer.Option("--out", help="Where to write; appears only when whole.")]
SAMPLE_SIZE, SAMPLE_FRAMES, SAMPLE_SEED = "768x512", 10, 0
EXCERPT = (128, 160)  # rows, columns of it for decoders of any size: the oracle's 10^9 products take seconds


def render(out: Path, size: str, frames: int, seed: int) -> None:
    from nvc_check.checker.media.sample import write_sample

    width, cross, height = size.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {size}: expected WIDTHxHEIGHT, e.g. {SAMPLE_SIZE}")
    with progress_bar("rendering", frames) as step:
        write_sample(out, int(width), int(height), frames, seed, progress=step)


def sample_size(package: Any) -> str:
    """WIDTHxHEIGHT of the sample clip of a package; raises UsageError where its decoder takes no pictures."""
    if package.manifest.kind != "graph":
        return SAMPLE_SIZE
    from nvc_check.checker.coding.picture_examples import of_package

    takes = of_package(package.manifest, "--input: missing")
    width, height = (int(side) for side in SAMPLE_SIZE.split("x"))
    return f"{max(width, takes.width or 0)}x{max(height, takes.height or 0)}"


def encode(package: Any, input: Path, out: Path, *, sampled: bool = False) -> None:
    """`sampled`: of the pictures for a decoder of any size, the middle is enough."""
    if package.manifest.kind == "graph":
        from nvc_check.checker.coding.examples import write_examples

        write_examples(package, input, out, EXCERPT if sampled else None)
        return
    from nvc_check.checker.coding.encode import write_symbols
    from nvc_check.checker.media.clip import open_clip

    clip = open_clip(input)
    with progress_bar("encoding", clip.count()) as step:
        one_size = package.manifest.kind == "video"
        frames = ((frame.name, frame.rgb) for frame in clip.frames(one_size))
        write_symbols(package, frames, {"source": input.name}, out, step)
