"""Any precision: the same bits on every engine and flavour, as near to float as its bits allow, no bits above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exporter.onnx_files import compiled, decibels, latents, model, node, real, weights
from onnx import numpy_helper

from nvc_check.checker.cli.main import main
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.graph_compiler import CompiledGraph
from nvc_check.exporter.lower.limb_layers import _digits
from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import UsageError
from nvc_check.models.precision import Precision, Precisions

BIAS = {"b": weights(16, seed=3), "d": weights(16, seed=4)}
CONV = node("Conv", ["x", "w", "b"], ["c"], "first", pads=[1] * 4)
LAST = node("Conv", ["e", "u"], ["y"], "last")
U = {"u": weights(3, 16, 1, 1)}
NETS = {
    "relu": model(
        [CONV, node("Relu", ["c"], ["r"]), node("Conv", ["r", "v", "d"], ["e"], "middle", pads=[1] * 4), LAST],
        {"w": weights(16, 4, 3, 3), "v": weights(16, 16, 3, 3, seed=1, size=0.1), **BIAS, **U},
    ),
    "leaky, groups": model(
        [
            CONV,
            node("LeakyRelu", ["c"], ["r"], alpha=0.2),
            node("Conv", ["r", "v", "d"], ["e"], "middle", group=4, strides=[2, 1]),
            LAST,
        ],
        {"w": weights(16, 4, 3, 3), "v": weights(16, 4, 3, 3, seed=1, size=0.2), **BIAS, **U},
    ),
    "transposed": model(
        [
            CONV,
            node("Relu", ["c"], ["r"]),
            node(
                "ConvTranspose", ["r", "v", "d"], ["e"], "middle", strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]
            ),
            LAST,
        ],
        {"w": weights(16, 4, 3, 3), "v": weights(16, 16, 4, 3, seed=1, size=0.1), **BIAS, **U},
    ),
    "wide": model(  # sums of a limb reach 2^23: input channels are split
        [node("Conv", ["x", "w"], ["c"], "first"), node("Conv", ["c", "v"], ["y"], "last", pads=[2] * 4)],
        {"w": weights(96, 4, 1, 1), "v": weights(3, 96, 5, 5, seed=1, size=0.1)},
    ),
}
# dB of y; measured are 1 to 3 dB more, in the worst of the nets
LEAST: dict[str, float] = {"w2a2": -2, "w4a4": 6, "w6a6": 17, "w8a8": 29, "w10a12": 45, "w12a12": 49, "w16a16": 70}
LEAST |= {"w8a16": 34, "w9a15": 40, "w4a16": 9, "w16a4": 7.5, "w16a9": 31}


def exported(net: str, text: str) -> CompiledGraph:
    return compiled(NETS[net], precisions=Precisions(Precision.of(text)))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("text", LEAST)
def test_every_engine_gives_the_same_bits_near_to_float(net: str, text: str) -> None:
    made = exported(net, text)
    for graph in made.graphs.values():
        certificate = certify(ir.to_proto(graph))
        assert certificate.exact, next(node for node in certificate.nodes if not node.exact)
    far = {name: 40 * array for name, array in latents(7).items()}
    real(made, far)  # the same bits also where everything saturates
    assert decibels(made, NETS[net], latents(9)) >= LEAST[text]


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7])
def test_no_more_bits_than_said(bits: int) -> None:
    made = compiled(NETS["relu"], precisions=Precisions(Precision(bits, bits)))
    proto = ir.to_proto(made.graphs["qdq"])
    stored = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    weight = [array.astype(int) for name, array in stored.items() if name.endswith("_weight_integers")]
    assert weight
    for array in weight:
        centred = array - 128 if array.max() > 127 else array
        assert np.abs(centred).max() <= 2 ** (bits - 1) - 1
    names = [n.output[0] for n in proto.graph.node if n.op_type == "Clip" and n.input[0].endswith("_quantized")]
    assert len(names) >= 2
    for clip in (n for n in proto.graph.node if n.output[0] in names):
        low, high = (int(stored[name]) for name in clip.input[1:])
        assert high - low + 1 <= 2**bits


def test_bits_of_single_layers(tmp_path: Path) -> None:
    """Of three layers one has 16 bits, which its neighbours give it and take from it."""
    precisions = Precisions(Precision(4, 4), (("mid*", Precision(16, 16)),))
    made = compiled(NETS["relu"], precisions=precisions)
    assert [layer.precision for layer in made.layers] == ["w4a4", "w16a16", "w4a4"]
    assert len(made.layers[1].kernels) >= 3
    assert made.layers[0].kernels == ("integer MatMul",)  # its output has 16 bits
    real(made, latents(9))
    with pytest.raises(UsageError, match=r"layer nowhere: fits none; there are first, middle, last"):
        compiled(NETS["relu"], precisions=Precisions(Precision(4, 4), (("nowhere", Precision(8, 8)),)))


def test_limbs_of_weights_are_the_weights() -> None:
    for bits in range(9, 17):
        upper = bits - 8
        largest = min(2 ** (bits - 1) - 1, 127 * 2**upper + 2 ** (upper - 1) - 1)
        weight = np.arange(-largest, largest + 1)
        (top, coarser), (low, finer) = _digits(weight, upper)
        assert (top * 2 ** int(coarser) + low * 2 ** int(finer) == weight).all()
        assert np.abs(top).max() <= 127 and low.min() >= -128 and low.max() <= 127


def test_a_lost_limb_is_noticed() -> None:
    """The negative: without what one limb adds, neither flavours nor float agree any more."""
    made = exported("relu", "w16a16")
    proto = ir.to_proto(made.graphs["carrier"])
    adds = [
        n for n in proto.graph.node if n.op_type == "Add" and n.name.startswith("middle_limb_") and "total" in n.name
    ]
    assert adds
    adds[0].op_type = "Sub"
    broken = ir.from_proto(proto)
    with pytest.raises(AssertionError):
        real(CompiledGraph({**made.graphs, "carrier": broken}, made.inputs, made.outputs, {}, (), ()), latents(9))


def run(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["nvc-check", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A decoder, and latents for it."""
    onnx.save(NETS["relu"], tmp_path / "decoder.onnx")
    np.savez(tmp_path / "latents.npz", **latents(0))
    return tmp_path / "decoder.onnx", tmp_path / "latents.npz"


def test_the_plan_is_shown_and_nothing_written(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    assert run("export", files[0], "--calibration", files[1], "--precision", "w12a12", "--plan") == 0
    shown = capsys.readouterr().out
    for word in ("first", "middle", "last", "w12a12", "integer MatMul", "exact float Conv", "dB over the calibration"):
        assert word in shown
    assert sorted(tmp_path.iterdir()) == before


def test_layers_are_in_the_manifest(files: tuple[Path, Path], tmp_path: Path) -> None:
    layers, out = tmp_path / "layers.toml", tmp_path / "package"
    layers.write_text('"last" = "w8a16"\n')
    words = ("export", files[0], "--calibration", files[1], "--targets=", "--out", out)
    assert run(*words, "--layers", layers) == 0
    manifest = Package.open(out).manifest
    assert (manifest.precision, manifest.layers) == ("w8a8", {"last": "w8a16"})
    assert run(*words) == 0
    assert Package.open(out).manifest.layers == {}
    assert '"layers"' not in (out / "manifest.json").read_text()


def test_out_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "mbt2018-mean-relu-small") == 2
    assert "--out: missing" in capsys.readouterr().err


def test_the_plan_of_a_codec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "mbt2018-mean-relu-small", "--precision", "w6a6", "--plan") == 0
    shown = capsys.readouterr().out
    assert shown.count("entropy/") == 3 and shown.count("w6a6") == 3
    assert not list(tmp_path.iterdir())


def test_layers_of_a_codec_are_those_of_one_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers, out = tmp_path / "layers.toml", tmp_path / "package"
    words = ("export", "mbt2018-mean-relu-small", "--layers", layers, "--out", out)
    layers.write_text('"entropy/*_1" = "w8a16"\n')
    assert run(*words, "--targets=") == 0
    assert Package.open(out).manifest.layers == {"entropy/node_convolution_1": "w8a16"}
    for pattern in ("node_convolution_1", "frame/*", "entropy/nowhere"):  # at this scope no frame is in integers
        layers.write_text(f'"{pattern}" = "w8a16"\n')
        assert run(*words, "--targets=") == 2
        assert f"layer {pattern}: fits none; there are entropy/" in capsys.readouterr().err
    assert Package.open(out).manifest.layers == {"entropy/node_convolution_1": "w8a16"}
