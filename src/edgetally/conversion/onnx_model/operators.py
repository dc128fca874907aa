"""MXNet's operators in ONNX: one function each, that also works out the output's shape.

Shapes are those of one frame ([1, C, H, W] and so on). Formulas and defaults are those of the
operators' documentation and sources in MXNet 1.9.1 (src/operator/nn, src/operator/tensor).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.conversion.onnx_model.elementwise import ELEMENTWISE_OPERATORS
from edgetally.conversion.onnx_model.graph import OnnxNodes, Value
from edgetally.conversion.onnx_model.shapes import SHAPE_OPERATORS
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.conversion.artifact.symbol import Node
    from edgetally.conversion.onnx_model.graph import Operator, Shape


def emit(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    """Translate a node. InputError, naming operator and node, where that is not possible."""
    try:
        operator = OPERATORS[node.op]
    except KeyError:
        raise InputError(
            f"{node}: the operator {node.op} is not supported; "
            "convert a network of the SageMaker Object Detection algorithm"
        ) from None
    try:
        return operator(target, node, inputs)
    except (ValueError, IndexError, ArithmeticError) as error:
        shapes = ", ".join(str(list(value.shape)) for value in inputs) or "no inputs"
        raise InputError(
            f"{node} does not fit its inputs ({shapes}): {error}; "
            "symbol and parameters must come from the same training job"
        ) from None


def _convolution(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    data, weight, *bias = inputs
    if node.text("layout", "NCHW") != "NCHW":
        raise InputError(f"{node}: only the layout NCHW is supported")
    kernel = node.integers("kernel", ())
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    stride = node.integers("stride", ones) or ones
    dilate = node.integers("dilate", ones) or ones
    pad = node.integers("pad", zeros) or zeros
    _refuse_wide(kernel, stride, dilate, pad)
    groups, filters = node.integer("num_group", 1), node.integer("num_filter", 0)
    _expect(node, weight, (filters, data.shape[1] // groups, *kernel))
    if node.flag("no_bias", False) != (not bias):
        raise ValueError("the bias is missing or too much")
    for value in bias:
        _expect(node, value, (filters,))
    sides = (
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, k, s, d, p in zip(data.shape[2:], kernel, stride, dilate, pad, strict=True)
    )
    name = target.add(
        "Conv",
        [value.name for value in inputs],
        node.name,
        kernel_shape=kernel,
        strides=stride,
        dilations=dilate,
        pads=pad + pad,
        group=groups,
    )
    return _made(name, (data.shape[0], filters, *sides))


def _batch_norm(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    data, gamma, _beta, _mean, _variance = inputs
    if node.integer("axis", 1) != 1:
        raise ValueError("only axis 1 is supported")
    for value in inputs[1:]:
        _expect(node, value, (data.shape[1],))
    if node.number("eps", 1e-3) < 0:
        raise ValueError("eps must not be below 0")
    scale = gamma.name
    if node.flag("fix_gamma", True):  # MXNet then overwrites what the file holds
        scale = target.constant(f"{node.name}_ones", np.ones(data.shape[1], np.float32))
    name = target.add(
        "BatchNormalization",
        [data.name, scale, *(value.name for value in inputs[2:])],
        node.name,
        epsilon=node.number("eps", 1e-3),
    )
    return Value(name, data.shape)


def _pooling(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    kind = node.text("pool_type", "max")
    convention = node.text("pooling_convention", "valid")
    if kind not in {"max", "avg"} or convention not in {"valid", "full"}:
        raise InputError(f"{node}: {kind} pooling, convention {convention}, is not supported")
    if node.flag("global_pool", False):
        op = "GlobalMaxPool" if kind == "max" else "GlobalAveragePool"
        return Value(target.add(op, [data.name], node.name), (*data.shape[:2], 1, 1))
    kernel = node.integers("kernel", ())
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    stride = node.integers("stride", ones) or ones
    pad = node.integers("pad", zeros) or zeros
    _refuse_wide(kernel, stride, ones, pad)
    sides, ends = [], []
    for side, k, s, p in zip(data.shape[2:], kernel, stride, pad, strict=True):
        steps = (side + 2 * p - k) / s
        out = (math.ceil(steps) if convention == "full" else math.floor(steps)) + 1
        sides.append(out)
        # Runtimes differ in ceil_mode, so 'full' is written as 'valid' with more padding.
        ends.append(max((out - 1) * s + k - side - p, p))
    attrs: dict[str, Any] = {}
    if kind == "avg":
        counts_padding = node.flag("count_include_pad", True) and any(pad)
        if counts_padding and tuple(ends) != pad:
            raise InputError(f"{node}: padded average pooling, convention full, is not supported")
        attrs["count_include_pad"] = int(counts_padding)
    name = target.add(
        "MaxPool" if kind == "max" else "AveragePool",
        [data.name],
        node.name,
        kernel_shape=kernel,
        strides=stride,
        pads=[*pad, *ends],
        **attrs,
    )
    return _made(name, (*data.shape[:2], *sides))


def _l2_normalization(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    if node.text("mode", "instance") != "channel":
        raise InputError(f"{node}: only the mode channel is supported")
    name = node.name
    eps = target.constant(f"{name}_eps", np.array(node.number("eps", 1e-10), np.float32))
    axes = target.constant(f"{name}_axes", np.array([1], np.int64))
    squares = target.add("Mul", [data.name, data.name], f"{name}_squares")
    total = target.add("ReduceSum", [squares, axes], f"{name}_total", keepdims=1)
    norm = target.add("Sqrt", [target.add("Add", [total, eps], f"{name}_sum")], f"{name}_norm")
    return Value(target.add("Div", [data.name, norm], name), data.shape)


def _softmax(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    if node.number("temperature", 1) != 1 or node.text("dtype", "float32") != "float32":
        raise InputError(f"{node}: a temperature or another dtype is not supported")
    axis = node.integer("axis", -1) % len(data.shape)
    return Value(target.add("Softmax", [data.name], node.name, axis=axis), data.shape)


def _softmax_activation(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    if node.text("mode", "instance") != "channel":
        raise InputError(f"{node}: only the mode channel is supported")
    return Value(target.add("Softmax", [data.name], node.name, axis=1), data.shape)


def _expect(node: Node, value: Value, shape: Shape) -> None:
    if value.shape != shape:
        raise InputError(
            f"{node}: parameter {value.name} is {list(value.shape)} but should be "
            f"{list(shape)}; symbol and parameters must come from the same training job"
        )


def _refuse_wide(kernel: Shape, stride: Shape, dilate: Shape, pad: Shape) -> None:
    """Refuse a window that looks at nothing but padding: no network has one."""
    for k, s, d, p in zip(kernel, stride, dilate, pad, strict=True):
        if min(k, s, d) < 1 or not 0 <= p <= d * (k - 1) + 1:
            raise ValueError(f"kernel {k}, stride {s}, dilate {d} and pad {p} make no window")


def _made(name: str, shape: Shape) -> Value:
    if min(shape) < 1:
        raise ValueError(f"its output would be {list(shape)}")
    return Value(name, shape)


OPERATORS: dict[str, Operator] = {
    **ELEMENTWISE_OPERATORS,
    **SHAPE_OPERATORS,
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "Pooling": _pooling,
    "L2Normalization": _l2_normalization,
    "softmax": _softmax,
    "SoftmaxActivation": _softmax_activation,
}
