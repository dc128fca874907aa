"""MXNet's operators that only move numbers, in ONNX: reshape, transpose, join, cut.

No shape holds the number of frames, so that it can be chosen when the model is loaded. Rules are
those of MXNet 1.9.1 (src/operator/tensor/matrix_op-inl.h).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.onnx_model.graph import OnnxNodes, Value
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.conversion.artifact.symbol import Node
    from edgetally.conversion.onnx_model.graph import Operator, Shape

_COPY, _INFER, _COPY_REST, _MERGE, _SPLIT = 0, -1, -2, -3, -4


def _flatten(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    name = target.add("Flatten", [data.name], node.name, axis=1)
    return Value(name, (data.shape[0], math.prod(data.shape[1:])))


def _concat(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    axis = node.integer("dim", 1) % len(inputs[0].shape)
    rest = {value.shape[:axis] + value.shape[axis + 1 :] for value in inputs}
    if len(rest) != 1:
        raise ValueError("the inputs differ beside the axis that joins them")
    name = target.add("Concat", [value.name for value in inputs], node.name, axis=axis)
    joined = sum(value.shape[axis] for value in inputs)
    return Value(name, (*inputs[0].shape[:axis], joined, *inputs[0].shape[axis + 1 :]))


def _reshape(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    codes = node.integers("shape", ())
    if not codes or min(codes) < _SPLIT or node.flag("reverse", False):
        raise InputError(f"{node}: shape {codes} is not supported, nor is reverse")
    sides = _followed(codes, data.shape)
    shape = _inferred(sides, math.prod(data.shape))
    if sides[0] == data.shape[0] == 1:
        sides[0] = 0  # ONNX copies that side, however many frames there are
    wanted = target.constant(f"{node.name}_shape", np.array(sides, np.int64))
    return Value(target.add("Reshape", [data.name, wanted], node.name), shape)


def _followed(codes: Sequence[int], shape: Shape) -> list[int]:
    """Follow MXNet's codes along a shape; what is to be inferred stays -1."""
    sides: list[int] = []
    rest, waiting = list(shape), list(codes)
    while waiting:
        code = waiting.pop(0)
        if code == _COPY:
            sides.append(rest.pop(0))
        elif code == _COPY_REST:
            sides.extend(rest)
            rest.clear()
        elif code == _MERGE:
            sides.append(rest.pop(0) * rest.pop(0))
        elif code == _SPLIT:
            whole, *parts = rest.pop(0), waiting.pop(0), waiting.pop(0)
            known = math.prod(part for part in parts if part != _INFER)
            parts = [whole // known if part == _INFER else part for part in parts]
            if min(parts) < 1 or math.prod(parts) != whole:
                raise ValueError(f"{whole} can't be split into {parts}")
            sides.extend(parts)
        else:
            del rest[:1]
            sides.append(code)
    return sides


def _inferred(sides: Sequence[int], size: int) -> Shape:
    known = math.prod(side for side in sides if side != _INFER)
    unknown = sides.count(_INFER)
    if unknown > 1 or size % known or (not unknown and size != known):
        raise ValueError(f"{size} numbers do not make {sides}")
    return tuple(size // known if side == _INFER else side for side in sides)


def _transpose(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    axes = node.integers("axes", ()) or tuple(reversed(range(len(data.shape))))
    if sorted(axes) != list(range(len(data.shape))):
        raise ValueError(f"axes {axes} are no order of the input's")
    name = target.add("Transpose", [data.name], node.name, perm=axes)
    return Value(name, tuple(data.shape[axis] for axis in axes))


def _slice_axis(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    axis = node.integer("axis", 0) % len(data.shape)
    side = data.shape[axis]
    begin, end, _ = slice(node.integer("begin", 0), node.integer("end", side)).indices(side)
    if axis == 0 or begin >= end:
        raise ValueError(f"{begin} to {end} of axis {axis} can't be cut out")
    name = node.name
    bounds = [
        target.constant(f"{name}_{what}", np.array([number], np.int64))
        for what, number in (("begin", begin), ("end", end), ("axis", axis))
    ]
    shape = (*data.shape[:axis], end - begin, *data.shape[axis + 1 :])
    return Value(target.add("Slice", [data.name, *bounds], name), shape)


SHAPE_OPERATORS: dict[str, Operator] = {
    "Flatten": _flatten,
    "flatten": _flatten,
    "Concat": _concat,
    "concat": _concat,
    "Reshape": _reshape,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice_axis": _slice_axis,
}
"""What translates each operator."""
