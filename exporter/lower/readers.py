"""What the rest of a float graph asks of each of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.lower.codes import BYTE
from nvc_check.exporter.lower.site import Asked
from nvc_check.exporter.lower.values import FixedGrid, Float64, Int64
from nvc_check.exporter.network.graphs import LAYERS, array_of
from nvc_check.exporter.network.pointwise import POINTWISE
from nvc_check.exporter.network.rewrite import REARRANGE
from nvc_check.exporter.network.shuffles import shuffle_of

# channels stay what they are
UNARY = ("Clip", "Dropout", "Identity", "LeakyRelu", "MaxPool", "PRelu", "Pad", "Relu", "Resize")
SMALL = 0.01  # of the multiplications, and of the values that layers give
FINE = 16  # bits that a root or a quotient reads
FREE = (-np.inf, np.inf)


class Readers:
    """Of a graph in topological order.

    Args:
        activations: layer's name -> bits that it reads.
        grids: of outputs by name, where these have a role.
    """

    def __init__(
        self, graph: ir.Graph, activations: Callable[[str], int], grids: Mapping[str, FixedGrid] | None = None
    ) -> None:
        self._grids = grids or {}
        self._outputs = {id(value) for value in graph.outputs}
        self._activations = activations
        self._bits: dict[int, int] = {}
        self._final: dict[int, bool] = {}
        for node in reversed(list(graph)):
            for value in node.outputs:
                self.final(value)
                self.bits(value)
        self._products = {id(node): _products(node) for node in graph}
        self._places = {id(node): _places(node) for node in graph}
        self._all, self._everywhere = (sum(each.values()) or 1.0 for each in (self._products, self._places))

    def asked(self, value: ir.Value) -> Asked:
        labels = lambda width: self.labels(value, width)  # noqa: E731
        return Asked(
            labels, self.final(value), self.reach(value), self._slopes(value), self.bits(value), self._grid(value)
        )

    def _grid(self, value: ir.Value) -> FixedGrid | None:
        return self._grids.get(str(value.name)) if id(value) in self._outputs and not value.uses() else None

    def _slopes(self, value: ir.Value) -> Callable[[int], Float64] | None:
        readers = [use.node for use in value.uses()]
        if len(readers) != 1 or id(value) in self._outputs:
            return None
        alpha, slopes = readers[0].attributes.get("alpha"), None
        if readers[0].op_type == "LeakyRelu":
            slopes = np.array([0.01 if alpha is None else float(alpha.value)])
        elif readers[0].op_type == "PRelu":
            found = array_of(readers[0].inputs[1])
            slopes = None if found is None else found.astype(np.float64).reshape(-1)
        if slopes is None:
            return None
        return lambda width: np.broadcast_to(slopes, width) if slopes.size in (1, width) else np.ones(width)

    def share(self, node: ir.Node) -> float:
        """Of the graph's multiplications, this node's."""
        return self._products[id(node)] / self._all

    def is_small(self, node: ir.Node) -> bool:
        """Whether 16 bits cost next to nothing here, as at the lowest resolution of a decoder."""
        return self.share(node) <= SMALL and self._places[id(node)] / self._everywhere <= SMALL

    def final(self, value: ir.Value) -> bool:
        """Whether it becomes an output without another layer."""
        if id(value) not in self._final:
            found = id(value) in self._outputs or any(
                self.final(output)
                for use in value.uses()
                if use.node.op_type not in LAYERS
                for output in use.node.outputs
            )
            self._final[id(value)] = found
        return self._final[id(value)]

    def bits(self, value: ir.Value) -> int:
        """The most that a layer reads of it, whatever moved or bent it before; 0 where none does."""
        if id(value) not in self._bits:
            found = [0]
            for use in value.uses():
                if use.node.op_type in LAYERS:
                    found.append(self._activations(str(use.node.name)))
                elif is_steep(use.node):
                    found.append(FINE)
                else:
                    found += [self.bits(output) for output in use.node.outputs]
            self._bits[id(value)] = max(found)
        return self._bits[id(value)]

    def relu_behind(self, node: ir.Node) -> ir.Value | None:
        """What a Relu makes of a layer's output, if nothing else reads that."""
        if node.op_type not in LAYERS or id(node.outputs[0]) in self._outputs:
            return None
        readers = [use.node for use in node.outputs[0].uses()]
        return readers[0].outputs[0] if [reader.op_type for reader in readers] == ["Relu"] else None

    def labels(self, value: ir.Value, width: int) -> Int64:
        """(width,) channels that must share a unit have the same label, counted from 0."""
        labels = np.arange(width)
        if id(value) in self._outputs:
            return np.zeros_like(labels)
        for use in value.uses():
            node = use.node
            if node.op_type in ("DepthToSpace", "SpaceToDepth"):
                shuffle = shuffle_of(node)
                if width % shuffle.divisor == 0:
                    after = width * shuffle.size**2 if shuffle.apart else width // shuffle.size**2
                    passed = shuffle.passed_back(self.labels(node.outputs[0], after), width)
                    labels = _joined(_joined(labels, shuffle.labels(width)), passed)
            elif node.op_type == REARRANGE or (node.op_type == POINTWISE and node.meta["function"].degree is None):
                return np.zeros_like(labels)
            elif node.op_type == "Clip":
                # one grid, so that limits are the same integers; 16 bits have other means
                labels = labels if self.final(value) else np.zeros_like(labels)
                labels = _joined(labels, self.labels(node.outputs[0], width))
            elif node.op_type in UNARY:
                labels = _joined(labels, self.labels(node.outputs[0], width))
            elif node.op_type in ("Flatten", "Reshape") and (shape := node.outputs[0].shape) is not None:
                count = shape[1] if len(shape) > 1 else None
                if isinstance(count, int) and count < width and width % count == 0:
                    labels = _joined(labels, np.arange(width) // (width // count))
        return labels

    def reach(self, value: ir.Value) -> tuple[float, float]:
        """Real values beyond it make no difference to those that read it."""
        if id(value) in self._outputs:
            return FREE
        low, high = np.inf, -np.inf
        for use in value.uses():
            below, above = self._reach_of(use.node, self.final(value) or self.bits(value) > BYTE)
            low, high = min(low, below), max(high, above)
        return (low, high) if low < high else FREE

    def _reach_of(self, node: ir.Node, wide: bool) -> tuple[float, float]:
        if node.op_type == POINTWISE:
            pointwise = node.meta["function"]
            low, high = pointwise.flat if wide else pointwise.flat_byte
            return low, high
        if node.op_type == "Clip":
            limits = [array_of(node.inputs[i]) if i < len(node.inputs) else None for i in (1, 2)]
            low, high = (float(limit) if limit is not None else end for limit, end in zip(limits, FREE, strict=True))
            return min(low, 0.0), max(high, 0.0)
        return FREE


def is_steep(node: ir.Node) -> bool:
    return node.op_type == POINTWISE and bool(node.meta["function"].steep)


def made_for_steep(graph: ir.Graph) -> set[str]:
    """Names of the layers whose outputs only roots, quotients and the like read."""
    return {
        str(node.name)
        for node in graph
        if node.op_type in LAYERS and (uses := node.outputs[0].uses()) and all(is_steep(use.node) for use in uses)
    }


def _products(node: ir.Node) -> float:
    weight = array_of(node.inputs[1]) if node.op_type in LAYERS and len(node.inputs) > 1 else None
    value = node.inputs[0] if node.op_type == "ConvTranspose" else node.outputs[0]
    if weight is None or value is None or value.shape is None:
        return 0.0
    places = [size for size in value.shape[2:] if isinstance(size, int)]
    return float(weight.size * np.prod(places))


def _places(node: ir.Node) -> float:
    shape = node.outputs[0].shape if node.op_type in LAYERS else None
    return 0.0 if shape is None else float(np.prod([size for size in shape if isinstance(size, int)]))


def _joined(a: Int64, b: Int64) -> Int64:
    """Labels that are equal wherever those of `a` or of `b` are."""
    joined = np.arange(len(a))
    for _ in range(len(a)):
        before = joined.copy()
        for labels in (a, b):
            lowest = np.full(int(labels.max()) + 1, len(labels))
            np.minimum.at(lowest, labels, joined)
            joined = lowest[labels]
        if (joined == before).all():
            break
    found: Int64 = np.unique(joined, return_inverse=True)[1].reshape(-1)
    return found
