"""The integer graphs of hyper-decoders: both flavours give the same bits on every engine, and are near to float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from exporter.hyper_decoders import (
    CHANNELS,
    Array,
    decibels,
    hyper_decoder,
    integers,
    random_weights,
    real_means,
    written,
)
from property.fuzz import on_oracle

from nvc_check.exporter.certificate.targets import TARGETS
from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.entropy_graph import EntropyGraph
from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.grid import pair_sums
from nvc_check.runtimes.engines.openvino_native import EXACT_PROPERTIES
from nvc_check.runtimes.engines.ort_options import LEVELS, session_options
from nvc_check.runtimes.engines.ort_session import session
from nvc_check.runtimes.oracle.engine import ExactGraph


def offsets(seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, CHANNELS)


def quantized(seed: int, slope: float, medians: bool, width: int) -> EntropyGraph:
    rng = np.random.default_rng(seed)
    model = hyper_decoder(random_weights(seed, width), slope, offsets(seed) if medians else None)
    return integers(model, [rng.integers(-9, 10, (1, CHANNELS, 4, 6)) for _ in range(3)])


def hard_symbols() -> Array:
    """Laplace values, all zero, all saturated, impulses and escapes beyond every range."""
    rng = np.random.default_rng(7)
    z = np.rint(rng.laplace(0, 5, (1, CHANNELS, 12, 14))).astype(np.int32)
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
    (7, 2.0**-22, True, 16),  # next to none
    (6, 1.0, True, 16),  # two convolutions without an activation between them
]


@pytest.mark.parametrize(("seed", "slope", "medians", "width"), CASES)
def test_both_flavours_give_the_same_bits_on_every_engine(
    seed: int, slope: float, medians: bool, width: int, tmp_path: Path
) -> None:
    made, z = quantized(seed, slope, medians, width), hard_symbols()
    results = {}
    certified: set[str] = set()
    for flavour in ("qdq", "carrier"):
        file, model = tmp_path / f"{flavour}.onnx", written(made, flavour)
        onnx.save(model, file)
        onnx.checker.check_model(str(file), full_check=True)
        certified |= {target for target, exact in certify(model).targets.items() if exact}
        results[f"{flavour} exact"] = ExactGraph(model)({"z": z})
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


def test_indexes_are_those_of_the_scales_on_their_grid() -> None:
    """As many thresholds as lie below a scale, whatever its size; scales below 0 have index 0."""
    model = hyper_decoder(random_weights(3))
    z = np.random.default_rng(3).integers(-9, 10, (1, CHANNELS, 4, 6))
    made = integers(model, [z])
    first, coarse = np.array([1, 2, 3], np.int32), np.array([100, 700, 5000], np.int32)
    each = [on_oracle(written(made, "qdq", np.array([t], np.int32)), {"z": z.astype(np.int32)}) for t in coarse]
    (found, _) = on_oracle(written(made, "qdq", coarse), {"z": z.astype(np.int32)}) or []
    assert np.array_equal(found, sum((one or [])[0] for one in each))
    assert set(np.unique(found)) == {0, 1, 2, 3}
    (above, _) = on_oracle(written(made, "qdq", first), {"z": z.astype(np.int32)}) or []
    assert (above >= found).all()


def test_sizes_are_said_in_those_of_the_latents() -> None:
    """Height and width of z, and how often they are those of the outputs: what certificate and users read."""
    made = integers(hyper_decoder(random_weights(3)), [np.ones((1, CHANNELS, 4, 6), np.int64)])
    graph = written(made, "carrier").graph
    sides = {v.name: [d.dim_param for d in v.type.tensor_type.shape.dim[2:]] for v in (*graph.input, *graph.output)}
    assert sides == {
        "z": ["height", "width"],
        "indexes": ["4*height", "4*width"],
        "means": ["4*height", "4*width"],
    }


DEAD = {"zero": (0.0, 0.0), "zero, with a bias": (0.0, 0.3), "nearly zero": (1e-12, 0.3), "all bias": (1e-3, 400.0)}


@pytest.mark.parametrize("slope", [0.0, 0.01])
@pytest.mark.parametrize("layer", ["up0", "up1", "last"])
@pytest.mark.parametrize("kind", DEAD)
def test_pruned_filters_give_their_biases(kind: str, layer: str, slope: float) -> None:
    """All filters of one layer, and half of them: an exact graph near the float one."""
    factor, bias = DEAD[kind]
    for some in (slice(None), slice(None, None, 2)):
        weights = random_weights(0)
        by_output = np.moveaxis(weights[f"{layer}.weight"], 0 if layer == "last" else 1, 0)  # a view
        by_output[some] *= factor
        weights[f"{layer}.bias"][some] = bias
        model = hyper_decoder(weights, slope)
        z = np.random.default_rng(0).integers(-9, 10, (1, CHANNELS, 4, 6))
        made = integers(model, [z])
        proto = written(made, "carrier")
        assert certify(proto).exact
        (_, means) = on_oracle(proto, {"z": z.astype(np.int32)}) or []
        assert made.means_exponent is not None
        expected = real_means(model, z)
        error = np.ldexp(means.astype(np.float64), made.means_exponent) - expected
        assert np.sqrt(np.mean(error**2)) < 0.05 * np.sqrt(np.mean(expected**2)) + 2.0**-10


SLOPES = [0.0, 2.0**-22, 2.0**-17, 0.001, 0.01, 0.0625, 0.1, 0.25, 0.3, 0.5, 0.7, 0.998, 1.0]


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("medians", [False, True])
def test_integers_stay_near_the_floats(slope: float, medians: bool) -> None:
    """W8A8 means are 26 dB and more above what they differ from the float ones: the slope is the layer's own.

    Some of the means are beyond 128, where 16 bits of 2^-8 end.
    """
    model = hyper_decoder(random_weights(4, 16), slope, offsets(4) if medians else None)
    z = np.random.default_rng(4).integers(-9, 10, (1, CHANNELS, 8, 8))
    made = integers(model, [z])
    (_, means) = on_oracle(written(made, "qdq"), {"z": z.astype(np.int32)}) or []
    assert made.means_exponent is not None
    assert decibels(real_means(model, z), np.ldexp(means.astype(np.float64), made.means_exponent)) > 26


def test_another_slope_is_told_apart() -> None:
    """The test above would see that a slope of 0.1 came out as 0.01, as it did once."""
    z = np.random.default_rng(4).integers(-9, 10, (1, CHANNELS, 8, 8))
    expected, other = (real_means(hyper_decoder(random_weights(4, 16), slope), z) for slope in (0.1, 0.01))
    assert decibels(expected, other) < 20


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_a_leaky_relu_that_is_none_is_refused_by_name(alpha: float) -> None:
    model = hyper_decoder(random_weights(0), alpha)
    with pytest.raises(ExportRefusedError, match=r"node LeakyRelu_up0_bent \(LeakyRelu\): .*" + f"{alpha:g}"):
        integers(model, [np.ones((1, CHANNELS, 4, 6), np.int64)])


def test_weights_that_break_the_pair_bound_are_stored_as_uint8(package: Package) -> None:
    """int8 only where the two largest |w| of each output channel, times the inputs, stay below 2^15."""
    model = onnx.load(package.graph("int", "entropy"))
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer if "weight_integers" in i.name}
    assert stored
    for name, weight in stored.items():
        signed = weight.astype(np.int64) - (0 if weight.dtype == np.int8 else 128)
        if weight.dtype == np.int8:
            assert pair_sums(signed, 0 if weight.ndim == 4 else 1).max() <= 2 * 127, name
    assert certify(model).targets["avx2"]  # where pairs saturate
