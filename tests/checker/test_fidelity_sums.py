"""Signal to noise and shares over all frames, and from where on they are warned of."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_check.checker.report import ClippedRow, FidelityRow
from nvc_check.checker.traces.fidelity import SLAB, Noise, clipped_rows, percent, warnings_of
from nvc_check.models.artifacts.symbols import Clipping, FrameInfo


def test_noise_is_summed_frame_by_frame() -> None:
    """As over all at once, far from zero and over several slabs; without noise, without signal, in other shapes."""
    rng = np.random.default_rng(0)
    frames = [(1000 + rng.normal(0, 3, (1, 3, 40, width))).astype(np.float32) for width in (1, 30, SLAB // 100)]
    noise = Noise()
    for real in frames:
        noise.add(np.rint(real * 4).astype(np.int32), -2, real)
    joined = np.concatenate([real.ravel() for real in frames]).astype(np.float64)
    expected = 10 * np.log10(joined.var() / np.mean((np.rint(joined * 4) / 4 - joined) ** 2))
    assert noise.decibels == pytest.approx(expected, abs=1e-9) and noise.values == joined.size > SLAB
    assert decibels_of([2, 4], [0.5, 1.0]) == 999.0  # nothing differs
    assert decibels_of([3, 3], [1.0, 1.0]) == -999.0  # a constant, missed
    assert decibels_of([4, 4], [1.0, 1.0]) == 999.0  # a constant, met
    assert decibels_of([1, 2, 3], [0.5, 1.0]) is None and Noise().decibels is None


def decibels_of(integers: list[int], real: list[float]) -> float | None:
    noise = Noise()
    noise.add(np.array(integers, np.int32), -2, np.array(real, np.float32))
    return noise.decibels


def frame(psnr: float = 30.0, bits: dict[str, float] | None = None, clipped: int = 0) -> FrameInfo:
    both = {"fp32": 30.0, "int": psnr}
    return FrameInfo("f", 10, 20, bits or {}, both if bits else {}, {"image.z": Clipping(1000, clipped)})


@pytest.mark.parametrize(
    ("here", "calibration", "warned"),
    [(30.0, 33.0, True), (30.1, 33.0, False), (40.0, 33.0, False), (-5.0, None, False), (60.0, 999.0, True)],
)
def test_from_3_db_below_the_calibration(here: float, calibration: float | None, warned: bool) -> None:
    row = FidelityRow(
        tensor="output/y", leg="exact", reference="cpu", values=8, snr_db=here, calibration_db=calibration
    )
    assert bool(warnings_of([row], [], [])) == warned
    (line,) = warnings_of([row.model_copy(update={"snr_db": None})], [], [])
    assert line.startswith("y: integer path and FP32 give other shapes")


@pytest.mark.parametrize(("clipped", "warned"), [(0, False), (9, False), (10, True), (1000, True)])
def test_from_1_percent_clipped(clipped: int, warned: bool) -> None:
    """Over all frames, whichever they are in."""
    rows = clipped_rows([frame(), frame(clipped=clipped), frame(clipped=clipped)])
    assert rows == [ClippedRow(input="image.z", values=3000, clipped=2 * clipped)]
    assert bool(warnings_of([], clipped_rows([frame(clipped=clipped)]), [])) == warned
    assert warnings_of([], [ClippedRow(input="x", values=0, clipped=0)], []) == []


@pytest.mark.parametrize(("psnr", "warned"), [(27.0, True), (27.1, False), (35.0, False)])
def test_from_3_db_below_fp32(psnr: float, warned: bool) -> None:
    """Of a codec's pictures, by their mean squared error: a frame without error beside them hides nothing."""
    coded = {"fp32": 8.0, "int": 9.0}
    assert bool(warnings_of([], [], [frame(psnr, coded)])) == warned
    flat = FrameInfo("flat", 10, 20, coded, {"fp32": 999.0, "int": 60.0})
    found = warnings_of([], [], [flat, frame(psnr, coded)])
    assert bool(found) == warned and all(line.startswith("pictures: PSNR") for line in found)


def test_percent() -> None:
    """Two digits, and never an exponent for what a person counts."""
    shares = [percent(part, 1000) for part in (0, 4, 34, 99, 100, 857, 1000)]
    assert shares == ["0", "0.4", "3.4", "9.9", "10", "86", "100"]
