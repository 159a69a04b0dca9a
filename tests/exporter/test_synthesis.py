"""What makes a synthesis transform exact: limbs, outliers shared out, phases, rounding of the weights."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nvc_check.exporter.limbs import FINE, HIGH, LOW, REACH, limbs
from nvc_check.exporter.network.torch_layers import Activation, Chain, Latent, Layer
from nvc_check.exporter.quantize import layer_fitting as fitting
from nvc_check.exporter.quantize.rounding import gather_moments, phases, rounded
from nvc_check.exporter.quantize.synthesis import quantize_synthesis
from nvc_check.exporter.write.frame_graph import write_frame
from nvc_check.models.artifacts.package import FLAVOURS
from nvc_check.models.errors import ExportRefusedError
from nvc_check.runtimes.oracle.engine import ExactGraph


def test_limbs_keep_what_eight_bits_lose() -> None:
    """Together they are at most half a fine step off, and nothing beyond REACH steps is told apart."""
    y_hat = np.linspace(LOW, HIGH, 997).reshape(1, 1, 1, -1) / 8
    both = limbs(y_hat, np.array([-3.0]))
    assert (both.min(), both.max()) == (LOW, HIGH)
    again = (both[:, :1] + both[:, 1:] * 2.0**-FINE) / 8
    assert np.abs(again - y_hat).max() <= 2.0 ** (-3 - FINE - 1)
    for sign in (1.0, -1.0):
        far = limbs(sign * np.array([[[[REACH, REACH + 1, 5000.0]]]]), np.zeros(1))
        assert (far == far[..., :1]).all()


def test_an_outlier_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel with the large weights is read more than once, its weights stay small, and the others gain bits."""
    rng = np.random.default_rng(5)
    weight = rng.normal(0, 0.02, (16, 8, 3, 3))
    weight[3] *= 30
    first = Layer("first", True, weight, np.zeros(8), 2, 1, 1, Activation(0.0), "")
    last = Layer("last", True, rng.normal(0, 1, (8, 3, 3, 3)), np.zeros(3), 2, 1, 1, Activation(), "first")
    chain = Chain((first, last), (), np.zeros(16), (Latent("y", None, 16),))
    calibration = [np.rint(rng.laplace(0, 3, (1, 16, 8, 9))) for _ in range(3)]
    made = quantize_synthesis(chain, calibration, np.full(3, 20.0), picture=True)
    times = np.bincount(made.read, minlength=32)
    assert times[3] > 1
    assert times.sum() == len(made.read) <= 48
    assert np.abs(made.layers[0].weight).max() <= 127
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "SPLIT_SHARE", 0.0)
        whole = quantize_synthesis(chain, calibration, np.full(3, 20.0), picture=True)
    assert len(whole.read) == 32
    others = np.delete(np.arange(16), 3)
    coarse, fine = (np.abs(each.layers[0].weight[np.isin(each.read, others)]) for each in (whole, made))
    assert np.median(fine) >= 3 * np.median(coarse)
    for flavour in FLAVOURS:
        model = ir.to_proto(write_frame(made, {"y": None}, "frame", flavour))
        y = np.rint(rng.laplace(0, 3, (1, 16, 8, 9))).astype(np.int32)
        got = ExactGraph(model)({"y": y})["frame"]
        x = limbs(y.astype(np.float64), made.grid)[:, made.read]
        for layer in made.layers:
            steps = np.exp2(layer.weight_exponent)
            kernel, bias = layer.weight * steps.reshape(1, -1, 1, 1), layer.bias * steps
            real = [torch.from_numpy(array) for array in (x, kernel, bias)]
            x = nn.functional.conv_transpose2d(real[0], real[1], real[2], 2, 1, 1).numpy()
            x = np.clip(np.rint(x), 0, layer.high)
        assert np.array_equal(got, x)


def test_phases_of_a_transposed_convolution_share_no_tap() -> None:
    """Every tap of the kernel is in exactly one phase, and the phases give torch's own convolution."""
    rng = np.random.default_rng(2)
    layer = Layer("up", True, rng.normal(0, 1, (3, 2, 5, 5)), np.zeros(2), 2, 2, 1, Activation(), "")
    side, apart = phases(layer)
    taps = [tuple(tap) for phase in apart for tap in phase.taps]
    assert sorted(taps) == [(row, column) for row in range(5) for column in range(5)]
    x = rng.normal(0, 1, (1, 3, 4, 6))
    whole = nn.functional.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(layer.weight), None, 2, 2, 1).numpy()
    patches = nn.functional.unfold(torch.from_numpy(x), side, padding=side // 2)[0].numpy().reshape(3, side * side, -1)
    for phase in apart:
        kernel = layer.weight[:, :, phase.taps[:, 0], phase.taps[:, 1]]
        sums = np.einsum("iot,itp->op", kernel, patches[:, phase.pixels]).reshape(2, 4, 6)
        assert np.allclose(sums, whole[0, :, phase.row :: 2, phase.column :: 2])


def test_rounding_by_second_moments_beats_rounding_one_by_one() -> None:
    """On correlated inputs the error of the sums is less than half."""
    rng = np.random.default_rng(8)
    mixing = rng.normal(0, 1, (4, 16))
    x = np.einsum("cm,chw->mhw", mixing, rng.normal(0, 1, (4, 30, 40)))[None] + rng.normal(0, 0.1, (1, 16, 30, 40))
    layer = Layer("only", False, rng.normal(0, 1, (5, 16, 1, 1)), np.zeros(5), 1, 0, 0, Activation(), "")
    weight = layer.weight[:, :, 0, 0]
    (moments,) = gather_moments(layer, [x], [np.einsum("oc,nchw->nohw", weight, x)])
    exponent = np.full(5, -2.0)

    def error(integers: NDArray[np.float64]) -> float:
        difference = integers / 4 - weight
        return float(np.einsum("of,fg,og->", difference, moments.second, difference))

    assert error(rounded(weight, exponent, np.full(weight.shape[1], 127), moments)) < 0.5 * error(np.rint(weight * 4))


def test_another_activation_than_relu_is_refused() -> None:
    layer = Layer("up", True, np.ones((1, 3, 5, 5)), np.zeros(3), 2, 2, 1, Activation(0.01), "")
    last = Layer("last", True, np.ones((3, 3, 5, 5)), np.zeros(3), 2, 2, 1, Activation(), "up")
    chain = Chain((layer, last), (), np.zeros(1), (Latent("y", None, 1),))
    with pytest.raises(ExportRefusedError, match=r"node up: activation .* expected Relu between layers"):
        quantize_synthesis(chain, [np.ones((1, 1, 4, 4))], np.ones(3), picture=True)
