"""MXNet's operators that work number by number, in ONNX.

Formulas and defaults are those of MXNet 1.9.1 (src/operator/tensor/elemwise_*,
src/operator/nn/activation.cc, src/operator/leaky_relu.cc). A scalar is taken as float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.onnx_model.folding import PASSED_THROUGH
from edgetally.conversion.onnx_model.graph import OnnxNodes, Value
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.conversion.artifact.symbol import Node
    from edgetally.conversion.onnx_model.graph import Operator

_ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softrelu": "Softplus",
    "softsign": "Softsign",
}
_OF_ONE = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "exp": "Exp",
    "negative": "Neg",
    "abs": "Abs",
    "sqrt": "Sqrt",
}
_OF_TWO = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
_OLDER_NAMES = {"_Plus": "Add", "_Minus": "Sub", "_Mul": "Mul", "_Div": "Div"}
_WITH_SCALAR = {
    "plus": "Add",
    "minus": "Sub",
    "mul": "Mul",
    "div": "Div",
    "maximum": "Max",
    "minimum": "Min",
}
_FROM_SCALAR = {"rminus": "Sub", "rdiv": "Div"}


def _same(_target: OnnxNodes, _node: Node, inputs: Sequence[Value]) -> Value:
    return inputs[0]


def _cast(_target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    if node.text("dtype", "") != "float32":
        raise InputError(f"{node}: only the dtype float32 is supported")
    return inputs[0]


def _activation(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    kind = node.text("act_type", "")
    if kind not in _ACTIVATIONS:
        raise InputError(f"{node}: the activation {kind!r} is not supported")
    return _of_one(_ACTIVATIONS[kind])(target, node, inputs)


def _leaky_relu(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    kind = node.text("act_type", "leaky")
    if kind not in {"leaky", "elu"}:
        raise InputError(f"{node}: the activation {kind!r} is not supported")
    (data,) = inputs
    op, slope = "LeakyRelu" if kind == "leaky" else "Elu", node.number("slope", 0.25)
    return Value(target.add(op, [data.name], node.name, alpha=slope), data.shape)


def _clip(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    bounds = [
        target.constant(f"{node.name}_{key}", np.array(node.number(key, default), np.float32))
        for key, default in (("a_min", -np.inf), ("a_max", np.inf))
    ]
    return Value(target.add("Clip", [data.name, *bounds], node.name), data.shape)


def _of_one(op: str) -> Operator:
    def emit(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
        (data,) = inputs
        return Value(target.add(op, [data.name], node.name), data.shape)

    return emit


def _of_two(op: str) -> Operator:
    def emit(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
        a, b = inputs
        shape = np.broadcast_shapes(a.shape, b.shape)
        return Value(target.add(op, [a.name, b.name], node.name), shape)

    return emit


def _with_scalar(op: str, *, scalar_first: bool = False) -> Operator:
    def emit(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
        (data,) = inputs
        number = np.array(node.number("scalar", 1), np.float32)
        operands = [data.name, target.constant(f"{node.name}_scalar", number)]
        if scalar_first:
            operands.reverse()
        return Value(target.add(op, operands, node.name), data.shape)

    return emit


def _sum_of_many(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    if len({value.shape for value in inputs}) != 1:
        raise ValueError("the inputs differ in shape")
    name = target.add("Sum", [value.name for value in inputs], node.name)
    return Value(name, inputs[0].shape)


ELEMENTWISE_OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(PASSED_THROUGH, _same),
    "Cast": _cast,
    "Activation": _activation,
    "LeakyReLU": _leaky_relu,
    "clip": _clip,
    "add_n": _sum_of_many,
    "ElementWiseSum": _sum_of_many,
    **{name: _of_one(op) for name, op in _OF_ONE.items()},
    **{name: _of_two(op) for name, op in _OLDER_NAMES.items()},
    **{
        f"{kind}_{name}": _of_two(op)
        for name, op in _OF_TWO.items()
        for kind in ("elemwise", "broadcast")
    },
    **{f"_{name}_scalar": _with_scalar(op) for name, op in _WITH_SCALAR.items()},
    **{f"_{name}_scalar": _with_scalar(op, scalar_first=True) for name, op in _FROM_SCALAR.items()},
}
"""What translates each operator."""
