"""Graphs that the exporter writes, with a few things changed: their pieces are all known, their neighbours are not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import helper
from property.attacker.changes import Changes
from property.random_decoders import RandomDecoder

BASES, SEEDS_OF_ONE = 400, 128  # consecutive seeds share a base, which takes long to export
INT32 = np.iinfo(np.int32)
OTHER_SIDES = (16, 60, 64, 128, 8, 2, 3, 1)


@lru_cache(maxsize=4)
def exported(number: int) -> tuple[onnx.ModelProto, ...]:
    """Both flavours of a random decoder, with the types of all tensors; another one where it is refused."""
    from nvc_check.exporter.user_graph import quantize_user_graph  # loads torch

    try:
        decoder = RandomDecoder(number, operators=2 + number % 5)
        made = quantize_user_graph(ir.from_proto(decoder.model), [*decoder.examples])
    except Exception:  # of the exporter's
        return exported(number + BASES)
    return tuple(onnx.shape_inference.infer_shapes(ir.to_proto(graph)) for graph in made.graphs.values())


class MutantGraph:
    """Up to three changes of a base; the attributes are those of AttackGraph."""

    _sides: dict[str, int]

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        bases = exported(seed // SEEDS_OF_ONE % BASES)
        self.model = onnx.ModelProto()
        self.model.CopyFrom(bases[int(self.rng.integers(len(bases)))])
        self.graph = self.model.graph
        self._fixed_sides()
        Changes(self.model, self.rng).make(int(self.rng.integers(0, 4)))
        try:
            onnx.checker.check_model(self.model, full_check=True)
            self.valid = True
        except Exception:  # of several classes
            self.valid = False
        self.meaning = False
        for side in (0, *OTHER_SIDES):  # where the sizes drawn do not fit, others may
            self._sides = {name: side or drawn for name, drawn in self._sides.items()}
            self.inputs = [{item.name: self._drawn(item, way) for item in self.graph.input} for way in range(3)]
            self.meaning = self.valid and self._fits()
            if self.meaning or not self.valid:
                break

    def _fixed_sides(self) -> None:
        """Sizes in place of symbols, or not."""
        self._sides = {name: int(self.rng.choice([1, 2, 3, 4, 5, 8])) for name in ("h", "w")}
        if self.rng.random() < 0.5:
            for item in self.graph.input:
                for side in item.type.tensor_type.shape.dim:
                    if side.dim_param in self._sides:
                        side.dim_value = self._sides[side.dim_param]
            for output in self.graph.output:
                for side in output.type.tensor_type.shape.dim:
                    side.dim_value or side.Clear()
            del self.graph.value_info[:]
            self.model = onnx.shape_inference.infer_shapes(self.model)
            self.graph = self.model.graph

    def _fits(self) -> bool:
        """Whether shapes fit each other at the inputs' sizes; engines may read beside arrays where they do not."""
        sized = onnx.ModelProto()
        sized.CopyFrom(self.model)
        for item in sized.graph.input:
            if item.name in self.inputs[0]:
                for side, size in zip(item.type.tensor_type.shape.dim, self.inputs[0][item.name].shape, strict=True):
                    side.dim_value = size
        del sized.graph.value_info[:]
        try:
            known = onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True).graph
        except Exception:  # of several classes
            return False
        ends = (*known.value_info, *known.input, *known.output)
        sides = {item.name: [d.dim_value for d in item.type.tensor_type.shape.dim] for item in ends}
        turned = [(n.input[0], n.output[0]) for n in known.node if n.op_type == "Reshape" and n.input[0] in sides]
        if any(0 in shape for shape in sides.values()) or any(
            np.prod(sides[a]) != np.prod(sides.get(b, sides[a])) for a, b in turned
        ):
            return False
        mirrored = [node.input[0] for node in known.node if any(a.s == b"reflect" for a in node.attribute)]
        return all(min(sides.get(name, [0])[-2:]) > 1 for name in mirrored)  # there is nothing to mirror in one

    def _drawn(self, item: onnx.ValueInfoProto, way: int) -> NDArray[Any]:
        """Way 0: the ends of what symbols are; 1: usual latents; 2: all kinds."""
        typed = item.type.tensor_type
        shape = tuple(side.dim_value or self._sides.get(side.dim_param, 1) for side in typed.shape.dim)
        dtype = helper.tensor_dtype_to_np_dtype(typed.elem_type)
        if way == 0:
            values = self.rng.choice([-32768, 32767, -128, 127, 0, INT32.min, INT32.max, 2**24 + 1], shape)
        elif way == 1:
            values = np.rint(self.rng.laplace(0, 4, shape))
        else:
            values = np.rint(self.rng.laplace(0, self.rng.choice([2, 60, 9000], shape), shape))
        return np.asarray(values).astype(dtype)
