"""Moving variances below zero, which only a network has that was never trained.

GluonCV's `initialize()` draws those of an SSD's further scales around 0. In MXNet such a channel is
not a number, of which its relu makes 0; other runtimes pass it on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgetally.conversion.artifact.symbol import Graph

    Weights = Mapping[str, NDArray[np.float32]]


_LARGEST = float(np.finfo(np.float32).max)


def undefined_variances(graph: Graph, params: Weights) -> list[str]:
    """Name the BatchNorms of which a channel is not a number. params are named `aux:…`."""
    return [
        node.name
        for node in graph.nodes
        if node.op == "BatchNorm"
        and len(node.inputs) == 5
        and (variance := params.get(f"aux:{graph.nodes[node.inputs[4][0]].name}")) is not None
        and np.any(variance + np.float32(node.number("eps", 1e-3)) <= 0)
    ]


def with_defined_variances(graph: Graph, weights: Weights) -> dict[str, NDArray[np.float32]]:
    """Return weights, by bare name, of which such a channel is 0 where a relu alone reads it."""
    defined = dict(weights)
    for index, node in enumerate(graph.nodes):
        if node.op != "BatchNorm" or len(node.inputs) != 5 or not _only_relu_reads(graph, index):
            continue
        names = [graph.nodes[source].name for source, _, _ in node.inputs[2:]]
        if any(name not in defined for name in names):
            continue
        beta, mean, variance = (defined[name] for name in names)
        undefined = variance + np.float32(node.number("eps", 1e-3)) <= 0
        if not undefined.any() or not beta.shape == mean.shape == variance.shape:
            continue
        # (x - 0) / sqrt(the largest number) + 0, whatever gamma says
        for name, values, neutral in zip(
            names, (beta, mean, variance), (0, 0, _LARGEST), strict=True
        ):
            defined[name] = np.where(undefined, np.float32(neutral), values)
    return defined


def _only_relu_reads(graph: Graph, index: int) -> bool:
    readers = [node for node in graph.nodes if any(s == index for s, _, _ in node.inputs)]
    return bool(readers) and all(
        node.op == "Activation" and node.text("act_type", "") == "relu" for node in readers
    )
