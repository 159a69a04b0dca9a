"""Short clips for training, made from photographs: pan, zoom, rotation, objects in front, brightness."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Generator = np.random.Generator


def moving_crops(
    pictures: list[Any], count: int, size: int, frames: int, rng: Generator
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Uniform motion from frame to frame, and the flow that made it.

    Returns:
        `frames` tensors (count, 3, size, size) float32 in [0, 1], channels_last; for each frame but the first a flow
        (count, 2, size, size) float32: where its pixels were in the frame before, right and down from here, in pixels.
    """
    clips, flows = zip(*(_clip(pictures, size, frames, rng) for _ in range(count)), strict=True)
    batches = torch.stack(clips).transpose(0, 1)
    contiguous = [batch.contiguous(memory_format=torch.channels_last) for batch in batches]
    return contiguous, list(torch.stack(flows).transpose(0, 1))


def _clip(pictures: list[Any], size: int, frames: int, rng: Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(frames, 3, size, size) and (frames - 1, 2, size, size): a moving background, objects that move on their own."""
    # a fixed camera every third time: nothing moves but the objects
    clip, flow = _moving(_patch(pictures, size, rng), size, frames, rng, _velocity(rng, moves=rng.random() > 0.3))
    for _ in range(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))):
        velocity = _velocity(rng, moves=True)
        cover, cover_flow = _moving(_patch(pictures, size, rng), size, frames, rng, velocity)
        mask = _moving_ellipse(size, frames, rng, velocity)
        clip = mask * cover + (1 - mask) * clip
        flow = torch.where(mask[1:] > 0.5, cover_flow, flow)
    if rng.random() < 0.3:
        gain = 1 + rng.normal(0, 0.02) * torch.arange(frames).reshape(-1, 1, 1, 1)
        clip = clip * gain
    return clip.clamp(0, 1).float(), flow


def _patch(pictures: list[Any], size: int, rng: Generator) -> torch.Tensor:
    """(1, 3, s, s) with s up to 1.75 times `size`: room to move in."""
    picture = pictures[rng.integers(len(pictures))]
    side = min(size * 7 // 4, *picture.shape[:2])
    top, left = (rng.integers(length - side + 1) for length in picture.shape[:2])
    patch = picture[top : top + side, left : left + side]
    patch = patch[:, ::-1] if rng.random() < 0.5 else patch
    return torch.from_numpy(patch.copy()).permute(2, 0, 1)[None].float() / 255


def _velocity(rng: Generator, moves: bool) -> tuple[float, float]:
    """(right, down) in pixels a frame."""
    speed, direction = rng.gamma(1.0, 2.5) * moves, rng.uniform(0, 2 * math.pi)
    return speed * math.cos(direction), speed * math.sin(direction)


def _moving(
    patch: torch.Tensor, size: int, frames: int, rng: Generator, velocity: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames sampled from the patch, which moves by `velocity`, at times zooms and turns too; and their flow."""
    turn = rng.normal(0, 0.01) if any(velocity) and rng.random() < 0.3 else 0.0
    zoom = rng.normal(0, 0.01) if any(velocity) and rng.random() < 0.3 else 0.0
    side = patch.shape[-1]
    matrices = []
    for time in np.arange(frames) - (frames - 1) / 2:
        angle, scale = turn * time, size / side * math.exp(zoom * time)
        x, y = (-2 * component * time / side for component in velocity)  # the sampling grid moves against the picture
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        matrices.append([[cosine, -sine, x], [sine, cosine, y], [0.0, 0.0, 1.0]])
    affine = torch.tensor(matrices, dtype=torch.float32)
    grid = functional.affine_grid(affine[:, :2], [frames, 3, size, size], align_corners=False)
    moving = functional.grid_sample(
        patch.expand(frames, -1, -1, -1), grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    # from a frame's coordinates to the patch's, and from there to those of the frame before
    back = (torch.linalg.inv(affine[:-1]) @ affine[1:] - torch.eye(3))[:, :2]
    flow = functional.affine_grid(back, [frames - 1, 2, size, size], align_corners=False) * (size / 2)
    return moving, flow.permute(0, 3, 1, 2)


def _moving_ellipse(size: int, frames: int, rng: Generator, velocity: tuple[float, float]) -> torch.Tensor:
    """(frames, 1, size, size) mask with a soft edge of one pixel; moves as `_moving` does."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre, radii = rng.uniform(0, size, 2), rng.uniform(size / 10, size / 3, 2)
    masks = []
    for time in np.arange(frames) - (frames - 1) / 2:
        y, x = centre + np.array(velocity[::-1]) * time
        distance = torch.sqrt(((rows - y) / radii[0]) ** 2 + ((columns - x) / radii[1]) ** 2)
        masks.append(((1 - distance) * radii.min() + 0.5).clamp(0, 1))
    return torch.stack(masks)[:, None]
