"""The anchors of an SSD: MXNet's `_contrib_MultiBoxPrior` in numpy, and a graph's whole list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgetally.conversion.symbol import Graph

_PASSED_THROUGH = ("Reshape", "reshape", "Flatten", "flatten", "_copy", "identity")
_REMEDY = "take the artifact from the training job again"


def multibox_prior(
    height: int,
    width: int,
    *,
    sizes: Sequence[float] = (1.0,),
    ratios: Sequence[float] = (1.0,),
    steps: Sequence[float] = (-1.0, -1.0),
    offsets: Sequence[float] = (0.5, 0.5),
    clip: bool = False,
) -> NDArray[np.float32]:
    """Return the anchors of a feature map: float32 [height * width * K, 4], corners in 0-1.

    K = len(sizes) + len(ratios) - 1: every size at the first ratio, then the first size at
    the other ratios. steps and offsets are (y, x); a step that is not positive is one cell.
    Formula, order and float32 rounding of MXNet 1.9.1 (src/operator/contrib/multibox_prior.cc).
    """
    f = np.float32
    roots = np.sqrt(np.asarray(ratios, f))
    scales = np.concatenate([np.asarray(sizes, f), np.full(len(ratios) - 1, sizes[0], f)])
    roots = np.concatenate([np.full(len(sizes), roots[0], f), roots[1:]])
    half_widths = scales * f(height) / f(width) * roots / f(2)
    half_heights = scales / roots / f(2)
    step_y = f(steps[0]) if steps[0] > 0 else f(1) / f(height)
    step_x = f(steps[1]) if steps[1] > 0 else f(1) / f(width)
    centre_y = ((np.arange(height, dtype=f) + f(offsets[0])) * step_y)[:, None, None]
    centre_x = ((np.arange(width, dtype=f) + f(offsets[1])) * step_x)[None, :, None]
    corners = (
        centre_x - half_widths,
        centre_y - half_heights,
        centre_x + half_widths,
        centre_y + half_heights,
    )
    cells = (height, width, len(scales))
    anchors = np.stack([np.broadcast_to(side, cells) for side in corners], axis=-1)
    rows: NDArray[np.float32] = anchors.reshape(-1, 4)
    return rows.clip(0, 1) if clip else rows


def anchors_of(
    graph: Graph, index: int, shapes: Mapping[int, tuple[int, ...]]
) -> NDArray[np.float32]:
    """Return the anchors that a node joins from its MultiBoxPrior nodes: float32 [A, 4].

    shapes holds [N, C, H, W] of each feature map, by node. InputError where something other
    than joining and reshaping lies between.
    """
    node = graph.nodes[index]
    if node.op in _PASSED_THROUGH and node.inputs:
        return anchors_of(graph, node.inputs[0][0], shapes)
    if node.op == "Concat" and node.inputs:
        return np.concatenate([anchors_of(graph, i, shapes) for i, _, _ in node.inputs])
    feature = shapes.get(node.inputs[0][0]) if node.inputs else None
    if node.op != "_contrib_MultiBoxPrior" or feature is None:
        raise InputError(f"{node}: anchors made this way are not supported; {_REMEDY}")
    height, width = feature[2:]
    sizes, ratios = node.numbers("sizes", (1.0,)), node.numbers("ratios", (1.0,))
    steps, offsets = node.numbers("steps", (-1.0, -1.0)), node.numbers("offsets", (0.5, 0.5))
    if not sizes or min(ratios, default=0) <= 0 or not len(steps) == len(offsets) == 2:
        raise InputError(f"{node}: its sizes, ratios, steps or offsets make no anchors; {_REMEDY}")
    return multibox_prior(
        height,
        width,
        sizes=sizes,
        ratios=ratios,
        steps=steps,
        offsets=offsets,
        clip=node.flag("clip", False),
    )
