"""An integer graph beside the float graph that it was made of: same bits on every leg, same shape, signal to noise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray
from property.fuzz import on_onnxruntime, on_openvino, on_oracle

from nvc_check.models.artifacts.package import GridTensor

Arrays = dict[str, NDArray[Any]]
CONSTANT = 1e-9  # of the mean square: less variance is rounding of a constant


def float_results(model: onnx.ModelProto, inputs: Arrays) -> Arrays:
    """ONNX Runtime's, optimizations off."""
    names = [value.name for value in model.graph.output]
    results = on_onnxruntime(model.SerializeToString(), inputs, "ORT_DISABLE_ALL")
    return dict(zip(names, results, strict=True))


def in_steps(inputs: Arrays, grids: Mapping[str, GridTensor]) -> Arrays:
    """int32, clipped to the range that the integer graph takes."""
    steps = {name: np.rint(np.ldexp(inputs[name].astype(np.float64), -grid.exponent)) for name, grid in grids.items()}
    return {name: np.clip(x, grids[name].low, grids[name].high).astype(np.int32) for name, x in steps.items()}


def real_values(outputs: Arrays, grids: Mapping[str, GridTensor]) -> Arrays:
    return {name: np.ldexp(x.astype(np.float64), grids[name].exponent) for name, x in outputs.items()}


def integer_results(
    models: Mapping[str, onnx.ModelProto], inputs: Arrays, on_openvino_too: Collection[str] = ()
) -> tuple[Arrays, list[str]]:
    """The oracle's outputs of the first flavour, and what computes anything else: "flavour, leg, output: how much".

    Args:
        models: by flavour.
        on_openvino_too: flavours that OpenVINO runs as well.
    """
    expected: Arrays = {}
    faults = []
    for flavour, model in models.items():
        data = model.SerializeToString()
        legs = {
            "oracle": on_oracle(model, inputs),
            "ort off": on_onnxruntime(data, inputs, "ORT_DISABLE_ALL"),
            "ort all": on_onnxruntime(data, inputs, "ORT_ENABLE_ALL"),
        }
        if flavour in on_openvino_too:
            legs["openvino"] = on_openvino(_core(), data, inputs)
        for leg, results in legs.items():
            if results is None:
                faults.append(f"{flavour}, {leg}: not evaluated")
                continue
            found = {value.name: x for value, x in zip(model.graph.output, results, strict=True)}
            expected = expected or found
            for name, array in found.items():
                if array.shape != expected[name].shape:
                    faults.append(f"{flavour}, {leg}, {name}: {array.shape}, not {expected[name].shape}")
                elif not np.array_equal(array, expected[name]):
                    differ = np.count_nonzero(array != expected[name])
                    faults.append(f"{flavour}, {leg}, {name}: {differ} of {array.size} values differ")
    return expected, faults


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def decibels(real: NDArray[Any], made: NDArray[Any]) -> float:
    """Signal to noise, the signal's mean apart unless it is a constant; inf where nothing differs."""
    real, made = real.astype(np.float64), made.astype(np.float64)
    error, square = float(np.mean((made - real) ** 2)), float(np.mean(real**2))
    power = float(np.var(real))
    power = power if power > CONSTANT * square else square
    if error == 0:
        return float("inf")
    return float(10 * np.log10(power / error)) if power > 0 else float("-inf")


def nearness(reals: Arrays, made: Arrays) -> tuple[dict[str, float], list[str]]:
    """Output -> dB, and outputs of another shape or name: "output: what"."""
    if list(reals) != list(made):
        return {}, [f"outputs {', '.join(made)}, expected {', '.join(reals)}"]
    shapes = [f"{n}: shape {made[n].shape}, expected {x.shape}" for n, x in reals.items() if made[n].shape != x.shape]
    return {n: decibels(x, made[n]) for n, x in reals.items() if made[n].shape == x.shape}, shapes
