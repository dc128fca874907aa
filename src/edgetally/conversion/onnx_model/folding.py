"""BatchNorm folded into the convolution beside it, in float64, wherever that is exact.

At inference MXNet's BatchNorm is x * s + t a channel, with s = gamma / sqrt(variance + eps) and
t = beta - mean * s (src/operator/nn/batch_norm.cc). After a convolution s and t go into its
weight and bias. Before one they do too, unless it pads: padding puts 0 where t should stand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.artifact.symbol import Entry, Graph, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]
    Affine = tuple[NDArray[np.float64], NDArray[np.float64]]

PASSED_THROUGH = frozenset({"_copy", "identity", "Dropout", "BlockGrad", "stop_gradient"})
"""Operators that at inference give what they were given."""


def fold_batch_norms(
    graph: Graph, weights: Weights
) -> tuple[Graph, dict[str, NDArray[np.float32]], int]:
    """Return a graph that computes the same with fewer nodes, its weights, the number folded.

    weights are float32 by the variable's name. Nodes keep their indices; those that nothing reads
    any more stay, unread. What does not fit together is left as it is, for who translates it.
    """
    folding = _Folding(graph, weights)
    for index in folding.read():
        if folding.nodes[index].op == "BatchNorm":
            folding.into_convolution_before(index)
    for index in folding.read():
        if folding.nodes[index].op == "Convolution":
            folding.into_convolution(index)
    return replace(graph, nodes=tuple(folding.nodes)), folding.weights, folding.folded


class _Folding:
    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph = graph
        self.nodes = _without_copies(graph.nodes)
        self.weights = dict(weights)
        self.folded = 0
        self._names = Counter(node.name for node in graph.nodes)
        heads = [head for head, _, _ in graph.heads]
        inputs = (entry for index in self.read() for entry in self.nodes[index].inputs)
        self._readers = Counter([*heads, *(source for source, _, _ in inputs)])

    def read(self) -> list[int]:
        """List the nodes that the heads are computed from, in topological order."""
        graph = replace(self._graph, nodes=tuple(self.nodes))
        return graph.ancestors(head for head, _, _ in graph.heads)

    def into_convolution_before(self, index: int) -> None:
        """Fold the BatchNorm at `index` into the convolution that it alone reads."""
        norm = self.nodes[index]
        affine = self._affine(norm)
        if affine is None or not self._alone(norm.inputs[0], "Convolution"):
            return
        convolution = self.nodes[norm.inputs[0][0]]
        found = self._weight_and_bias(convolution)
        if found is None:
            return
        scale, shift = affine
        weight, bias = found
        if len(weight) == len(scale):
            rows = scale.reshape(-1, *(1,) * (weight.ndim - 1))
            self._place(index, convolution, norm, weight * rows, bias * scale + shift)

    def into_convolution(self, index: int) -> None:
        """Fold the BatchNorm that only the convolution at `index` reads into it."""
        convolution = self.nodes[index]
        if not convolution.inputs or not self._alone(convolution.inputs[0], "BatchNorm"):
            return
        norm = self.nodes[convolution.inputs[0][0]]
        affine, found = self._affine(norm), self._weight_and_bias(convolution)
        if affine is None or found is None:
            return
        weight, bias = found
        groups = convolution.integer("num_group", 1)
        if groups < 1 or len(weight) % groups or weight.shape[1] * groups != len(affine[0]):
            return
        if affine[1].any() and any(convolution.integers("pad", ())):
            return
        # Each group of filters reads its own group of channels.
        scale, shift = (
            values.reshape(groups, -1)
            .repeat(len(weight) // groups, axis=0)
            .reshape(*weight.shape[:2], *(1,) * (weight.ndim - 2))
            for values in affine
        )
        moved = replace(convolution, inputs=(norm.inputs[0], *convolution.inputs[1:]))
        self._place(index, moved, norm, weight * scale, bias + _sums(weight * shift))

    def _affine(self, norm: Node) -> Affine | None:
        """Scale and shift of a BatchNorm, [C] each."""
        parameters = [self._parameter(entry) for entry in norm.inputs[1:]]
        if len(parameters) != 4 or norm.integer("axis", 1) != 1:
            return None
        found = [np.asarray(values, np.float64) for values in parameters if values is not None]
        if len(found) != 4 or len({values.shape for values in found}) != 1 or found[0].ndim != 1:
            return None
        gamma, beta, mean, variance = found
        if norm.flag("fix_gamma", True):
            gamma = np.ones_like(gamma)
        with np.errstate(all="ignore"):  # what is not finite is not placed
            scale = gamma / np.sqrt(variance + norm.number("eps", 1e-3))
            return scale, beta - mean * scale

    def _weight_and_bias(self, convolution: Node) -> Affine | None:
        """Weight and bias (zeros where it has none) that no other node reads."""
        entries = convolution.inputs[1:]
        if len(entries) != (1 if convolution.flag("no_bias", False) else 2):
            return None
        if not all(self._alone(entry, "null") for entry in entries):
            return None
        weight, *biases = (self._parameter(entry) for entry in entries)
        if weight is None or weight.ndim < 3:
            return None
        bias = biases[0] if biases else np.zeros(len(weight), np.float32)
        if bias is None or bias.shape != (len(weight),):
            return None
        return weight.astype(np.float64), bias.astype(np.float64)

    def _place(
        self,
        index: int,
        convolution: Node,
        norm: Node,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
    ) -> None:
        data, weight_entry, *bias_entry = convolution.inputs
        beta = norm.inputs[2]
        if not bias_entry and not self._alone(beta, "null"):
            return
        with np.errstate(over="ignore"):
            narrow_weight, narrow_bias = weight.astype(np.float32), bias.astype(np.float32)
        if not np.isfinite(narrow_weight).all() or not np.isfinite(narrow_bias).all():
            return
        if not bias_entry:  # beta's node is earlier than the convolution's place: it is taken over
            del self.weights[self.nodes[beta[0]].name]
            self.nodes[beta[0]] = Node("null", self._free(f"{convolution.name}_bias"), {})
            bias_entry = [beta]
        self.weights[self.nodes[weight_entry[0]].name] = narrow_weight
        self.weights[self.nodes[bias_entry[0][0]].name] = narrow_bias
        attrs = {**convolution.attrs, "no_bias": "False"}
        inputs = (data, weight_entry, bias_entry[0])
        self.nodes[index] = replace(convolution, attrs=attrs, inputs=inputs)
        self.folded += 1

    def _alone(self, entry: Entry, op: str) -> bool:
        """Tell whether the entry is the first output of such a node, and read only once."""
        source, output, _ = entry
        node = self.nodes[source]
        named_once = op != "null" or self._names[node.name] == 1
        return node.op == op and output == 0 and self._readers[source] == 1 and named_once

    def _parameter(self, entry: Entry) -> NDArray[np.float32] | None:
        node = self.nodes[entry[0]]
        return self.weights.get(node.name) if node.op == "null" else None

    def _free(self, name: str) -> str:
        while self._names[name]:
            name += "_"
        self._names[name] += 1
        return name


def _without_copies(nodes: Iterable[Node]) -> list[Node]:
    """Let every node read what the copies in between read."""
    rewired: list[Node] = []

    def origin(entry: Entry) -> Entry:
        source = rewired[entry[0]]
        copied = source.op in PASSED_THROUGH and entry[1] == 0 and len(source.inputs) == 1
        return source.inputs[0] if copied else entry

    for node in nodes:
        inputs = tuple(origin(entry) for entry in node.inputs)
        rewired.append(replace(node, inputs=inputs))
    return rewired


def _sums(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum all axes but the first, one after the other: in the same order on every machine."""
    total = np.zeros(len(terms))
    for column in terms.reshape(len(terms), -1).T:
        total += column
    return total
