"""How weights are rounded: by what the calibration says of their inputs, and outliers shared out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nvc_check.exporter.network.geometry import Layer, convolution, transposed
from nvc_check.exporter.quantize import fitting
from nvc_check.exporter.quantize.fitting import fit, fit_split
from nvc_check.exporter.quantize.moments import Moments, moments_of
from nvc_check.exporter.quantize.rounding import Factored, nearest, refitted, rounded

Float64 = NDArray[np.float64]


def layer(weight: Float64) -> Layer:
    sizes = weight.shape[2] // 2
    return convolution("only", weight, np.zeros(len(weight)), (1, 1), (sizes,) * 4, (1, 1), 1)


def moments(made: Layer, inputs: list[Float64]) -> list[Moments]:
    (found,) = moments_of(made.parts, inputs, [[made.sums(x) for x in inputs]])
    return found


def correlated(rng: np.random.Generator) -> Float64:
    mixing = rng.normal(0, 1, (4, 16))
    x = np.einsum("cm,chw->mhw", mixing, rng.normal(0, 1, (4, 30, 40)))[None]
    return x + rng.normal(0, 0.1, (1, 16, 30, 40))


def test_rounding_by_second_moments_beats_rounding_one_by_one() -> None:
    """On correlated inputs the error of the sums is less than half."""
    rng = np.random.default_rng(8)
    x = correlated(rng)
    made = layer(rng.normal(0, 1, (5, 16, 1, 1)))
    weight = made.parts[0].weight[:, :, 0, 0]
    (found,) = moments(made, [x])

    def error(integers: Float64) -> float:
        difference = integers / 4 - weight
        return float(np.einsum("of,fg,og->", difference, found.second, difference))

    largest = np.full(weight.shape[1], 127)
    compensated = rounded(weight, np.full(5, -2.0), largest, Factored.of(found))
    assert error(compensated) < 0.5 * error(np.rint(weight * 4))


def test_the_last_bits_of_sums_decide_no_tie() -> None:
    """To even, whatever order of summation has left; what is no tie goes to the nearest."""
    halves = np.arange(-6, 6) + 0.5
    noise = np.random.default_rng(0).normal(0, 1e-12, (50, 12))
    assert np.array_equal(nearest(halves + noise), np.broadcast_to(np.rint(halves), (50, 12)))
    assert nearest(np.array([0.499, 0.501, -2.501, 1e6 + 0.501])).tolist() == [0, 1, -3, 1e6 + 1]


def test_refitted_weights_are_least_squares() -> None:
    """Against the normal equations, solved directly."""
    rng = np.random.default_rng(9)
    x = correlated(rng)
    made = layer(rng.normal(0, 1, (5, 16, 1, 1)))
    (found,) = moments(made, [x + rng.normal(0, 1, x.shape)])
    wanted = replace(found, cross=found.cross + rng.normal(0, 1, found.cross.shape))
    weight = made.parts[0].weight[:, :, 0, 0]
    damped = wanted.second + 0.05 * np.trace(wanted.second) / 16 * np.eye(16)
    expected = weight + np.linalg.solve(damped, (wanted.cross - weight @ wanted.second).T).T
    assert np.allclose(refitted(weight, wanted, Factored.of(wanted, 0.05)), expected)


@pytest.mark.parametrize("outputs", [3, 16])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("taps", "strides", "pads", "extra"),
    [
        ((5, 5), (2, 2), (2, 2, 2, 2), (1, 1)),
        ((4, 3), (2, 3), (1, 0, 1, 0), (0, 1)),
        ((2, 2), (2, 2), (0,) * 4, (0, 0)),
        ((1, 3), (2, 1), (0, 1, 0, 1), (1, 0)),
    ],
)
def test_phases_have_the_moments_of_what_they_read(
    taps: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    extra: tuple[int, int],
    groups: int,
    outputs: int,
) -> None:
    """Those of the patches of each phase, gathered by itself, where every place is taken."""
    rng = np.random.default_rng(taps[0])
    weight = rng.normal(0, 1, (4, outputs, *taps))
    made = transposed("up", weight, np.zeros(outputs * groups), strides, pads, (1, 1), groups, extra)
    x = rng.normal(0, 1, (1, 4, 6, 7))
    wanted = [[part.sums(x, part.weight, part.bias)] for part in made.parts]
    for part, (sums,), found in zip(made.parts, wanted, moments_of(made.parts, [x], wanted), strict=True):
        padded = np.pad(x, ((0, 0), (0, 0), (part.pads[0], part.pads[2]), (part.pads[1], part.pads[3])))
        kernel: tuple[int, ...] = part.weight.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(padded[0], kernel, axis=(1, 2))  # type: ignore[call-overload]
        assert windows.shape[1:3] == sums.shape[2:]
        patches = windows.transpose(0, 3, 4, 1, 2).reshape(groups, -1, sums[0, 0].size)
        targets = sums.reshape(groups, -1, sums[0, 0].size)
        for group, (inputs, outs) in zip(found, zip(patches, targets, strict=True), strict=True):
            both = np.cov(np.concatenate([inputs, outs]), bias=True)
            size = len(inputs)
            assert np.allclose(group.second, both[:size, :size])
            assert np.allclose(group.cross, both[size:, :size], atol=0.01)  # sums are snapped
            assert np.allclose(group.inputs, inputs.mean(axis=1))


def test_an_outlier_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel with the large weights is read more than once, its weights stay small, and the others gain bits."""
    rng = np.random.default_rng(5)
    weight = rng.normal(0, 0.02, (8, 16, 3, 3))
    weight[:, 3] *= 30
    made = layer(weight)
    x = np.rint(rng.laplace(0, 3, (1, 16, 30, 30))).clip(-64, 63)
    (part,) = made.parts
    found = moments(made, [x])
    shared, copies = fit_split(part, found, 64, 127)
    assert copies[3] > 1
    assert copies.sum() <= 24
    assert np.abs(shared.weight).max() <= 127
    whole = fit(part, found, 64, 127)
    others = np.delete(np.arange(16), 3)
    fine = np.abs(shared.weight[:, np.isin(np.repeat(np.arange(16), copies), others)])
    assert np.median(fine) >= 3 * np.median(np.abs(whole.weight[:, others]))
    read = np.repeat(x, copies, axis=1)
    error = [np.square(each.sums(given) - made.sums(x)).mean() for each, given in ((shared, read), (whole, x))]
    assert error[0] < error[1] / 4
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "SPLIT_SHARE", 0.0)
        assert (fit_split(part, found, 64, 127)[1] == 1).all()
