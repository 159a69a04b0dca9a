"""More than 8 bits per channel, and floats, are refused in pictures, whatever reads them; sizes are bounded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.media.clip import open_clip
from nvc_check.checker.media.size_limit import MAX_PIXELS, oversize
from nvc_check.models.errors import UsageError


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        list(open_clip(file).frames())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{file}: ")
    return message


def coded(file: Path, codec: str, pixels: str, shape: tuple[int, int] = (8, 12)) -> None:
    """One picture by an encoder of FFmpeg."""
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with av.open(str(file), "w", format="image2") as container:
        video = container.add_stream(codec, rate=1)
        assert isinstance(video, av.VideoStream)
        video.height, video.width, video.pix_fmt = *shape, pixels
        container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixels)))
        container.mux(video.encode(None))


def netpbm(kind: str, largest: int, samples: npt.NDArray[np.uint8 | np.uint16]) -> bytes:
    """(H, W) or (H, W, 3), raw or plain."""
    head = f"{kind}\n# by hand\n{samples.shape[1]} {samples.shape[0]}\n{largest}\n".encode()
    if kind in {"P2", "P3"}:
        return head + " ".join(map(str, samples.ravel())).encode() + b"\n"
    return head + samples.astype(">u2" if largest > 255 else np.uint8).tobytes()


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize("largest", [256, 1023, 65535])
def test_deep_netpbm_is_refused(tmp_path: Path, kind: str, largest: int) -> None:
    """Grey and colour, plain and raw."""
    shape = (4, 5) if kind in {"P2", "P5"} else (4, 5, 3)
    samples = np.random.default_rng(0).integers(0, largest + 1, shape, dtype=np.uint16)
    (tmp_path / "deep.pnm").write_bytes(netpbm(kind, largest, samples))
    assert "more than 8 bits per channel" in refusal(tmp_path / "deep.pnm")


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_netpbm_of_8_bits_is_read(tmp_path: Path, kind: str) -> None:
    """The neighbour that is not refused gives its samples back."""
    shape = (4, 5) if kind in {"P2", "P5"} else (4, 5, 3)
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "plain.pnm").write_bytes(netpbm(kind, 255, samples))
    (frame,) = open_clip(tmp_path / "plain.pnm").frames()
    wanted = samples if samples.ndim == 3 else np.repeat(samples[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(frame.rgb, wanted)


@pytest.mark.parametrize(("kind", "channels"), [("PF", 3), ("Pf", 1)])
@pytest.mark.parametrize("scale", ["-1.0", "1.0"])
def test_floats_are_refused(tmp_path: Path, kind: str, channels: int, scale: str) -> None:
    """FFmpeg would take 1.0 for white and cut off the rest."""
    data = f"{kind}\n4 3\n{scale}\n".encode() + np.ones(12 * channels, np.float32).tobytes()
    (tmp_path / "linear.pfm").write_bytes(data)
    assert "more than 8 bits per channel" in refusal(tmp_path / "linear.pfm")


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.exr", "exr", "gbrpf32le"),
        ("a.hdr", "hdr", "gbrpf32le"),
        ("a.dpx", "dpx", "gbrp10le"),
        ("a.sgi", "sgi", "rgb48be"),
        ("a.tif", "tiff", "rgb48le"),
        ("a.jp2", "jpeg2000", "rgb48le"),
        ("a.jp2", "jpeg2000", "gray16le"),
        ("a.png", "png", "rgba64be"),
        ("a.pam", "pam", "rgb48be"),
    ],
)
def test_deep_pictures_are_refused(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    """By Pillow or by FFmpeg, under a name that tells and under one that does not."""
    coded(tmp_path / name, codec, pixels)
    (tmp_path / "copy.dat").write_bytes((tmp_path / name).read_bytes())
    for file in (tmp_path / name, tmp_path / "copy.dat"):
        assert "more than 8 bits per channel" in refusal(file)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("a.dpx", "dpx", "rgb24"), ("a.sgi", "sgi", "rgb24"), ("a.jp2", "jpeg2000", "rgb24")]
)
def test_their_neighbours_of_8_bits_are_read(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    """Nothing is lost, so nothing is refused."""
    coded(tmp_path / name, codec, pixels)
    (frame,) = open_clip(tmp_path / name).frames()
    assert frame.rgb.shape == (8, 12, 3)


def test_floats_in_a_video_are_refused(tmp_path: Path) -> None:
    """Ten bits of a video are rounded as documented; floats have no white."""
    for name, codec, pixels in (("ten.mkv", "ffv1", "yuv420p10le"), ("floats.mov", "exr", "gbrpf32le")):
        with av.open(str(tmp_path / name), "w") as container:
            video = container.add_stream(codec, rate=30)
            assert isinstance(video, av.VideoStream)
            video.height, video.width, video.pix_fmt = 16, 16, pixels
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24").reformat(format=pixels)
            container.mux(video.encode(frame))
            container.mux(video.encode(None))
    assert len(list(open_clip(tmp_path / "ten.mkv").frames())) == 1
    assert "more than 8 bits per channel" in refusal(tmp_path / "floats.mov")


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


@pytest.mark.parametrize("size", [(9460, 9460), (15000, 15000), (60000, 60000)])
def test_absurd_sizes_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    """A few bytes that declare gigabytes; the message is about the size, in every reader."""
    width, height = size
    files = {
        "a.png": png(width, height),
        "a.bmp": bmp(width, height),
        "a.gif": gif(width, height),
        "a.ppm": f"P6 {width} {height} 255\n".encode(),
        "a.y4m": f"YUV4MPEG2 W{width} H{height} C420jpeg\nFRAME\n".encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="pixels, expected"):
            open_clip(tmp_path / name)


def test_an_absurd_size_of_a_video_is_refused(tmp_path: Path) -> None:
    """The header of a raw AVI says 15000x15000."""
    with av.open(str(tmp_path / "raw.avi"), "w") as container:
        video = container.add_stream("rawvideo", rate=30)
        assert isinstance(video, av.VideoStream)
        video.height, video.width, video.pix_fmt = 16, 16, "yuv420p"
        container.mux(video.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(video.encode(None))
    data = bytearray((tmp_path / "raw.avi").read_bytes())
    at = data.index(b"strf") + 12
    data[at : at + 8] = struct.pack("<ii", 15000, 15000)
    (tmp_path / "raw.avi").write_bytes(data)
    assert "15000x15000 pixels, expected" in refusal(tmp_path / "raw.avi")


def test_the_limit_is_where_pillow_warns() -> None:
    """The largest size passes, one pixel more does not."""
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS
    assert oversize(MAX_PIXELS, 1) is None
    assert oversize(MAX_PIXELS + 1, 1) is not None
