"""The content decides whether a file is a picture or a video, and how many pictures it has."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.media.clip import open_clip
from nvc_check.checker.media.picture_streams import stream_demuxer
from nvc_check.models.errors import UsageError

FORMATS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]


def picture(seed: int = 0) -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[:32, :48]
    return np.stack([columns * 4, rows * 6, columns + rows + 40 * seed], axis=2).astype(np.uint8)


def saved(rgb: npt.NDArray[np.uint8], name: str, **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(rgb).save(target, name, **options)
    return target.getvalue()


def video(file: Path, streams: int = 1, cover: bool = False, **tags: str) -> None:
    with av.open(str(file), "w") as container:
        container.metadata.update(tags)
        tracks = [container.add_stream("mpeg4", rate=30) for _ in range(streams)]
        for track in tracks:
            assert isinstance(track, av.VideoStream)
            track.height, track.width, track.pix_fmt = 32, 48, "yuv420p"
        if cover:
            art = container.add_stream("mjpeg", rate=30)
            art.height, art.width, art.pix_fmt = 16, 16, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            container.mux(art.encode(av.VideoFrame.from_ndarray(picture()[:16, :16], "rgb24")))
            container.mux(art.encode(None))
        for track in tracks:
            for at in range(3):
                container.mux(track.encode(av.VideoFrame.from_ndarray(picture(at), "rgb24")))
            container.mux(track.encode(None))


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        list(open_clip(file).frames())
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("suffix", [".mp4", ".y4m", ".txt", ""])
def test_a_picture_by_another_name_is_a_picture(tmp_path: Path, name: str, suffix: str) -> None:
    """A PNG named .mp4 gives its one picture."""
    file = tmp_path / f"file{suffix}"
    file.write_bytes(saved(picture(), name))
    clip = open_clip(file)
    (frame,) = clip.frames()
    assert (clip.kind, frame.name) == ("pictures", file.name)
    assert np.abs(frame.rgb.astype(int) - picture()).mean() < 12


@pytest.mark.parametrize("container", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".avif", ".y4m", ""])
def test_a_video_by_another_name_is_a_video(tmp_path: Path, container: str, suffix: str) -> None:
    """An MP4 named .png gives all its frames."""
    video(tmp_path / f"clip{container}")
    file = (tmp_path / f"clip{container}").rename(tmp_path / f"file{suffix}")
    clip = open_clip(file)
    assert (clip.kind, len(list(clip.frames()))) == ("video", 3)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "PPM", "BMP"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".ppm", ".bmp", ".bin"])
def test_pictures_behind_each_other_are_a_video(tmp_path: Path, name: str, suffix: str) -> None:
    """All three, as `ffmpeg -f image2pipe` writes them; one alone is a picture, whatever padding follows."""
    file = tmp_path / f"file{suffix}"
    file.write_bytes(b"".join(saved(picture(at), name) for at in range(3)))
    frames = [frame.rgb for frame in open_clip(file).frames()]
    assert len(frames) == 3
    for at, rgb in enumerate(frames):
        assert np.abs(rgb.astype(int) - picture(at)).mean() < 12
    file.write_bytes(saved(picture(), name) + bytes(9))
    assert stream_demuxer(file) is None
    assert len(list(open_clip(file).frames())) == 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_bits_and_grey_behind_each_other_too(tmp_path: Path, mode: str) -> None:
    """The other raw formats of Netpbm, with comments in the header."""
    one = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(one, "PPM")
    commented = one.getvalue().replace(b"\n", b"\n# note\n", 1)
    (tmp_path / "three.pnm").write_bytes(commented * 3)
    assert len(list(open_clip(tmp_path / "three.pnm").frames())) == 3


def test_pictures_behind_each_other_are_named_in_a_folder(tmp_path: Path) -> None:
    """A folder is of pictures; one of several is not silently the first."""
    (tmp_path / "1.png").write_bytes(saved(picture(), "PNG"))
    (tmp_path / "2.png").write_bytes(saved(picture(), "PNG") * 2)
    assert refusal(tmp_path).startswith(f"{tmp_path / '2.png'}: pictures one behind the other")


def test_previews_behind_a_jpeg_are_no_stream(tmp_path: Path) -> None:
    """A JPEG that says so in XMP, as telephones write it, is one picture; so is an MPO with undefined companions."""
    jpeg = saved(picture(), "JPEG")
    body = b"http://ns.adobe.com/xap/1.0/\0<x Container:Directory='2'/>"
    noted = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    (tmp_path / "motion.jpg").write_bytes(noted + jpeg)
    mpo = saved(picture(), "MPO", save_all=True, append_images=[Image.fromarray(picture(1))])
    (tmp_path / "camera.mpo").write_bytes(mpo)
    for name in ("motion.jpg", "camera.mpo"):
        assert open_clip(tmp_path / name).kind == "pictures"
        assert len(list(open_clip(tmp_path / name).frames())) == 1


def test_views_of_an_mpo_are_refused(tmp_path: Path) -> None:
    """A stereo camera's two views are of equal rank."""
    data = bytearray(saved(picture(), "MPO", save_all=True, append_images=[Image.fromarray(picture(1))]))
    # The entries: 0xB002, undefined (7), 32 bytes; the type is in the low 24 bits of each first word
    at = data.index(b"MPF\0") + 4
    tag = data.index(struct.pack("<HHI", 0xB002, 7, 32), at)
    entries = at + struct.unpack_from("<I", data, tag + 8)[0]
    for entry in (entries, entries + 16):
        word = struct.unpack_from("<I", data, entry)[0]
        struct.pack_into("<I", data, entry, word & 0xFF000000 | 0x020002)
    (tmp_path / "stereo.mpo").write_bytes(data)
    assert "2 pictures in one file" in refusal(tmp_path / "stereo.mpo")


@pytest.mark.parametrize("tag", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_previews_of_raw_files_are_refused(tmp_path: Path, tag: dict[int, object]) -> None:
    """A raw file is a TIFF whose first picture is small."""
    (tmp_path / "camera.dng").write_bytes(saved(picture(), "TIFF", tiffinfo=tag))
    assert "a preview" in refusal(tmp_path / "camera.dng")


@pytest.mark.parametrize("container", [".mp4", ".mkv", ".avi", ".mov", ".nut"])
@pytest.mark.parametrize("tag", [b"caf\xe9!!", b"\xff\xfe\x80\x81\xc3\x28"])
def test_tags_of_any_encoding_do_not_matter(tmp_path: Path, container: str, tag: bytes) -> None:
    """Latin-1 and what is no text at all; the stream is the same."""
    file = tmp_path / f"clip{container}"
    video(file, title="WXYZ42", artist="WXYZ42")
    frames = [frame.rgb for frame in open_clip(file).frames()]
    data = file.read_bytes()
    assert data.count(b"WXYZ42") == 2
    file.write_bytes(data.replace(b"WXYZ42", tag))
    for frame, wanted in zip(open_clip(file).frames(), frames, strict=True):
        np.testing.assert_array_equal(frame.rgb, wanted)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are UTF-8 there")
def test_names_of_any_encoding_do_not_matter(tmp_path: Path) -> None:
    """A file from an old disk."""
    video(tmp_path / "clip.mkv")
    for data in ((tmp_path / "clip.mkv").read_bytes(), saved(picture(), "PNG")):
        file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
        file.write_bytes(data)
        assert list(open_clip(file).frames())


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    """Of an MP4 with a cover, the video is read."""
    video(tmp_path / "cover.mp4", cover=True)
    assert [frame.rgb.shape for frame in open_clip(tmp_path / "cover.mp4").frames()] == [(32, 48, 3)] * 3


def test_two_videos_in_one_file_are_refused(tmp_path: Path) -> None:
    """Reading the first of two would look like success."""
    video(tmp_path / "two.mkv", streams=2)
    assert "2 video streams, expected 1" in refusal(tmp_path / "two.mkv")


@pytest.mark.parametrize(
    "text",
    [
        "hello world\n" * 30,
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://192.0.2.1/x.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("suffix", [".txt", ".m3u8", ".sdp", ".ans"])
def test_text_is_refused_and_nothing_waits(tmp_path: Path, text: str, suffix: str) -> None:
    """FFmpeg draws text, follows play lists to other machines, and listens for what a session announces."""
    (tmp_path / f"notes{suffix}").write_text(text)
    assert "expected" in refusal(tmp_path / f"notes{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A named pipe would wait for ever: alone it is refused, in a folder it is left alone."""
    os.mkfifo(tmp_path / "pipe.png")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe.png")
    (tmp_path / "1.png").write_bytes(saved(picture(), "PNG"))
    assert open_clip(tmp_path).count() == 1


def test_a_folder_is_read_by_content(tmp_path: Path) -> None:
    """A picture without a suffix belongs to it; a video and notes do not; a video named .png is named."""
    (tmp_path / "noname").write_bytes(saved(picture(), "JPEG"))
    (tmp_path / "notes.txt").write_text("none")
    video(tmp_path / "clip.mp4")
    assert [frame.name for frame in open_clip(tmp_path).frames()] == ["noname"]
    (tmp_path / "clip.mp4").rename(tmp_path / "clip.png")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'clip.png'}: not a picture")


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_one_line(tmp_path: Path, name: str) -> None:
    """Any byte and any end: a picture comes out, or one line that begins with the name."""
    data, random = saved(picture(), name), np.random.default_rng(7)
    for _ in range(40):
        damaged = bytearray(data)
        for at in random.integers(0, len(data), 3):
            damaged[at] = random.integers(256)
        (tmp_path / "damaged").write_bytes(damaged[: random.integers(len(data) // 2, len(data) + 1)])
        found = None
        try:
            list(open_clip(tmp_path / "damaged").frames())
        except UsageError as error:
            found = str(error)
        assert found is None or (found.startswith(f"{tmp_path / 'damaged'}: ") and "\n" not in found)


@pytest.mark.parametrize("tags", [b"Exif\0\0XX", b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0"])
def test_damaged_tags_do_not_matter(tmp_path: Path, tags: bytes) -> None:
    """An orientation that nobody can read is none."""
    jpeg = saved(picture(), "JPEG")
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tags) + 2) + tags + jpeg[2:])
    (tmp_path / "b.jpg").write_bytes(jpeg)
    first, second = open_clip(tmp_path).frames()
    np.testing.assert_array_equal(first.rgb, second.rgb)
