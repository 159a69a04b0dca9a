"""What is changed of a graph that the exporter wrote: constants, nodes and their order, attributes, outputs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from property.attacker.constants import WILD
from property.attacker.draft import ImpossibleError

WORDS = ("SAME_UPPER", "VALID", "NOTSET", "CRD", "DCR", "edge", "reflect", "constant", "wrap")


class Changes:
    """Of `model`, in place; what is left of it has no node that no output needs."""

    def __init__(self, model: onnx.ModelProto, rng: np.random.Generator) -> None:
        self.model, self.graph, self.rng = model, model.graph, rng
        self._types = {item.name: item.type for item in (*self.graph.value_info, *self.graph.input, *self.graph.output)}
        self._count = 0

    def make(self, number: int) -> None:
        for _ in range(number):
            mutations: list[Callable[[], None]] = [
                *(self._values, self._values, self._scalar, self._shown, self._cut, self._cut, self._bypassed),
                *(self._doubled, self._swapped, self._rewired, self._grafted, self._grafted, self._grafted),
                *(self._attribute, self._opset, self._stored),
            ]
            with suppress(ImpossibleError):
                self._one(mutations)()
        self._pruned()

    def _one(self, choices: Any) -> Any:
        if not len(choices):
            raise ImpossibleError("nothing to choose from")
        return choices[int(self.rng.integers(len(choices)))]

    def _name(self) -> str:
        self._count += 1
        return f"mutant_{self._count}"

    def _constants(self, few: bool = False) -> list[onnx.TensorProto]:
        return [
            item
            for item in self.graph.initializer
            if item.data_type in (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8)
            and (numpy_helper.to_array(item).size == 1) == few
        ]

    def _values(self) -> None:
        """Other weights of the same reach and grid."""
        item = self._one(self._constants() or self._constants(True))
        array = numpy_helper.to_array(item)
        flat = array.reshape(-1)
        changed = [
            self.rng.permutation(flat),
            self.rng.choice(flat, flat.size),
            np.full_like(flat, flat.max()),
            np.full_like(flat, flat.min()),
            np.flip(flat),
            np.where(self.rng.random(flat.size) < 0.5, flat, 0).astype(flat.dtype),
            -flat if array.dtype.kind == "f" else flat,
        ]
        item.CopyFrom(numpy_helper.from_array(self._one(changed).reshape(array.shape), item.name))

    def _scalar(self) -> None:
        """One reader of a number reads another one."""
        places = [
            (node, place, item)
            for item in self._constants(True)
            for node in self.graph.node
            for place, name in enumerate(node.input)
            if name == item.name
        ]
        node, place, item = self._one(places)
        value = numpy_helper.to_array(item)
        with np.errstate(all="ignore"):
            changed = np.asarray(
                self._one([value * 2, value / 2, -value, value + 1, value - 1, value * 0, value * 3, self._one(WILD)])
            ).astype(value.dtype)
        made = numpy_helper.from_array(changed.reshape(value.shape), self._name())
        self.graph.initializer.append(made)
        node.input[place] = made.name

    def _inner(self) -> list[str]:
        """Tensors between nodes whose type is known."""
        shown = {output.name for output in self.graph.output}
        made = [name for node in self.graph.node for name in node.output]
        return [name for name in made if name in self._types and name not in shown] or made

    def _show(self, name: str) -> None:
        if name in self._types and name not in [output.name for output in self.graph.output]:
            self.graph.output.append(helper.make_value_info(name, self._types[name]))

    def _shown(self) -> None:
        """An inner tensor as an output, too: no fusion may swallow it."""
        self._show(self._one(self._inner()))

    def _cut(self) -> None:
        """The graph ends at an inner tensor."""
        name = self._one(self._inner())
        del self.graph.output[:]
        self._show(name)
        self._pruned()

    def _bypassed(self) -> None:
        """A node is left out: what read it reads its input."""
        node = self._one([node for node in self.graph.node if node.input])
        self._replaced(node.output[0], node.input[0])

    def _replaced(self, old: str, new: str, but: str = "") -> None:
        for node in self.graph.node:
            if but not in node.output:
                for place, name in enumerate(node.input):
                    if name == old:
                        node.input[place] = new

    def _copied(self, node: onnx.NodeProto, read: str) -> onnx.NodeProto:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[0] = read
        copy.name = self._name() if node.name else ""
        for place in range(len(copy.output)):
            copy.output[place] = self._name()
        if node.output[0] in self._types:
            (kept := onnx.TypeProto()).CopyFrom(self._types[node.output[0]])
            for side in kept.tensor_type.shape.dim:
                side.Clear()
            self._types[copy.output[0]] = kept
        return copy

    def _doubled(self) -> None:
        """A node twice, one behind the other."""
        place = self._one(range(len(self.graph.node)))
        node = self.graph.node[place]
        if not node.input:
            return
        copy = self._copied(node, node.output[0])
        self._replaced(node.output[0], copy.output[0])
        self.graph.node.insert(place + 1, copy)

    def _swapped(self) -> None:
        """Two nodes, one reading the other, change places."""
        made = {node.output[0]: node for node in self.graph.node}
        pairs = [(made[n.input[0]], n) for n in self.graph.node if n.input and n.input[0] in made]
        if pairs:
            one, two = self._one(pairs)
            (first := onnx.NodeProto()).CopyFrom(one)
            read, between, end = one.input[0] if one.input else "", one.output[0], two.output[0]
            one.CopyFrom(two)
            one.input[0], one.output[0] = read, between
            two.CopyFrom(first)
            two.input[0], two.output[0] = between, end

    def _alike(self, name: str, before: int) -> list[str]:
        """Earlier tensors of the same type and shape."""
        wanted = self._types.get(name)
        made = [out for node in self.graph.node[:before] for out in node.output]
        return [other for other in made if other != name and wanted and self._types.get(other) == wanted]

    def _rewired(self) -> None:
        """A node reads another tensor of the same type."""
        place = self._one(range(len(self.graph.node)))
        node = self.graph.node[place]
        for slot, name in enumerate(node.input):
            alike = self._alike(name, place)
            if alike and self.rng.random() < 0.7:
                node.input[slot] = self._one(alike)
                return

    def _grafted(self) -> None:
        """What follows one node also follows another of the same operator."""
        made = {node.output[0]: node for node in self.graph.node}
        stock = self._one(list(made.values()))
        scion = self._one([node for node in made.values() if node.op_type == stock.op_type])
        read, at, copies = stock.output[0], scion.output[0], list[onnx.NodeProto]()
        for _ in range(int(self.rng.integers(1, 6))):
            followers = [node for node in self.graph.node if node.input and node.input[0] == at]
            if not followers:
                break
            follower = self._one(followers)
            copies.append(self._copied(follower, read))
            at, read = follower.output[0], copies[-1].output[0]
        if copies:
            self.graph.node.extend(copies)
            self._show(read)

    def _attribute(self) -> None:
        node = self._one([node for node in self.graph.node if node.attribute] or [onnx.NodeProto()])
        if not node.attribute:
            return
        item = self._one(node.attribute)
        if item.type == onnx.AttributeProto.INT:
            item.i += int(self._one([1, -1, 2]))
        elif item.type == onnx.AttributeProto.INTS and item.ints:
            item.ints[int(self.rng.integers(len(item.ints)))] += int(self._one([1, -1]))
        elif item.type == onnx.AttributeProto.FLOAT:
            item.f *= float(self._one([2.0, 0.5, -1.0, 1.5]))
        elif item.type == onnx.AttributeProto.STRING:
            item.s = self._one(WORDS).encode()

    def _opset(self) -> None:
        self.model.opset_import[0].version = int(self.rng.integers(13, 24))

    def _stored(self) -> None:
        """A constant as a node, or one that the caller may override."""
        item = self._one(self.graph.initializer)
        if self.rng.random() < 0.8:
            self.graph.node.insert(0, helper.make_node("Constant", [], [item.name], value=item))
            self.graph.initializer.remove(item)
        elif item.name not in [given.name for given in self.graph.input]:
            self.graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, item.dims))

    def _pruned(self) -> None:
        """Nodes that no output needs are left out, and what was known of the shapes of old tensors."""
        needed, kept = {output.name for output in self.graph.output}, []
        for node in list(self.graph.node)[::-1]:
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        given = [item for item in self.graph.input if item.name in needed] or list(self.graph.input)[:1]
        stored = [item for item in self.graph.initializer if item.name in needed]
        graph = helper.make_graph(kept[::-1], self.graph.name, given, list(self.graph.output), stored)
        for output in graph.output:
            for side in output.type.tensor_type.shape.dim:
                side.Clear()
        self.graph.CopyFrom(graph)
