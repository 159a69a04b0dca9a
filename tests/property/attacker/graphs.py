"""One random model and its inputs, from a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from property.attacker import anything, arithmetic, chains, layers, moves, quantized
from property.attacker.arithmetic import bounded
from property.attacker.constants import INTEGERS
from property.attacker.draft import Draft, ImpossibleError, Tensor
from property.attacker.layers import BYTES
from property.attacker.quantized import dequantize, quantize

Inputs = dict[str, NDArray[Any]]
TRIES = 60
USUAL = (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.FLOAT)
UNUSUAL = (*INTEGERS, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL)
FAMILIES: tuple[tuple[Mapping[Any, int], float], ...] = (
    (arithmetic.DRAWS, 0.26),
    (layers.DRAWS, 0.14),
    (moves.DRAWS, 0.2),
    (quantized.DRAWS, 0.2),
    (chains.DRAWS, 0.18),
    (anything.DRAWS, 0.02),
)


class AttackGraph:
    """The model and three sets of inputs of a seed.

    Attributes:
        valid: whether the checker takes the model; `model` and `inputs` are of no use otherwise.
        meaning: whether the standard says what the model computes for the inputs.
    """

    @np.errstate(all="ignore")
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        opset = int(self.rng.choice([*range(9, 24), *(13, 17, 17, 18, 19, 21, 21, 22)]))
        tame = bool(self.rng.random() < 0.6)
        self.draft = Draft(self.rng, opset, int(self.rng.integers(1, 4)) if tame else None)
        self._given = [self._input(tame, index) for index in range(int(self.rng.choice([1, 1, 2])))]
        wanted = self._size() + int(self.rng.integers(2, 11))
        for _ in range(TRIES):
            if self._size() < wanted:
                self._draw()
        self.model = self._finished()
        self.inputs = [{t.name: self._values(t, way) for t in self._given} for way in range(3)]
        try:
            onnx.checker.check_model(self.model, full_check=True)
            self.valid = True
        except Exception as error:  # of several classes
            self.valid, self.refusal = False, str(error)
        self.meaning = self.valid

    def _size(self) -> int:
        return sum(node.op_type != "Constant" for node in self.draft.nodes)

    def _input(self, tame: bool, index: int) -> Tensor:
        """An input, and the numbers on a grid that are made of it."""
        draft = self.draft
        kind = draft.one(USUAL if tame or draft.chance(0.6) else UNUSUAL)
        rank = draft.one([4, 4, 4, 4, 4, 3, 2, 5, 1])
        side = draft.one([2, 3, 4, 5])
        shape = (1, draft.one([1, 2, 4]), *(side,) * (rank - 2)) if rank > 1 else (side,)
        x = Tensor(f"x{index}", kind, shape)
        draft.pool.append(x)
        newer = draft.opset >= 10
        if kind == TensorProto.FLOAT and newer:
            if tame or draft.chance(0.8):
                draft.pool.remove(x)
                dequantize(draft, quantize(draft, x, kind=draft.one(BYTES)))
        elif kind in BYTES and newer and draft.chance(0.7):
            dequantize(draft, x)
        else:
            bounded(draft, draft.add("Cast", [x], to=TensorProto.FLOAT))
        return x

    def _draw(self) -> None:
        """One draw of one family, taken back where it is impossible."""
        draft = self.draft
        draws = FAMILIES[int(self.rng.choice(len(FAMILIES), p=[share for _, share in FAMILIES]))][0]
        draw = draft.one([draw for draw, weight in draws.items() for _ in range(weight)])
        nodes, pool = len(draft.nodes), len(draft.pool)
        try:
            draw(draft)
        except ImpossibleError:
            if draft.chance(0.5):  # else what came before the impossible node stays
                kept = [node for node in draft.nodes[nodes:] if node.op_type == "Constant"]
                draft.nodes[nodes:], draft.pool[pool:] = kept, []

    def _finished(self) -> onnx.ModelProto:
        draft = self.draft
        read = {name for node in draft.nodes for name in node.input}
        made = {name for node in draft.nodes for name in node.output}
        ends = [t for t in draft.pool if t.name in made and (t.name not in read or draft.chance(0.05))]
        outputs = [self._shown(t) for t in ends] or [self._shown(self._given[0])]
        used = {name for node in draft.nodes for name in node.input}
        infos = [helper.make_tensor_value_info(t.name, t.kind, t.shape) for t in self._given]
        for name in draft.overridable:
            data = draft.initializers[name]
            infos.append(helper.make_tensor_value_info(name, data.data_type, list(data.dims)))
            used.add(name)
        unnamed = draft.chance(0.2)
        for index, node in enumerate(draft.nodes):
            node.name = "" if unnamed else f"{node.op_type}_{index}"
        graph = helper.make_graph(
            draft.nodes,
            "attack",
            infos,
            [helper.make_tensor_value_info(t.name, t.kind, t.shape) for t in outputs],
            [data for name, data in draft.initializers.items() if name in used],
        )
        opsets = [helper.make_opsetid("", draft.opset)]
        if draft.odd(0.02):
            opsets.append(
                helper.make_opsetid(draft.one(["", "ai.onnx", "ai.onnx.ml"]), draft.one([1, draft.opset, 13]))
            )
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 10
        return model

    def _shown(self, tensor: Tensor) -> Tensor:
        """The tensor as an output, of a type that arrays of every leg have."""
        if tensor.kind in (*USUAL, *UNUSUAL) and tensor not in self._given:
            return tensor
        kind = TensorProto.FLOAT if tensor not in self._given else tensor.kind
        operator = "Cast" if kind != tensor.kind else "Identity"
        attributes: dict[str, Any] = {"to": kind} if operator == "Cast" else {}
        shown = Tensor(self.draft.name(), kind, tensor.shape)
        self.draft.nodes.append(helper.make_node(operator, [tensor.name], [shown.name], **attributes))
        return shown

    def _values(self, tensor: Tensor, way: int) -> NDArray[Any]:
        """Way 0: the ends of the type; 1: small numbers and ties; 2: all kinds."""
        kind, shape, rng = tensor.dtype, tensor.shape, self.rng
        if kind == np.bool_:
            return np.asarray(rng.random(shape) < 0.5)
        near = rng.integers(-20, 21, shape) * (0.5 if kind.kind == "f" else 1)
        if kind.kind == "f":
            top = 6e4 if kind.itemsize == 2 else 1e5
            ends = rng.choice([-top, top, 0.0, 255.0, -128.0], shape)
            some = rng.normal(size=shape) * rng.choice([1, 100], shape)
        else:
            limits = np.iinfo(kind)
            ends = rng.choice(np.array([limits.min, limits.max], kind), shape)
            some = rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
            near = near.clip(limits.min, limits.max)
        choices = [ends.astype(kind), near.astype(kind), some.astype(kind)]
        if way == 0 and rng.random() < 0.5:
            return np.full(shape, choices[0].reshape(-1)[0], kind)
        if way < 2:
            return np.asarray(choices[way], kind)
        which = rng.integers(0, 3, shape)
        mixed: NDArray[Any] = np.select([which == 0, which == 1], choices[:2], choices[2])
        return mixed.astype(kind)
