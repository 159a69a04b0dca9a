"""What people hand in, with one thing changed: checkpoints, pictures and clips, each with its command."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import torch
from PIL import Image
from property.altered import VALUES, Originals, Rng, mutated_bytes, mutated_json
from safetensors.torch import save

SIDE: Final = 64
HEAD: Final = 200  # bytes: what a picture says of itself stands there, and is altered as often as all the rest
FORMATS: Final = ("png", "jpg", "webp", "gif", "tiff", "bmp", "jp2", "ppm", "avif")


def made_media(folder: Path) -> list[Path]:
    """A picture in each of FORMATS and a clip in three containers; sizes in pixels are SIDE."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(3)]
    files = []
    for suffix in FORMATS:
        files.append(folder / f"picture.{suffix}")
        Image.fromarray(frames[0]).save(files[-1])
    for name, coder in (("clip.mkv", "ffv1"), ("clip.avi", "mjpeg"), ("clip.mp4", "mpeg4")):
        files.append(folder / name)
        with av.open(str(files[-1]), "w") as container:
            stream: Any = container.add_stream(coder, rate=25)
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuvj420p" if coder == "mjpeg" else "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return files


def altered_media(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    file = originals.media[int(rng.integers(len(originals.media)))]
    data = file.read_bytes()
    head = HEAD if rng.random() < 0.5 else len(data)
    out = folder / file.name
    out.write_bytes(mutated_bytes(data[:head], rng) + data[head:])
    return ["symbols", str(originals.package), "--input", str(out), "--out", str(folder / "made.npz")]


def altered_checkpoint(originals: Originals, folder: Path, rng: Rng) -> list[str]:
    out = folder / "altered.pt"
    if rng.random() < 0.5:
        saved = torch.load(originals.checkpoint, weights_only=True)
        _alter(saved, rng)
        torch.save(saved, out)
    elif rng.random() < 0.5:
        with zipfile.ZipFile(originals.checkpoint) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        name = next(n for n in entries if n.endswith("data.pkl")) if rng.random() < 0.7 else rng.choice(sorted(entries))
        entries[name] = mutated_bytes(entries[name], rng)
        with zipfile.ZipFile(out, "w") as archive:
            for entry, content in entries.items():
                archive.writestr(entry, content)
    elif rng.random() < 0.5:
        out = folder / "altered.safetensors"
        out.write_bytes(_safetensors(torch.load(originals.checkpoint, weights_only=True), rng))
    else:
        out.write_bytes(mutated_bytes(originals.checkpoint.read_bytes(), rng))
    return ["export", str(out), "--calibration", str(originals.pictures), "--out", str(folder / "made")]


def _safetensors(state: dict[str, torch.Tensor], rng: Rng) -> bytes:
    data = save(state)
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(mutated_json(json.loads(data[8 : 8 + size]), rng)).encode("utf-8", "surrogatepass")
    size = int(rng.choice([0, 1, 2**31, 2**62])) if rng.random() < 0.1 else len(header)
    return size.to_bytes(8, "little") + header + data[8 + size :]


class Other:
    """A class that no reader may build."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (open, ("/dev/zero",))


def _alter(state: dict[str, Any], rng: Rng) -> None:
    """One weight taken out, of another type, shape or value, or something else beside the weights."""
    name = sorted(state)[int(rng.integers(len(state)))]
    weight = state[name]
    changed: list[Any] = [
        weight.flatten()[:-1],
        weight[..., None],
        weight.flatten()[:1].expand(1 << 40) if weight.numel() else weight,
        weight.to(torch.complex64),
        weight.to(torch.int8),
        weight.to(torch.bfloat16),
        weight.to_sparse() if weight.ndim else weight,
        torch.full_like(weight, float("nan")) if weight.is_floating_point() else weight,
        torch.full_like(weight, float("inf")) if weight.is_floating_point() else weight,
        weight * 1e30,
        weight * 0,
        weight - 2**40,
        weight.numpy(),
        io.BytesIO(b"x").getvalue(),
        VALUES[int(rng.integers(len(VALUES)))],
    ]
    way = rng.random()
    if way < 0.1:
        del state[name]
    elif way < 0.2:
        state[f"{name}[/red]\x1b[31m"] = state.pop(name)
    elif way < 0.25:
        state["beside"] = Other()
    else:
        state[name] = changed[int(rng.integers(len(changed)))]
