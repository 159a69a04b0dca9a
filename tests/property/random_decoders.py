"""Random float decoders of the operators that a user's ONNX graph may have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Example = dict[str, NDArray[np.float32]]
SIDE = 8  # rows and columns of the inputs


class RandomDecoder:
    """One or two latents, a dozen operators at random places, one or two outputs.

    Attributes:
        model: opset 18, float32.
        examples: inputs by name, to calibrate on.
    """

    def __init__(self, seed: int, operators: int = 12) -> None:
        self.rng = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._tensors: list[tuple[str, int, int]] = []  # name, channels, times the inputs' size
        inputs = [(f"y{i}", int(self.rng.integers(2, 7))) for i in range(int(self.rng.integers(1, 3)))]
        self._tensors += [(name, width, 1) for name, width in inputs]
        for _ in range(operators):
            step = self.rng.choice(np.array([self._layer, self._activation, self._move, self._combine, self._scale]))
            step()
        outputs = [self._tensors[-1], *([self._tensors[-2]] if self.rng.random() < 0.3 else [])]
        self.model = helper.make_model(
            helper.make_graph(
                self._nodes,
                f"decoder_{seed}",
                [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, "h", "w"]) for n, c in inputs],
                [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, None, None]) for n, c, _ in outputs],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=10,
        )
        onnx.checker.check_model(self.model)
        self.inputs = dict(inputs)
        self.examples = [self._example() for _ in range(4)]

    def _example(self) -> Example:
        return {
            name: np.rint(self.rng.laplace(0, 4, (1, width, SIDE, SIDE))).astype(np.float32)
            for name, width in self.inputs.items()
        }

    def _pick(self) -> tuple[str, int, int]:
        """Mostly of the latest."""
        place = len(self._tensors) - 1 - int(self.rng.geometric(0.6) - 1) % len(self._tensors)
        return self._tensors[place]

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def _node(self, op_type: str, inputs: list[str], width: int, size: int, **attributes: Any) -> None:
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, inputs, [name], f"node_{name}", **attributes))
        self._tensors.append((name, width, size))

    def _layer(self) -> None:
        name, width, size = self._pick()
        outputs, side = int(self.rng.integers(2, 21)), int(self.rng.choice([1, 3, 5]))
        transposed = side > 1 and size < 4 and self.rng.random() < 0.4
        group = width if not transposed and self.rng.random() < 0.2 else 1
        outputs = width if group > 1 else outputs
        shape = (width, outputs, side, side) if transposed else (outputs, width // group, side, side)
        weight = self.rng.normal(0, (side * side * width / group) ** -0.5, shape).astype(np.float32)
        inputs = [name, self._constant(weight)]
        if self.rng.random() < 0.8:
            inputs.append(self._constant(self.rng.normal(0, 0.3, outputs).astype(np.float32)))
        attributes: dict[str, Any] = {"kernel_shape": [side, side], "pads": [side // 2] * 4}
        if transposed:
            attributes |= {"strides": [2, 2], "output_padding": [1, 1]}
        else:
            attributes["group"] = group
        self._node(
            "ConvTranspose" if transposed else "Conv", inputs, outputs, size * (2 if transposed else 1), **attributes
        )
        if self.rng.random() < 0.5:
            self._node("Relu", [self._tensors[-1][0]], outputs, self._tensors[-1][2])

    def _activation(self) -> None:
        name, width, size = self._pick()
        kind = self.rng.choice(["Relu", "LeakyRelu", "Clip", "Neg", "Identity"])
        if kind == "LeakyRelu":
            self._node("LeakyRelu", [name], width, size, alpha=float(self.rng.choice([0.01, 0.1, 0.25, 0.3])))
        elif kind == "Clip":
            low, high = sorted(self.rng.normal(0, 3, 2).astype(np.float32))
            self._node("Clip", [name, self._constant(low), self._constant(high)], width, size)
        else:
            self._node(str(kind), [name], width, size)

    def _move(self) -> None:
        name, width, size = self._pick()
        kind = self.rng.choice(["DepthToSpace", "Slice", "Pad", "Resize"])
        if kind == "DepthToSpace" and width % 4 == 0 and size < 4:
            self._node(kind, [name], width // 4, size * 2, blocksize=2, mode=str(self.rng.choice(["DCR", "CRD"])))
        elif kind == "Slice" and width > 2:
            start = int(self.rng.integers(0, width - 1))
            bounds = [self._constant(np.array([v], np.int64)) for v in (start, width, 1)]
            self._node(kind, [name, *bounds], width - start, size)
        elif kind == "Pad":
            mode = str(self.rng.choice(["constant", "edge", "reflect"]))
            pads = self._constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
            self._node("Pad", [name, pads], width, size, mode=mode)
            padded, weight = self._tensors.pop()[0], self.rng.normal(0, 0.3, (width, width, 3, 3)).astype(np.float32)
            self._node("Conv", [padded, self._constant(weight)], width, size, kernel_shape=[3, 3])
        elif kind == "Resize" and size < 4:
            scales = self._constant(np.array([1, 1, 2, 2], np.float32))
            how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
            self._node(kind, [name, "", scales], width, size * 2, **how)

    def _combine(self) -> None:
        name, width, size = self._pick()
        others = [other for other in self._tensors if other[2] == size and other[0] != name]
        if not others:
            return
        other, other_width, _ = others[int(self.rng.integers(len(others)))]
        if other_width == width and self.rng.random() < 0.7:
            self._node(str(self.rng.choice(["Add", "Sub"])), [name, other], width, size)
        elif width + other_width < 40:
            self._node("Concat", [name, other], width + other_width, size, axis=1)

    def _scale(self) -> None:
        name, width, size = self._pick()
        shape = (1, width, 1, 1) if self.rng.random() < 0.5 else ()
        by = self._constant(self.rng.normal(0, 1, shape).astype(np.float32))
        kind = str(self.rng.choice(["Mul", "Add", "Sub", "Div"]))
        inputs = [by, name] if kind != "Div" and self.rng.random() < 0.3 else [name, by]
        self._node(kind, inputs, width, size)


def hard_inputs(decoder: RandomDecoder, seed: int) -> dict[str, dict[str, NDArray[np.int32]]]:
    """What calibration never saw, in steps: usual values at another size, saturation, zeros, escapes beyond 24 bits."""
    rng = np.random.default_rng(seed)
    limits = np.iinfo(np.int32)

    def of(make: Any) -> dict[str, NDArray[np.int32]]:
        return {name: make((1, width, 7, 5)).astype(np.int32) for name, width in decoder.inputs.items()}

    return {
        "usual": of(lambda shape: np.rint(rng.laplace(0, 4, shape))),
        "wide": of(lambda shape: np.rint(rng.laplace(0, 3000, shape))),
        "zeros": of(np.zeros),
        "signs": of(lambda shape: rng.choice([-32768, 32767], shape)),
        "escapes": of(lambda shape: rng.choice([limits.min, limits.max, 2**24 + 1, -5], shape)),
    }
