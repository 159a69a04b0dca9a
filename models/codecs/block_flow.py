"""Motion by block matching, for the encoder: where each pixel of a frame was in the frame before.

A network of four layers learns to estimate motion only after millions of steps; to code a flow that it is given it
learns in thousands. Decoders never see this, so it may be floating-point and may change.
"""

from __future__ import annotations

import itertools

import torch
from torch.nn import functional

REACH = 8  # pixels of the halved pictures: motion up to 16 pixels is found
BLOCK, STRIDE = 6, 2  # pixels of the halved pictures: window of the full search, and the distance of its results
WINDOW = 7  # pixels: window of the refinements
LENGTH_COST = 0.004  # mean absolute difference that a halved pixel of motion must save: flat areas stand still
NEAR_TIE = 2e-3  # what a refinement must save
STEPS = 1024  # of luma: the full search is then exact in float32, so that it finds the same on every machine
# ITU-R BT.601 in steps, as of pictures in steps of 1 / STEPS, where sums fall on ties, they are exact in any order
LUMA = (306 / STEPS, 601 / STEPS, 117 / STEPS)


@torch.no_grad()
def block_flow(frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Flow (B, 2, H, W) float32, right and down in pixels, at which `reference` (B, 3, H, W) looks like `frame`.

    Full search at half size, then half a pixel around it at half size and at full. H and W multiples of 4, pictures
    in [0, 1]; only their luma is looked at.
    """
    frame, reference = _luma(frame), _luma(reference)
    halved, halved_reference = functional.avg_pool2d(frame, 2), functional.avg_pool2d(reference, 2)
    whole = _full_search(halved.float(), halved_reference.float()).to(frame.dtype)
    flow = functional.interpolate(whole, scale_factor=STRIDE)
    flow = _refined(flow, halved, halved_reference)
    return _refined(2 * functional.interpolate(flow, scale_factor=2), frame, reference)


def warped(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """`picture` (B, C, H, W) read bilinearly at each pixel's place plus `flow` (B, 2, H, W) pixels."""
    height, width = picture.shape[2:]
    identity = torch.eye(2, 3, dtype=picture.dtype).expand(len(picture), -1, -1)
    grid = functional.affine_grid(identity, [len(picture), 1, height, width], align_corners=False)
    grid = grid + flow.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
    return functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)


def _luma(picture: torch.Tensor) -> torch.Tensor:
    luma = functional.conv2d(picture, torch.tensor(LUMA, dtype=picture.dtype).reshape(1, 3, 1, 1))
    return torch.round(luma * STEPS) / STEPS


def _full_search(frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(B, 2, H / STRIDE, W / STRIDE) in pixels of these pictures, which are in steps of 1 / (4 STEPS)."""
    height, width = frame.shape[2:]
    padded = functional.pad(reference, (REACH,) * 4, mode="replicate")
    flow, least = torch.empty(0), torch.empty(0)
    for y in range(-REACH, REACH + 1):
        rows = padded[:, :, REACH + y : REACH + y + height]
        errors = []
        for x in range(-REACH, REACH + 1):
            difference = (frame - rows[..., REACH + x : REACH + x + width]).abs()
            blocks = functional.avg_pool2d(difference, BLOCK, STRIDE, (BLOCK - STRIDE) // 2, count_include_pad=False)
            errors.append(blocks + LENGTH_COST * (abs(x) + abs(y)))
        error, column = torch.cat(errors, dim=1).min(dim=1, keepdim=True)
        move = torch.cat((column - REACH, torch.full_like(column, y)), dim=1).to(frame.dtype)
        flow = torch.where(error < least, move, flow) if len(flow) else move
        least = torch.minimum(error, least) if len(least) else error
    return flow


def _refined(flow: torch.Tensor, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The best of `flow` and its eight neighbours half a pixel away."""
    best, least = flow, torch.full_like(flow[:, :1], torch.inf)
    for x, y in itertools.product((0.0, -0.5, 0.5), repeat=2):
        candidate = flow + torch.tensor([x, y]).reshape(1, 2, 1, 1)
        difference = (frame - warped(reference, candidate)).abs()
        error = functional.avg_pool2d(difference, WINDOW, 1, WINDOW // 2, count_include_pad=False)
        better = error < least - NEAR_TIE
        best, least = torch.where(better, candidate, best), torch.where(better, error, least)
    return best
