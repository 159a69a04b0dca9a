"""ONNX files as people have them: what is exported is what was given, or the refusal says what to change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from exporter.onnx_files import SIDE, Array, compiled, decibels, latents, model, node, real, weights
from onnx import TensorProto, helper
from property.fuzz import on_onnxruntime

from nvc_check.exporter.graph_compiler import compile_graph
from nvc_check.exporter.graph_export import export_user_graph
from nvc_check.exporter.network.model import prepared_source, read_source
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions

CONV = node("Conv", ["x", "w"], ["c"], pads=[1] * 4)
W = {"w": weights(8, 4, 3, 3)}
LAST = {"v": weights(3, 8, 1, 1)}
FORMS: dict[str, tuple[onnx.ModelProto, float]] = {
    "auto_pad": (model([node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER")], {"w": weights(3, 4, 4, 4)}), 35),
    "auto_pad, a fixed size": (
        model(
            [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2])],
            {"w": weights(3, 4, 3, 3)},
            shape=(1, 4, SIDE, SIDE + 2),
        ),
        35,
    ),
    "dilation, rectangle, groups": (
        model(
            [node("Conv", ["x", "w"], ["y"], dilations=[1, 2], group=2, pads=[0, 2, 1, 1], strides=[2, 1])],
            {"w": weights(6, 2, 2, 3)},
        ),
        35,
    ),
    "transposed, odd": (
        model(
            [node("ConvTranspose", ["x", "w"], ["y"], strides=[3, 2], pads=[1, 0, 0, 2], output_padding=[2, 0])],
            {"w": weights(4, 5, 2, 5)},
        ),
        35,
    ),
    "prelu": (
        model(
            [CONV, node("PRelu", ["c", "s"], ["r"]), node("Conv", ["r", "v"], ["y"])],
            {**W, **LAST, "s": np.linspace(-0.5, 1.7, 8, dtype=np.float32).reshape(8, 1, 1)},
        ),
        30,
    ),
    "leaky": (
        model([CONV, node("LeakyRelu", ["c"], ["r"], alpha=0.2), node("Conv", ["r", "v"], ["y"])], {**W, **LAST}),
        32,
    ),
    "a last sigmoid": (
        model(
            [CONV, node("Relu", ["c"], ["r"]), node("Conv", ["r", "v"], ["z"]), node("Sigmoid", ["z"], ["y"])],
            {**W, **LAST},
        ),
        32,
    ),
    "tanh between": (model([CONV, node("Tanh", ["c"], ["r"]), node("Conv", ["r", "v"], ["y"])], {**W, **LAST}), 30),
    "a gate": (
        model(
            [CONV, node("Sigmoid", ["c"], ["s"]), node("Mul", ["c", "s"], ["r"]), node("Conv", ["r", "v"], ["y"])],
            {**W, **LAST},
        ),
        30,
    ),
    "pixel shuffle by hand": (
        model(
            [
                CONV,
                node("Reshape", ["c", "a"], ["e"]),
                node("Transpose", ["e"], ["f"], perm=[0, 1, 4, 2, 5, 3]),
                node("Reshape", ["f", "b"], ["y"]),
            ],
            {**W, "a": np.array([1, 2, 2, 2, SIDE, SIDE + 2]), "b": np.array([1, 2, 2 * SIDE, 2 * SIDE + 4])},
            shape=(1, 4, SIDE, SIDE + 2),
        ),
        35,
    ),
    "a mosaic": (  # no pixel shuffle: places of a fixed size
        model(
            [
                CONV,
                node("Reshape", ["c", "a"], ["e"]),
                node("Transpose", ["e"], ["f"], perm=[0, 3, 1, 4, 2, 5]),
                node("Reshape", ["f", "b"], ["y"]),
            ],
            {**W, "a": np.array([1, 2, 2, 2, SIDE, SIDE + 2]), "b": np.array([1, 2, 2 * SIDE, 2 * SIDE + 4])},
            shape=(1, 4, SIDE, SIDE + 2),
        ),
        35,
    ),
    "a norm as factors": (
        model(
            [
                CONV,
                node("Mul", ["c", "g"], ["d"]),
                node("Add", ["d", "k"], ["r"]),
                node("Relu", ["r"], ["e"]),
                node("Conv", ["e", "v"], ["y"]),
            ],
            {**W, **LAST, "g": weights(1, 8, 1, 1, seed=3) + 1, "k": weights(1, 8, 1, 1, seed=4)},
        ),
        32,
    ),
    "a border of zeros": (
        model(
            [node("Pad", ["x", "p"], ["q"]), node("Conv", ["q", "w"], ["y"])],
            {"w": weights(3, 4, 3, 3), "p": np.array([0, 0, 2, 1, 0, 0, 0, 1])},
        ),
        35,
    ),
    "resize without mode": (
        model([CONV, node("Resize", ["c", "", "f"], ["y"])], {**W, "f": np.array([1, 1, 3, 2], np.float32)}),
        35,
    ),
    "opset 9, initializers among the inputs": (
        model([CONV, node("Upsample", ["c", "f"], ["y"])], {**W, "f": np.array([1, 1, 2, 2], np.float32)}, opset=9),
        35,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_exported_is_what_was_given(form: str) -> None:
    """Shape and values of ONNX Runtime's run on other inputs than the calibration's, of another size if it is open."""
    source, least = FORMS[form]
    made = compiled(source, [latents(i) for i in range(6)])
    assert decibels(made, source, latents(77)) > least and made.noise["y"] > least
    fixed = source.graph.input[0].type.tensor_type.shape.dim[2].HasField("dim_value")
    assert (made.inputs["x"].shape or [])[2:] == ((SIDE, SIDE + 2) if fixed else (None, None))
    if not fixed:
        assert decibels(made, source, latents(78, side=SIDE + 5)) > least - 3


def test_a_vector_becomes_a_picture() -> None:
    """Gemm, Reshape, ConvTranspose; a batch of 16 in the file."""
    nodes = [
        node("Gemm", ["x", "m", "n"], ["a"], transB=1),
        node("Relu", ["a"], ["b"]),
        node("Reshape", ["b", "s"], ["c"]),
        node("ConvTranspose", ["c", "w"], ["y"], strides=[2, 2]),
    ]
    constants = {"m": weights(72, 5), "n": weights(72), "s": np.array([-1, 8, 3, 3]), "w": weights(8, 2, 3, 3)}
    source = model(nodes, constants, shape=(16, 5))
    rng = np.random.default_rng(1)
    examples = [{"x": rng.normal(size=(1, 5)).astype(np.float32)} for _ in range(40)]
    made = compiled(source, examples)
    given = {"x": rng.normal(size=(1, 5)).astype(np.float32)}
    wanted = on_onnxruntime(source.SerializeToString(), {"x": np.repeat(given["x"], 16, 0)}, "ORT_DISABLE_ALL")[0][:1]
    found = real(made, given)["y"]
    assert found.shape == wanted.shape == (1, 2, 7, 7)
    assert 10 * np.log10(np.var(wanted) / np.mean((found - wanted) ** 2)) > 30 and made.noise["y"] > 30


def test_sixteen_bit_floats_are_read_and_said() -> None:
    half = {name: array.astype(np.float16) for name, array in {**W, **LAST}.items()}
    nodes = [CONV, node("Relu", ["c"], ["r"]), node("Conv", ["r", "v"], ["y"])]
    source = prepared_source(model(nodes, half, kind=TensorProto.FLOAT16), "half")
    assert "16-bit floats became float32" in source.notes
    assert compile_graph(source, [latents(i) for i in range(3)]).noise["y"] > 32


def relu_net(first: Array, second: Array, bias: Array) -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "v"], ["y"]),
    ]
    return model(nodes, {"w": first, "v": second, "b": bias})


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0, 1e-6])
def test_a_filter_of_zeros_is_exported(bias: float) -> None:
    """Pruned nets; its channel is its bias."""
    first, shifts = W["w"].copy(), weights(8, seed=5)
    first[[2, 5]] = 0
    first[6] *= 1e-12
    shifts[[2, 5, 6]] = bias
    source = relu_net(first, LAST["v"], shifts)
    assert decibels(compiled(source), source, latents(9)) > 32


def test_channels_of_any_size_are_equalized() -> None:
    """Scaled by 10^-4 to 10^4 and back: the same net."""
    plain = relu_net(W["w"], LAST["v"], weights(8, seed=5))
    by = np.geomspace(1e-4, 1e4, 8).astype(np.float32)
    spread = relu_net(W["w"] * by.reshape(-1, 1, 1, 1), LAST["v"] / by.reshape(1, -1, 1, 1), weights(8, seed=5) * by)
    assert compiled(spread).noise["y"] > compiled(plain).noise["y"] - 2 > 30


def test_sixteen_bits_are_nearer_to_float() -> None:
    source = FORMS["leaky"][0]
    fine = compiled(source, precisions=Precisions(Precision(8, 16)))
    assert decibels(fine, source, latents(9)) > decibels(compiled(source), source, latents(9)) + 3


def test_no_two_convolutions_share_a_weight() -> None:
    """ONNX Runtime's option x64quantprecision rewrites a shared one twice, and fails."""
    same = relu_net(W["w"][:4], W["w"][:4, :, :1, :1], np.zeros(4, np.float32))
    graph = compiled(same).graphs["qdq"].graph
    read = [
        value for node in graph if node.op_type == "DequantizeLinear" for value in node.inputs[:1] if value is not None
    ]
    stored = [value.name for value in read if value.is_initializer()]
    assert len(stored) == len(set(stored)) == 3


BATCH = {name: np.ones(8, np.float32) for name in "gkmv"}
REFUSED = {
    "training statistics": (
        model(
            [CONV, node("BatchNormalization", ["c", *"gkm", "v"], ["y", "o", "p"], "norm", training_mode=1)],
            {**W, **BATCH},
        ),
        r"node norm \(BatchNormalization\): training_mode 1.*evaluation mode",
    ),
    "a quantized model": (
        model(
            [CONV, node("QuantizeLinear", ["c", "s"], ["q"], "round"), node("DequantizeLinear", ["q", "s"], ["y"])],
            {**W, "s": np.array(0.1, np.float32)},
        ),
        r"node round \(QuantizeLinear\): the model is quantized; give the FP32 model",
    ),
    "an integer output": (
        model([node("Cast", ["x"], ["y"], to=TensorProto.UINT8)], {}, gives=[None] * 4),
        "y is UINT8, expected FLOAT",
    ),
    "an opset of the past": (
        model([CONV, node("Identity", ["c"], ["y"])], W, opset=8),
        "opset 8, expected one of 9 to 24",
    ),
    "a linear resize of corners": (
        model(
            [
                CONV,
                node(
                    "Resize",
                    ["c", "", "f"],
                    ["y"],
                    "up",
                    mode="linear",
                    coordinate_transformation_mode="align_corners",
                ),
            ],
            {**W, "f": np.array([1, 1, 2, 2], np.float32)},
        ),
        r"node up \(Resize\): mode linear, align_corners",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_names_the_node_and_the_cure(what: str) -> None:
    source, says = REFUSED[what]
    for value in source.graph.output:
        value.type.tensor_type.elem_type = TensorProto.UINT8 if "UINT8" in says else TensorProto.FLOAT
    with pytest.raises(ExportRefusedError, match=says) as refused:
        compiled(source)
    assert "\n" not in str(refused.value)


def test_noise_is_refused_with_the_nodes_that_make_it(tmp_path: Path) -> None:
    """A channel that is a million times as large as what matters, and is taken away again."""
    big = np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1) * 1e6
    nodes = [
        node("Conv", ["x", "u"], ["c"], "blows"),
        node("Conv", ["x", "i"], ["d"], "plain"),
        node("Add", ["c", "d"], ["e"], "sum"),
        node("Sub", ["e", "c"], ["y"], "rest"),
    ]
    onnx.save(model(nodes, {"u": big, "i": weights(4, 4, 1, 1)}), tmp_path / "noisy.onnx")
    with pytest.raises(ExportRefusedError, match=r"(?s)output y: (signal to noise|read as another).*(--min-snr|dB)"):
        export_user_graph(tmp_path / "noisy.onnx", [latents(0)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    onnx.save(FORMS["leaky"][0], tmp_path / "leaky.onnx")
    with pytest.raises(
        ExportRefusedError, match=r"output y: signal to noise 3.*expected at least 90 \(--min-snr\).*w8a16"
    ):
        export_user_graph(tmp_path / "leaky.onnx", [latents(0)], tmp_path / "out", min_snr=90)


def test_a_size_that_is_written_into_the_graph_is_found(tmp_path: Path) -> None:
    """The input's size is open, yet the picture is always enlarged to 24 rows: another size is another function."""
    nodes = [CONV, node("Resize", ["c", "", "", "z"], ["y"], mode="nearest")]
    source = model(nodes, {**W, "z": np.array([1, 8, 2 * SIDE, 2 * SIDE + 4])})
    with pytest.raises(ExportRefusedError, match=r"output y: .*sizes are fixed inside the model"):
        compiled(source)
    source.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, SIDE, SIDE + 2]))
    assert compiled(source).noise["y"] > 35


def test_a_file_is_named_by_its_notes(tmp_path: Path) -> None:
    onnx.save(FORMS["opset 9, initializers among the inputs"][0], tmp_path / "old.onnx")
    source = read_source(tmp_path / "old.onnx")
    assert source.notes == ("opset 9 was converted to 18",) and source.sizes == {"x": (1, 4, None, None)}
