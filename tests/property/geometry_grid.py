"""Every geometry of Conv and ConvTranspose: PYTHONPATH=tests python tests/property/geometry_grid.py [--share 40]

Kernel 1 to 7, stride 1 to 4, padding below the kernel, output_padding below the stride, one or two groups or as many as
channels; each once square and once with another geometry along the rows, with or without a Relu by seed. Exact, of
ONNX Runtime's shape and near to it, on latents of three sizes.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from property.against_float import decibels, float_results, in_steps, integer_results, nearness, real_values
from property.in_processes import in_processes

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.export import refuse_inexact
from nvc_check.exporter.user_graph import quantize_user_graph
from nvc_check.models.artifacts.package import GridTensor

CHANNELS = 4
SIZES = ((8, 9), (11, 6), (22, 27))  # of the latents that are compared: every stride leaves remainders
CALIBRATED = (44, 47)  # a layer of stride 4 leaves few values of less: what it makes later would saturate
LEAST = 35.0  # dB against ONNX Runtime's float result, of all sizes together: few values have any signal to noise
# where a layer reads what a Relu made of another's sums: in 7 bits, half of whose steps may be idle
LEAST_HIDDEN = 30.0
GROUPED = 2.0  # less: a group's few weights share one grid, and no outlier of them is split
CERTIFIED = 10  # one setting of as many is certified too, which takes longer than all else
HIDDEN = "Relu and layer behind"
FORMS = ("alone", "Relu behind", "Relu in front", HIDDEN)
EMPTY, EXACT, WRONG = "empty", "exact", "WRONG"
Pair = tuple[int, int]


@dataclass(frozen=True)
class Setting:
    """One layer, rows first in each pair; `begin` and `end` are its padding."""

    transposed: bool
    kernel: Pair
    stride: Pair
    begin: Pair
    end: Pair
    output_padding: Pair
    group: int
    form: str
    seed: int

    def side(self, axis: int, side: int) -> int:
        """Rows or columns of what the layer makes of `side`."""
        kernel, stride, pads = self.kernel[axis], self.stride[axis], self.begin[axis] + self.end[axis]
        if self.transposed:
            return (side - 1) * stride - pads + kernel + self.output_padding[axis]
        return (side + pads - kernel) // stride + 1

    @property
    def empty(self) -> bool:
        return any(self.side(axis, size[axis]) < 1 for size in SIZES for axis in (0, 1))

    @property
    def least(self) -> float:
        """dB."""
        return (LEAST_HIDDEN if self.form == HIDDEN else LEAST) - (GROUPED if self.group > 1 else 0)

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(repr(astuple(self)).encode()))

    def model(self) -> onnx.ModelProto:
        """float32, input `latent` (1, 4, h, w), output `picture`."""
        rng, name = self.rng(), "latent"
        reach = self.kernel[0] * self.kernel[1] * CHANNELS / self.group
        fed = max(1.0, reach / (self.stride[0] * self.stride[1] if self.transposed else 1))  # inputs of an output
        shape = (CHANNELS, CHANNELS // self.group, *self.kernel)
        weight, bias = rng.normal(0, fed**-0.5, shape), rng.normal(0, 0.3, CHANNELS)
        last = rng.normal(0, 0.5, (CHANNELS, CHANNELS, 1, 1))
        attributes: dict[str, Any] = {
            "kernel_shape": self.kernel, "strides": self.stride, "pads": self.begin + self.end, "group": self.group
        }  # fmt: skip
        if self.transposed:
            attributes["output_padding"] = self.output_padding
        nodes = []
        if self.form == "Relu in front":
            nodes.append(helper.make_node("Relu", ["latent"], ["positive"], "relu_in_front"))
            name = "positive"
        layer = "ConvTranspose" if self.transposed else "Conv"
        nodes.append(helper.make_node(layer, [name, "weight", "bias"], ["picture"], "layer", **attributes))
        if "behind" in self.form:
            nodes[-1].output[0] = "sums"
            nodes.append(helper.make_node("Relu", ["sums"], ["picture"], "relu_behind"))
        if self.form == HIDDEN:
            nodes[-1].output[0] = "hidden"
            nodes.append(helper.make_node("Conv", ["hidden", "last"], ["picture"], "layer_behind"))
        arrays = {"weight": weight, "bias": bias, "last": last}
        graph = helper.make_graph(
            nodes,
            "geometry",
            [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1, CHANNELS, "h", "w"])],
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, CHANNELS, None, None])],
            [
                numpy_helper.from_array(x.astype(np.float32), n)
                for n, x in arrays.items()
                if n != "last" or "layer" in self.form
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model)
        return model

    def __str__(self) -> str:
        name = "ConvTranspose" if self.transposed else "Conv"
        extra = f" output_padding {self.output_padding}" if self.transposed else ""
        pads = f"pads {(*self.begin, *self.end)}"
        return f"{name} kernel {self.kernel} stride {self.stride} {pads}{extra} groups {self.group}, {self.form}"


class Outcome(NamedTuple):
    """`reason`: of WRONG. `decibels`: of all that was compared."""

    verdict: str
    reason: str = ""
    decibels: float = float("inf")


def square_settings(seed: int) -> Iterator[Setting]:
    """Every geometry once; the form by seed."""
    rng = np.random.default_rng(seed)
    for transposed in (False, True):
        for kernel in range(1, 8):
            for stride in range(1, 5):
                for padding in range(kernel):
                    for extra in range(stride if transposed else 1):
                        for group in (1, 2, CHANNELS):
                            sides, steps, pads, more = ((each, each) for each in (kernel, stride, padding, extra))
                            form = str(rng.choice(FORMS))
                            yield Setting(transposed, sides, steps, pads, pads, more, group, form, seed)


def uneven_settings(seed: int) -> Iterator[Setting]:
    """For each square one, the same columns with rows, and padding at the ends, of another."""
    rng = np.random.default_rng([seed, 1])
    for each in square_settings(seed + 1):
        kernel, stride = int(rng.integers(1, 8)), int(rng.integers(1, 5))
        columns = each.kernel[0]
        yield Setting(
            each.transposed,
            (kernel, columns),
            (stride, each.stride[0]),
            (int(rng.integers(kernel)), each.begin[0]),
            (int(rng.integers(kernel)), int(rng.integers(columns))),
            (int(rng.integers(stride)) if each.transposed else 0, each.output_padding[0]),
            each.group,
            each.form,
            seed,
        )


def latents(rng: np.random.Generator, size: Pair, deviation: float) -> dict[str, NDArray[np.float32]]:
    return {"latent": np.rint(rng.normal(0, deviation, (1, CHANNELS, *size))).astype(np.float32)}


class IntegerForm(NamedTuple):
    """`models`: by flavour."""

    models: dict[str, onnx.ModelProto]
    inputs: dict[str, GridTensor]
    outputs: dict[str, GridTensor]


def integer_form(model: onnx.ModelProto, rng: np.random.Generator) -> IntegerForm:
    made = quantize_user_graph(ir.from_proto(model), [latents(rng, CALIBRATED, 4) for _ in range(4)])
    return IntegerForm({flavour: ir.to_proto(each) for flavour, each in made.graphs.items()}, made.inputs, made.outputs)


def check(setting: Setting) -> Outcome:
    if setting.empty:
        return Outcome(EMPTY)
    model, rng = setting.model(), setting.rng()
    try:
        made = integer_form(model, rng)
        if int(rng.integers(CERTIFIED)) == 0:
            refuse_inexact({flavour: certify(each) for flavour, each in made.models.items()})
    except Exception as error:  # a refusal is a failure too: every geometry has a form
        return Outcome(WRONG, f"{type(error).__name__}: {error}")
    return judge(setting, model, made)


def judge(setting: Setting, model: onnx.ModelProto, made: IntegerForm) -> Outcome:
    """Compares the integer form `made` with the float `model`."""
    rng = np.random.default_rng(setting.seed)
    reals, ours = [], []
    for size in SIZES:
        inputs = latents(rng, size, 3.6)  # what saturates is no fault of a geometry
        real = float_results(model, inputs)
        try:
            outputs, faults = integer_results(made.models, in_steps(inputs, made.inputs))
        except Exception as error:  # engines raise classes of their own
            return Outcome(WRONG, f"{size}: {type(error).__name__}: {error}")
        _, shapes = nearness(real, real_values(outputs, made.outputs))
        if faults or shapes:
            return Outcome(WRONG, f"{size}: {'; '.join(faults + shapes)}")
        reals.append(real["picture"].reshape(-1))
        ours.append(real_values(outputs, made.outputs)["picture"].reshape(-1))
    found = decibels(np.concatenate(reals), np.concatenate(ours))
    if found < setting.least:
        return Outcome(WRONG, f"{found:.1f} dB", found)
    return Outcome(EXACT, "", found)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--share", type=int, help="as many settings, drawn by seed; default: all")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--processes", type=int, default=2)
    options = arguments.parse_args()
    settings, start = chosen(options.share, options.seed), time.monotonic()
    table: dict[str, Counter[str]] = {}
    noise: dict[str, list[float]] = {}
    wrong = 0
    for setting, found in in_processes(check, settings, options.processes):
        outcome = found or Outcome(WRONG, "the process ended")
        row = f"{'ConvTranspose' if setting.transposed else 'Conv'}, {setting.group} groups"
        table.setdefault(row, Counter())[outcome.verdict] += 1
        if outcome.verdict == WRONG:
            wrong += 1
            print(f"WRONG {setting}: {outcome.reason.splitlines()[0]}", flush=True)
        elif np.isfinite(outcome.decibels):
            noise.setdefault(setting.form, []).append(outcome.decibels)
    print(f"{'':28}{EXACT:>8}{WRONG:>8}{EMPTY:>8}")
    for row, counts in [*table.items(), ("all", sum(table.values(), Counter[str]()))]:
        print(f"{row:28}{counts[EXACT]:8}{counts[WRONG]:8}{counts[EMPTY]:8}")
    for form, each in noise.items():
        print(f"signal to noise, {form}: worst {np.min(each):.1f} dB, median {np.median(each):.1f} dB")
    print(f"{len(settings)} settings, {time.monotonic() - start:.0f} s")
    return 1 if wrong else 0


def chosen(share: int | None, seed: int) -> list[Setting]:
    """All settings, or a random share."""
    settings = [*square_settings(seed), *uneven_settings(seed)]
    if share is None:
        return settings
    places = np.random.default_rng(seed).choice(len(settings), min(share, len(settings)), replace=False)
    return [settings[place] for place in places]


if __name__ == "__main__":
    sys.exit(main())
