"""The anchors of an SSD: MXNet's `_contrib_MultiBoxPrior` in numpy, and a graph's whole list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgetally.conversion.artifact.symbol import Graph, Node

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
    graph: Graph,
    index: int,
    shapes: Mapping[int, tuple[int, ...]],
    params: Mapping[str, NDArray[np.float32]],
    *,
    most: int,
) -> NDArray[np.float32]:
    """Return the anchors that a node stands for, whatever the picture: float32 [A, 4].

    shapes holds [N, C, H, W] of each feature map, by node; params the parameters as `arg:…`.
    InputError where there are more than `most`, one is not finite, or something else than priors,
    parameters and their rearrangement lies between.
    """
    values: dict[int, NDArray[np.float32]] = {}
    for i in _constant_part(graph, index, shapes):
        node = graph.nodes[i]
        inputs = [values.get(source) for source, _, _ in node.inputs]
        try:
            features = [_shape_of(graph, source, shapes) for source, _, _ in node.inputs]
            with np.errstate(all="ignore"):  # what is not finite is refused below
                values[i] = _evaluated(node, inputs, features, params, most)
        except (ValueError, IndexError, TypeError, KeyError):
            raise InputError(
                f"{node}: anchors made this way are not supported; {_REMEDY}"
            ) from None
    found = values[index]
    if found.ndim != 3 or found.shape[::2] != (1, 4):
        raise InputError(f"{graph.nodes[index]} gives {list(found.shape)}, no anchors; {_REMEDY}")
    if not np.isfinite(found).all():
        raise InputError(f"{graph.nodes[index]} gives anchors that are not finite; {_REMEDY}")
    anchors: NDArray[np.float32] = found[0]
    return anchors


def _constant_part(graph: Graph, index: int, shapes: Mapping[int, tuple[int, ...]]) -> list[int]:
    """List what a node is computed from, in order, down to feature maps, which are left out."""
    found: set[int] = set()
    waiting = [index]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        node = graph.nodes[current]
        if node.op == "_contrib_MultiBoxPrior":
            continue
        sources = [source for source, _, _ in node.inputs]
        waiting.extend(sources[:1] if node.op == "slice_like" else sources)
    if any(i in shapes and graph.nodes[i].op != "null" for i in found):
        feature = graph.nodes[next(i for i in sorted(found) if i in shapes)]
        raise InputError(f"{feature}: anchors that depend on the picture are not supported")
    return sorted(found)


def _shape_of(
    graph: Graph, index: int, shapes: Mapping[int, tuple[int, ...]]
) -> tuple[int, ...] | None:
    while index not in shapes and graph.nodes[index].op == "_mul_scalar":
        index = graph.nodes[index].inputs[0][0]  # GluonCV passes a feature map times zero
    return shapes.get(index)


def _evaluated(
    node: Node,
    inputs: list[NDArray[np.float32] | None],
    features: list[tuple[int, ...] | None],
    params: Mapping[str, NDArray[np.float32]],
    most: int,
) -> NDArray[np.float32]:
    if node.op == "null":
        return params[f"arg:{node.name}"]
    if node.op == "_contrib_MultiBoxPrior":
        return _prior(node, features[0], most)
    if node.op == "slice_like":
        data, feature = inputs[0], features[1]
        if data is None or feature is None:
            raise ValueError("no feature map")
        axes = node.integers("axes", ())
        cut = tuple(
            slice(feature[axis]) if axis in axes else slice(None) for axis in range(data.ndim)
        )
        return data[cut]
    known = [value for value in inputs if value is not None]
    if len(known) != len(inputs):
        raise ValueError("no constant")
    first = known[0]
    if node.op in {"_copy", "identity"}:
        return first
    if node.op in {"Flatten", "flatten"}:
        return first.reshape(len(first), -1)
    if node.op in {"Reshape", "reshape"}:
        wanted = node.integers("shape", ())
        return first.reshape(
            [first.shape[i] if side == 0 else side for i, side in enumerate(wanted)]
        )
    if node.op == "Concat":
        joined: NDArray[np.float32] = np.concatenate(known, axis=node.integer("dim", 1))
        return joined
    if node.op == "slice_axis":
        begin, end = node.integer("begin", 0), node.text("end", "")
        part = slice(begin, int(end) if end else None)
        return first[(slice(None),) * (node.integer("axis", 0) % first.ndim) + (part,)]
    if node.op == "_div_scalar":
        return first / np.float32(node.number("scalar", 1))
    if node.op == "_mul_scalar":
        return first * np.float32(node.number("scalar", 1))
    if node.op in {"elemwise_sub", "elemwise_add"}:
        return first - known[1] if node.op == "elemwise_sub" else first + known[1]
    raise ValueError(node.op)


def _prior(node: Node, feature: tuple[int, ...] | None, most: int) -> NDArray[np.float32]:
    if feature is None:
        raise ValueError("no feature map")
    height, width = feature[2:]
    sizes, ratios = node.numbers("sizes", (1.0,)), node.numbers("ratios", (1.0,))
    steps, offsets = node.numbers("steps", (-1.0, -1.0)), node.numbers("offsets", (0.5, 0.5))
    if (
        min(sizes, default=0) <= 0
        or min(ratios, default=0) <= 0
        or not len(steps) == len(offsets) == 2
    ):
        raise InputError(f"{node}: its sizes, ratios, steps or offsets make no anchors; {_REMEDY}")
    count = height * width * (len(sizes) + len(ratios) - 1)
    if count > most:
        raise InputError(
            f"{node} makes {count} anchors, the network's heads are for {most} in all: they do not "
            "belong together; symbol and parameters must come from the same training job"
        )
    return multibox_prior(
        height,
        width,
        sizes=sizes,
        ratios=ratios,
        steps=steps,
        offsets=offsets,
        clip=node.flag("clip", False),
    )[np.newaxis]
