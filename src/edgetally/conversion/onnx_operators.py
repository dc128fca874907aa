"""MXNet's operators in ONNX: one function each, that also works out the output's shape.

Shapes are those of one frame ([1, C, H, W] and so on). Formulas and defaults are those of the
operators' documentation and sources in MXNet 1.9.1 (src/operator/nn, src/operator/tensor).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetally.conversion.symbol import Node

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph: its name and shape."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class OnnxNodes:
    """The nodes and constants of an ONNX graph while it grows."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)

    def add(
        self, op: str, inputs: Sequence[str], name: str, outputs: Sequence[str] = (), **attrs: Any
    ) -> str:
        """Append a node; its name is its output's, unless outputs are named."""
        names = list(outputs) or [name]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attrs))
        return names[0]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant, once a name."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name


def emit(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    """Translate a node. InputError, naming operator and node, where that is not possible."""
    try:
        operator = _OPERATORS[node.op]
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


def _same(_target: OnnxNodes, _node: Node, inputs: Sequence[Value]) -> Value:
    return inputs[0]


def _convolution(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    data, weight, *bias = inputs
    if node.text("layout", "NCHW") != "NCHW":
        raise InputError(f"{node}: only the layout NCHW is supported")
    kernel = node.integers("kernel", ())
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    stride = node.integers("stride", ones) or ones
    dilate = node.integers("dilate", ones) or ones
    pad = node.integers("pad", zeros) or zeros
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
    if node.flag("fix_gamma", True):  # MXNet then overwrites what the file holds
        target.constant(gamma.name, np.ones(data.shape[1], np.float32))
    name = target.add(
        "BatchNormalization",
        [value.name for value in inputs],
        node.name,
        epsilon=node.number("eps", 1e-3),
    )
    return Value(name, data.shape)


def _activation(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    kinds = {
        "relu": "Relu",
        "sigmoid": "Sigmoid",
        "tanh": "Tanh",
        "softrelu": "Softplus",
        "softsign": "Softsign",
    }
    kind = node.text("act_type", "")
    if kind not in kinds:
        raise InputError(f"{node}: the activation {kind!r} is not supported")
    return Value(target.add(kinds[kind], [inputs[0].name], node.name), inputs[0].shape)


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


def _elementwise(op: str) -> Callable[[OnnxNodes, Node, Sequence[Value]], Value]:
    def emit_elementwise(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
        a, b = inputs
        shape = np.broadcast_shapes(a.shape, b.shape)
        return Value(target.add(op, [a.name, b.name], node.name), shape)

    return emit_elementwise


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
    wanted = node.integers("shape", ())
    if not wanted or min(wanted) < -1 or wanted.count(-1) > 1 or node.flag("reverse", False):
        raise InputError(f"{node}: shape {wanted} is not supported; only sizes, 0 and one -1 are")
    copied = [data.shape[i] if side == 0 else side for i, side in enumerate(wanted)]
    shape = np.empty(data.shape, np.bool_).reshape(copied).shape
    target.constant(f"{node.name}_shape", np.array(wanted, np.int64))
    return Value(target.add("Reshape", [data.name, f"{node.name}_shape"], node.name), shape)


def _transpose(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    axes = node.integers("axes", ()) or tuple(reversed(range(len(data.shape))))
    if sorted(axes) != list(range(len(data.shape))):
        raise ValueError(f"axes {axes} are no order of the input's")
    name = target.add("Transpose", [data.name], node.name, perm=axes)
    return Value(name, tuple(data.shape[axis] for axis in axes))


def _softmax(target: OnnxNodes, node: Node, inputs: Sequence[Value]) -> Value:
    (data,) = inputs
    return Value(
        target.add("Softmax", [data.name], node.name, axis=node.integer("axis", -1)), data.shape
    )


def _expect(node: Node, value: Value, shape: Shape) -> None:
    if value.shape != shape:
        raise InputError(
            f"{node}: parameter {value.name} is {list(value.shape)} but should be "
            f"{list(shape)}; symbol and parameters must come from the same training job"
        )


def _made(name: str, shape: Shape) -> Value:
    if min(shape) < 1:
        raise ValueError(f"its output would be {list(shape)}")
    return Value(name, shape)


_OPERATORS: dict[str, Callable[[OnnxNodes, Node, Sequence[Value]], Value]] = {
    "_copy": _same,
    "identity": _same,
    "Dropout": _same,
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "Activation": _activation,
    "Pooling": _pooling,
    "elemwise_add": _elementwise("Add"),
    "_Plus": _elementwise("Add"),
    "broadcast_add": _elementwise("Add"),
    "elemwise_mul": _elementwise("Mul"),
    "broadcast_mul": _elementwise("Mul"),
    "L2Normalization": _l2_normalization,
    "Flatten": _flatten,
    "Concat": _concat,
    "Reshape": _reshape,
    "transpose": _transpose,
    "softmax": _softmax,
}
