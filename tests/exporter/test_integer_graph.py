"""The integer graphs: both flavours give the bits of plain integer arithmetic, on every engine in the environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import openvino
import pytest

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.network.torch_layers import Activation, Chain, Layer, Output
from nvc_check.exporter.quantize.integer_layers import IntegerChain, dyadic_slope, quantize_chain
from nvc_check.exporter.quantize.reference import run_chain
from nvc_check.exporter.write.integer_graph import write_graph
from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import pair_sums, to_grid
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.engines.ort_options import LEVELS, session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.oracle.engine import ExactGraph

THRESHOLDS = np.arange(1, 64, dtype=np.int32) * 500


def random_chain(seed: int, slope: float, medians: bool, width: int = 6) -> Chain:
    """Two transposed layers and a 3x3 one, as hyper-decoders have them; Laplace weights as trained ones are.

    From a width of 16 on the sums are matrix products.
    """
    rng = np.random.default_rng(seed)
    shapes = ((5, width, 5, 5), (width, width + 1, 5, 5), (8, width + 1, 3, 3))
    kernels = [rng.laplace(0, 0.2, shape) for shape in shapes]
    hidden = [
        Layer(f"up{i}", True, kernels[i], rng.normal(0, 1, kernels[i].shape[1]), 2, 2, 1, Activation(slope), source)
        for i, source in enumerate(("", "up0"))
    ]
    last = Layer("last", False, kernels[2], rng.normal(0, 1, 8), 1, 1, 0, Activation(), "up1")
    offset = rng.uniform(-1.5, 1.5, 5) if medians else np.zeros(5)
    return Chain((*hidden, last), (Output("scales_hat", "last", 0, 4), Output("means", "last", 4, 8)), offset)


def quantized(seed: int = 0, slope: float = 0.0, medians: bool = False, width: int = 6) -> IntegerChain:
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(-9, 10, (1, 5, 4, 6)) for _ in range(3)]
    return quantize_chain(random_chain(seed, slope, medians, width), symbols)


def hard_symbols() -> np.ndarray:
    """Laplace values, all zero, all saturated, impulses and escapes beyond every range."""
    rng = np.random.default_rng(7)
    z = np.rint(rng.laplace(0, 5, (1, 5, 12, 14))).astype(np.int32)
    z[0, :, :3], z[0, :, 3:5], z[0, :, 5:7] = 0, 127, -127
    z[0, :, 8, ::5] = [[2**31 - 1], [-(2**31)], [2**24 + 1], [128], [-128]]
    return z


CASES = [
    (0, 0.0, False, 6),
    (1, 0.0, True, 6),
    (2, 0.01, False, 6),
    (3, 0.01, True, 6),
    (4, 0.01, True, 20),
    (5, 0.3, False, 17),
    (7, 2.0**-22, True, 16),  # the smallest slope that is not zero
    (6, 1.0, True, 16),  # two convolutions without an activation between them
]


@pytest.mark.parametrize(("seed", "slope", "medians", "width"), CASES)
def test_both_flavours_give_the_same_bits_on_every_engine(
    seed: int, slope: float, medians: bool, width: int, tmp_path: Path
) -> None:
    chain, z = quantized(seed, slope, medians, width), hard_symbols()
    results = {}
    certified: set[str] = set()
    for flavour in ("qdq", "carrier"):
        file = tmp_path / f"{flavour}.onnx"
        ir.save(write_graph(chain, THRESHOLDS, flavour), file)
        onnx.checker.check_model(str(file), full_check=True)
        certified |= {target for target, exact in certify(onnx.load(file)).targets.items() if exact}
        results[f"{flavour} exact"] = ExactGraph(onnx.load(file))({"z": z})
        for level in LEVELS:
            run = session(file, session_options({"opt": level}), ["CPUExecutionProvider"])
            results[f"{flavour} {level}"] = run({"z": z})
        compiled = openvino.Core().compile_model(str(file), "CPU", EXACT_PROPERTIES)
        results[f"{flavour} openvino"] = {k: compiled({"z": z})[k] for k in ("indexes", "means")}
    assert certified == set(TARGETS)
    expected = results["qdq exact"]
    assert len(np.unique(expected["indexes"])) > 20
    assert len(np.unique(expected["means"])) > 1000
    for name, result in results.items():
        for tensor, values in expected.items():
            assert np.array_equal(result[tensor], values), (name, tensor)


def test_the_oracle_agrees_with_integer_arithmetic_by_hand() -> None:
    """A chain of one 1x1 layer, computed with Python integers."""
    layer = Layer("last", False, np.array([[[[0.75]]], [[[-1.5]]]]), np.array([0.3, 0.2]), 1, 0, 0, Activation(), "")
    chain = Chain((layer,), (Output("scales_hat", "last", 0, 1), Output("means", "last", 1, 2)), np.zeros(1))
    integer = quantize_chain(chain, [np.array([[[[9, -9]]]])])
    scales, means = integer.output("scales_hat"), integer.output("means")
    thresholds = np.array([100, 700, 5000], np.int32)
    z = np.array([[[[5, -3, 200]]]], np.int32)
    graph = onnx.load_model_from_string(ir.to_proto(write_graph(integer, thresholds, "qdq")).SerializeToString())
    got = ExactGraph(graph)({"z": z})
    (only,) = integer.layers
    for column, symbol in enumerate((5, -3, 127)):
        sums = [int(only.weight[o, 0, 0, 0]) * symbol + int(only.bias[o]) for o in (0, 1)]
        e = only.weight_exponent
        scale = max(0, min(65535, int(np.floor(sums[0] * 2.0 ** (e[0] - scales.exponent)))))
        mean = max(-32768, min(32767, int(np.floor(sums[1] * 2.0 ** (e[1] - means.exponent) + 0.5))))
        assert got["indexes"][0, 0, 0, column] == sum(int(t) < scale for t in thresholds)
        assert got["means"][0, 0, 0, column] == mean


def test_means_behind_a_leaky_relu_are_refused() -> None:
    chain = random_chain(0, 0.1, False)
    (*hidden, last) = chain.layers
    leaky = replace(chain, layers=(*hidden, replace(last, activation=Activation(0.1))))
    with pytest.raises(ExportRefusedError, match=r"node last: means are read behind a LeakyRelu"):
        quantize_chain(leaky, [np.ones((1, 5, 4, 6), np.int64)])


DEAD = {"zero": (0.0, 0.0), "zero, with a bias": (0.0, 0.3), "nearly zero": (1e-12, 0.3), "all bias": (1e-3, 400.0)}


@pytest.mark.parametrize("slope", [0.0, 0.01])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", DEAD)
def test_pruned_filters_give_their_biases(kind: str, place: int, slope: float) -> None:
    """All filters of one layer, and half of them: an exact graph near the float one."""
    weights, bias = DEAD[kind]
    for some in (slice(None), slice(None, None, 2)):
        chain = random_chain(0, slope, False)
        layers = list(chain.layers)
        pruned = layers[place]
        by_output = np.moveaxis(pruned.weight.copy(), 1 if pruned.transposed else 0, 0)
        by_output[some] *= weights
        biases = pruned.bias.copy()
        biases[some] = bias
        weight = np.moveaxis(by_output, 0, 1 if pruned.transposed else 0)
        layers[place] = replace(pruned, weight=weight, bias=biases)
        chain = replace(chain, layers=tuple(layers))
        z = np.random.default_rng(0).integers(-9, 10, (1, 5, 4, 6))
        integer = quantize_chain(chain, [z])
        model = onnx.load_model_from_string(
            ir.to_proto(write_graph(integer, THRESHOLDS, "carrier")).SerializeToString()
        )
        assert certify(model).exact
        means = ExactGraph(model)({"z": z.astype(np.int32)})["means"] * 2.0 ** integer.output("means").exponent
        expected = run_chain(chain, z.astype(np.float64))["last"][:, 4:]
        assert np.sqrt(np.mean((means - expected) ** 2)) < 0.03 * np.sqrt(np.mean(expected**2)) + 2.0**-10


def test_outputs_keep_the_limits_of_a_clip() -> None:
    chain = random_chain(0, 0.0, False)
    (*hidden, last) = chain.layers
    clipped = replace(chain, layers=(*hidden, replace(last, activation=Activation(0.0, 3.0))))
    integer = quantize_chain(clipped, [np.random.default_rng(0).integers(-9, 10, (1, 5, 4, 6))])
    model = onnx.load_model_from_string(ir.to_proto(write_graph(integer, THRESHOLDS, "qdq")).SerializeToString())
    got = ExactGraph(model)({"z": hard_symbols()})
    for name, values in (("means", got["means"]), ("scales_hat", None)):
        output = integer.output(name)
        assert output.low == 0
        assert output.high == 3 * 2**-output.exponent
        assert values is None or (values.min(), values.max()) == (output.low, output.high)


def test_a_hidden_clip_keeps_its_limit() -> None:
    """The 8 bits of a layer reach beyond the limit of its Clip, which is no power of two less one."""
    chain = random_chain(1, 0.0, False)
    layers = tuple(
        replace(layer, activation=Activation(0.0, 6.0)) if layer.name != "last" else layer for layer in chain.layers
    )
    integer = quantize_chain(replace(chain, layers=layers), [np.random.default_rng(0).integers(-9, 10, (1, 5, 4, 6))])
    assert [(layer.output_exponent, layer.high) for layer in integer.layers[:-1]] == [(-5, 192), (-5, 192)]


SLOPES = [0.0, 2.0**-22, 2.0**-17, 0.001, 0.01, 0.0625, 0.1, 0.25, 0.3, 0.5, 0.7, 0.998, 1.0]


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("medians", [False, True])
def test_integers_stay_near_the_floats(slope: float, medians: bool) -> None:
    """W8A8 means are 26 dB and more above what they differ from the float ones: the slope is the layer's own.

    Some of the means are beyond 128, where 16 bits of 2^-8 end.
    """
    chain = random_chain(4, slope, medians, width=16)
    rng = np.random.default_rng(4)
    z = rng.integers(-9, 10, (1, 5, 8, 8))
    integer = quantize_chain(chain, [z])
    model = onnx.load_model_from_string(ir.to_proto(write_graph(integer, THRESHOLDS, "qdq")).SerializeToString())
    means = ExactGraph(model)({"z": z.astype(np.int32)})["means"] * 2.0 ** integer.output("means").exponent
    expected = run_chain(chain, z.astype(np.float64))["last"][:, 4:]
    assert 10 * np.log10(expected.var() / np.mean((means - expected) ** 2)) > 26


def test_another_slope_is_told_apart() -> None:
    """The test above would see that a slope of 0.1 came out as 0.01, as it did once."""
    near, far = random_chain(4, 0.1, False, width=16), random_chain(4, 0.01, False, width=16)
    z = np.random.default_rng(4).integers(-9, 10, (1, 5, 8, 8)).astype(np.float64)
    expected, other = (run_chain(chain, z)["last"][:, 4:] for chain in (near, far))
    assert 10 * np.log10(expected.var() / np.mean((other - expected) ** 2)) < 20


@pytest.mark.parametrize("slope", [2.0**-16, 0.01, 0.0098, 0.2, 1 / 3, 0.999, 1.0])
def test_slopes_have_eight_bits(slope: float) -> None:
    multiple, exponent = dyadic_slope(slope)
    assert multiple == int(multiple)
    assert 128 <= multiple <= 256
    assert abs(multiple * 2.0**exponent / slope - 1) <= 2.0**-8


def test_weights_that_break_the_pair_bound_are_stored_as_uint8(package: Package) -> None:
    """int8 only where the two largest |w| of each output channel sum to at most 128."""
    model = onnx.load(package.graph("int", "entropy"))
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer if "weight_integers" in i.name}
    assert stored
    for weight in stored.values():
        signed = weight.astype(np.int64) - (0 if weight.dtype == np.int8 else 128)
        breaks = pair_sums(signed, 0).max() > 128
        assert weight.dtype == (np.uint8 if breaks else np.int8)


def test_grids_round_half_to_even() -> None:
    assert to_grid(np.array([0.5, 1.5, 2.5, -0.5]), 0).tolist() == [0, 2, 2, 0]
