"""Small HEIC and AVIF pictures, grids of tiles and sequences: what no library at hand writes is put together here."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

CODINGS = {"heic": ("libx265", b"hvc1", b"hvcC"), "avif": ("libsvtav1", b"av01", b"av1C")}
# x265 leaves the times of its first frames unset, now and then, when it waits for B-frames that do not come
OPTIONS = {"libx265": {"x265-params": "log-level=none:lossless=1:bframes=0"}, "libsvtav1": {"crf": "5"}}


@dataclass(frozen=True)
class Coded:
    """`config`: the decoder configuration record of the coding; `sample`: one picture; both as MP4 has them."""

    config: bytes
    sample: bytes


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def full(kind: bytes, *bodies: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3, "big"), *bodies)


def u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


@contextmanager
def _usual_scheduling() -> Iterator[None]:
    """SVT-AV1, run by root, leaves its caller in real time (SCHED_FIFO 99), and every thread that is started later too.

    Thread pools that spin there take all processors from the thread that they wait for, and nothing goes on.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def movie(frames: list[npt.NDArray[np.uint8]], coding: Literal["heic", "avif"], pixels: str = "yuv420p") -> bytes:
    """An MP4 of (H, W, 3) uint8 frames."""
    codec = CODINGS[coding][0]
    target = io.BytesIO()
    with _usual_scheduling(), av.open(target, "w", format="mp4") as container:
        video = container.add_stream(codec, rate=30, options=OPTIONS[codec])
        assert isinstance(video, av.VideoStream)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = pixels
        for rgb in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixels)))
        container.mux(video.encode(None))
    return target.getvalue()


def coded(rgb: npt.NDArray[np.uint8], coding: Literal["heic", "avif"], pixels: str = "yuv420p") -> Coded:
    with av.open(io.BytesIO(movie([rgb], coding, pixels)), "r") as container:
        stream = container.streams.video[0]
        sample = next(bytes(packet) for packet in container.demux(stream) if packet.size)
        config = stream.codec_context.extradata
    assert config is not None
    return Coded(config, sample)


def picture(
    tiles: list[npt.NDArray[np.uint8]],
    coding: Literal["heic", "avif"],
    pixels: str = "yuv420p",
    turned: int = 0,
    hidden: bool = True,
    loose: int = 0,
) -> bytes:
    """A HEIF file of one tile, or of a grid of one column.

    `turned`: quarter turns against the clock (`irot`). `hidden`: the tiles are marked as no pictures of their own.
    `loose`: how many of the last tiles are no part of the grid.
    """
    kind, config_box = CODINGS[coding][1:]
    height, width = tiles[0].shape[:2]
    pictures = [coded(tile, coding, pixels) for tile in tiles]
    samples = b"".join(one.sample for one in pictures)
    is_grid, rows = len(tiles) > 1, len(tiles) - loose
    grid = bytes([0, 0, rows - 1, 0]) + u16(width, height * rows)
    # Properties 1 to 4: size of a tile, its decoder's configuration, size of the whole, rotation
    properties = box(
        b"ipco",
        full(b"ispe", u32(width, height)),
        box(config_box, pictures[0].config),
        full(b"ispe", u32(width, height * rows)),
        box(b"irot", bytes([turned])),
    )
    # Items 1 to n are the tiles, n + 1 the grid; of a single tile, item 1 is the picture
    ids = range(1, len(tiles) + 1)
    primary = len(tiles) + 1 if is_grid else 1
    kinds = [(number, kind) for number in ids] + ([(primary, b"grid")] if is_grid else [])
    entries = [
        full(b"infe", u16(number, 0), one, b"\0", version=2, flags=int(hidden and number != primary))
        for number, one in kinds
    ]
    uses = {number: [0x81, 0x82] if number != primary or not is_grid else [0x83] for number, _ in kinds}
    uses[primary].append(0x84)

    def meta(mdat_at: int) -> bytes:
        places, at = [], mdat_at
        for number, one in zip(ids, pictures, strict=True):
            places.append(u16(number, 0, 0, 1) + u32(at, len(one.sample)))
            at += len(one.sample)
        if is_grid:
            places.append(u16(primary, 1, 0, 1) + u32(0, len(grid)))
        associations = b"".join(u16(number) + bytes([len(uses[number]), *uses[number]]) for number, _ in kinds)
        return full(
            b"meta",
            full(b"hdlr", u32(0), b"pict", bytes(13)),
            full(b"pitm", u16(primary)),
            full(b"iinf", u16(len(kinds)), *entries),
            full(b"iref", box(b"dimg", u16(primary, rows, *ids[:rows]))) if is_grid else b"",
            box(b"iprp", properties, full(b"ipma", u32(len(kinds)), associations)),
            box(b"idat", grid) if is_grid else b"",
            full(b"iloc", b"\x44\x00", u16(len(places)), *places, version=1),
        )

    head = box(b"ftyp", coding.encode(), u32(0), b"mif1", coding.encode())
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", samples)
