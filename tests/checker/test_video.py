from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nvc_check.checker.media.clip import open_clip
from nvc_check.checker.media.y4m import inspect_y4m, y4m_frame, y4m_header
from nvc_check.models.errors import UsageError

# Bytes of one frame of 7x5 samples, counted by hand: luma 35, chroma planes 4x3, 4x5, 7x5, 2x5
FRAME_BYTES = {
    "420": 59,
    "420jpeg": 59,
    "420mpeg2": 59,
    "420paldv": 59,
    "420p10": 118,
    "422": 75,
    "422p12": 150,
    "444": 105,
    "444alpha": 140,
    "411": 55,
    "mono": 35,
    "mono10": 70,
}


def colours(height: int, width: int, shift: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth picture: 4:2:0 keeps it nearly as it is."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(columns / 9 + shift), np.cos(rows / 8), np.sin((rows + columns) / 11)]
    rgb: npt.NDArray[np.uint8] = (127.5 + 90 * np.stack(waves, axis=2)).astype(np.uint8)
    return rgb


def stream(width: int, height: int, frames: int) -> bytes:
    return y4m_header(width, height) + b"".join(y4m_frame(colours(height, width, at)) for at in range(frames))


def refusal(path: Path) -> str:
    """The message with which reading `path` ends; it is one line that begins with the name."""
    with pytest.raises(UsageError) as caught:
        list(open_clip(path).frames())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


def encode(file: Path, codec: str, frames: int, options: dict[str, str] | None = None) -> None:
    with av.open(str(file), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=30)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for at in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(colours(64, 96, at), "rgb24")))
        container.mux(video.encode(None))


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 48), (64, 47), (17, 31), (351, 287), (1, 1)])
def test_y4m_comes_back(tmp_path: Path, width: int, height: int) -> None:
    """Odd sizes included: every frame in its place, chroma where it was, within rounding."""
    file = tmp_path / "clip.y4m"
    file.write_bytes(stream(width, height, 3))
    clip = open_clip(file)
    frames = list(clip.frames())
    assert (clip.kind, clip.count()) == ("video", 3)
    assert [(frame.index, frame.name) for frame in frames] == [(0, "frame 0"), (1, "frame 1"), (2, "frame 2")]
    for at, frame in enumerate(frames):
        assert frame.rgb.dtype == np.uint8
        error = frame.rgb.astype(float) - colours(height, width, at)
        assert np.sqrt(np.mean(error**2)) < 1.3
        assert np.abs(error @ (0.299, 0.587, 0.114)).max() < 2


def test_y4m_conversion_is_bt601() -> None:
    """Y' = 16 + 219 E / 255 and its two differences, as BT.601-7 gives them, rounded half up."""
    rgb = np.random.default_rng(1).integers(0, 256, (1, 20_000, 3)).repeat(2, axis=1).repeat(2, axis=0)
    planes = np.frombuffer(y4m_frame(rgb.astype(np.uint8)), np.uint8, offset=len(b"FRAME\n"))
    red, green, blue = rgb.astype(np.float64).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    wanted = [
        16 + 219 * luma / 255,
        (128 + 224 * (blue - luma) / (1.772 * 255))[:1, ::2],
        (128 + 224 * (red - luma) / (1.402 * 255))[:1, ::2],
    ]
    exact = np.concatenate([plane.ravel() for plane in wanted])
    # The integer coefficients are within 2**-17 of their values, on sums of up to 255 * 3
    assert np.abs(planes - exact).max() <= 0.5 + 255 * 3 / 2**17


@pytest.mark.parametrize(("colour", "frame_bytes"), FRAME_BYTES.items())
def test_y4m_frame_sizes(tmp_path: Path, colour: str, frame_bytes: int) -> None:
    """Every colour space counts its planes as FFmpeg does: two frames are two frames."""
    file = tmp_path / "clip.y4m"
    planes = b"FRAME\n" + bytes([7]) * frame_bytes
    file.write_bytes(f"YUV4MPEG2 W7 H5 F30:1 C{colour}\n".encode() + planes + planes)
    assert inspect_y4m(file).frame_bytes == frame_bytes
    assert [frame.rgb.shape for frame in open_clip(file).frames()] == [(5, 7, 3)] * 2


def test_y4m_frame_parameters_are_allowed(tmp_path: Path) -> None:
    """A FRAME line may carry parameters, each frame its own."""
    file = tmp_path / "clip.y4m"
    first, second = (y4m_frame(colours(8, 8, at)).removeprefix(b"FRAME\n") for at in range(2))
    file.write_bytes(y4m_header(8, 8) + b"FRAME Ip\n" + first + b"FRAME Xnote=two\n" + second)
    assert open_clip(file).count() == len(list(open_clip(file).frames())) == 2


@pytest.mark.parametrize("missing", [1, 95, 96, 97, 101, 102, 150])
def test_a_truncated_y4m_is_refused_at_once(tmp_path: Path, missing: int) -> None:
    """Cut in the planes, in the FRAME line or just behind it; a cut between frames is not visible."""
    file = tmp_path / "cut.y4m"
    data = stream(8, 8, 3)
    assert len(data) == len(y4m_header(8, 8)) + 3 * 102
    file.write_bytes(data[: len(data) - missing])
    if missing == 102:
        assert open_clip(file).count() == 2
        return
    with pytest.raises(UsageError, match="cut off"):
        open_clip(file)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"hello world\n", 'not a Y4M stream (begins with "hello wo…"), expected "YUV4MPEG2"'),
        (b"", "not a Y4M stream (is empty)"),
        (b"YUV4MPEG2 W8 H8", "header without an end"),
        (b"YUV4MPEG2 W8 H8\n", "header without frames"),
        (b"YUV4MPEG2 H8\nFRAME\n", "nothing for the width"),
        (b"YUV4MPEG2 W8 H-8\nFRAME\n", '"H-8" for the height'),
        (b"YUV4MPEG2 W8 H8 C999\nFRAME\n", "C999"),
        (stream(8, 8, 1) + b"EXTRA", 'frame 1 begins with "EXTRA"'),
    ],
)
def test_a_damaged_y4m_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    """The message says what was found."""
    (tmp_path / "bad.y4m").write_bytes(data)
    assert found in refusal(tmp_path / "bad.y4m")


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.avi"])
def test_compressed_video_is_read(tmp_path: Path, name: str) -> None:
    """Any container of FFmpeg, all frames in display order, twice the same."""
    encode(tmp_path / name, "mpeg4", 8)
    clip = open_clip(tmp_path / name)
    frames = [frame.rgb for frame in clip.frames()]
    assert clip.count() in {8, None}
    assert len(frames) == 8
    for at, (rgb, again) in enumerate(zip(frames, clip.frames(), strict=True)):
        np.testing.assert_array_equal(rgb, again.rgb)
        distances = [np.abs(rgb.astype(int) - colours(64, 96, other)).mean() for other in range(8)]
        assert int(np.argmin(distances)) == at


def test_a_name_that_looks_like_a_protocol_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg would take `http:clip.mkv` for an address."""
    encode(tmp_path / "clip.mkv", "mpeg4", 2)
    (tmp_path / "clip.mkv").rename(tmp_path / "http:clip.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(list(open_clip(Path("http:clip.mkv")).frames())) == 2


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.avi"])
@pytest.mark.parametrize("kept", [0.5, 0.99, 0.999999])
def test_truncated_video_is_refused_at_once(tmp_path: Path, name: str, kept: float) -> None:
    """Some of these FFmpeg would read to the cut without an error."""
    encode(tmp_path / name, "mpeg4", 8, {"movflags": "faststart"} if name.endswith("mp4") else None)
    data = (tmp_path / name).read_bytes()
    (tmp_path / f"cut_{name}").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UsageError, match="cut off"):
        open_clip(tmp_path / f"cut_{name}")


def test_a_cut_that_only_the_decoder_sees_is_refused(tmp_path: Path) -> None:
    """An IVF file declares no length: the error comes with the frame that runs past the end."""
    encode(tmp_path / "clip.ivf", "libvpx", 8)
    (tmp_path / "cut.ivf").write_bytes((tmp_path / "clip.ivf").read_bytes()[:-1])
    assert "is damaged or cut off" in refusal(tmp_path / "cut.ivf")


def test_frames_are_decoded_as_they_are_asked_for(tmp_path: Path) -> None:
    """Damage at frame 300 of 400, done behind the back of `open_clip`: what comes before it is given out."""
    file = tmp_path / "long.y4m"
    file.write_bytes(stream(8, 8, 400))
    frames = open_clip(file).frames()
    data = bytearray(file.read_bytes())
    at = len(y4m_header(8, 8)) + 300 * 102
    data[at : at + 5] = b"OTHER"
    file.write_bytes(data)
    assert [next(frames).index for _ in range(300)] == list(range(300))
    with pytest.raises(UsageError, match="frame 300 is damaged"):
        next(frames)


def test_a_size_change_is_refused(tmp_path: Path) -> None:
    """Two raw streams in a row decode as one whose second half has another size."""
    for name, size in (("a.mjpeg", 64), ("b.mjpeg", 48)):
        Image.new("RGB", (size, 32)).save(tmp_path / name, "JPEG")
    joined = (tmp_path / "a.mjpeg").read_bytes() + (tmp_path / "b.mjpeg").read_bytes()
    (tmp_path / "joined.mjpeg").write_bytes(joined)
    assert "frame 1 is 48x32, expected 64x32" in refusal(tmp_path / "joined.mjpeg")


@pytest.mark.parametrize(("data", "found"), [(b"hello" * 50, 'begins with "hellohel…"'), (b"", "is empty")])
def test_what_is_no_video_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    """Text or nothing under a video's name."""
    (tmp_path / "clip.mp4").write_bytes(data)
    assert found in refusal(tmp_path / "clip.mp4")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    """A file that FFmpeg reads but that has no pictures."""
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(audio, av.AudioStream)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.rate = 8000
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
    assert "found audio, expected a video stream" in refusal(tmp_path / "sound.wav")
