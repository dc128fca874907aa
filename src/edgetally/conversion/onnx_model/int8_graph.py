"""Write an ONNX network in int8: QuantizeLinear and DequantizeLinear around each convolution.

Values between convolutions are uint8 with one scale each, weights int8 with a scale a filter,
biases int32 (ONNX operator specification, QuantizeLinear). The runtimes join each convolution
with the pairs around it into one integer convolution. docs/decisions/0004-int8-forms.md says why
the forms below were chosen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto

# Half of int8: without VNNI x86 adds two products in 16 bits, and 2 * 255 * 63 still fits there.
_LARGEST_WEIGHT = 63
_LARGEST_BIAS = 1 << 30
_SIGNED_ZERO = 128
_SCALE_BITS = 12


@dataclass(frozen=True)
class QuantizedValues:
    """Which values become uint8.

    names: in the order they are computed. passed_on: values that keep the numbers of another,
    with its name. relus: the nodes that a uint8 value's own floor at zero replaces.
    """

    names: tuple[str, ...]
    passed_on: dict[str, str]
    relus: frozenset[str]


def without_batch_norms(model: ModelProto) -> None:
    """Replace each BatchNormalization by a 1x1 convolution of each channel, which has an int8 form.

    Exact, but for float32's rounding: x * s + t with s = scale / sqrt(variance + epsilon) and
    t = bias - mean * s (ONNX operator specification, BatchNormalization).
    """
    graph = model.graph
    constants = _constants(model)
    for index, node in enumerate(graph.node):
        if node.op_type != "BatchNormalization":
            continue
        gamma, beta, mean, variance = (
            constants[name].astype(np.float64) for name in node.input[1:]
        )
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = gamma / np.sqrt(variance + epsilon)
        weight, bias = f"{node.output[0]}/int8_factor", f"{node.output[0]}/int8_shift"
        graph.initializer.extend(
            [
                _constant(weight, factor.astype(np.float32).reshape(-1, 1, 1, 1)),
                _constant(bias, (beta - mean * factor).astype(np.float32)),
            ]
        )
        convolution = helper.make_node(
            "Conv",
            [node.input[0], weight, bias],
            list(node.output),
            name=node.name,
            kernel_shape=[1, 1],
            group=len(factor),
        )
        graph.node[index].CopyFrom(convolution)
    _drop_unread_constants(model)


def values_to_quantize(model: ModelProto) -> QuantizedValues:
    """Choose what convolutions read and write, and what is added or pooled between them.

    All else, such as the softmax and the decoding of boxes, stays in float32.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    reads = Counter(name for node in graph.node for name in node.input)
    reads.update(output.name for output in graph.output)
    rectified = {
        node.input[0]: node
        for node in graph.node
        if node.op_type == "Relu" and reads[node.input[0]] == 1
    }
    outputs = {output.name for output in graph.output}
    names: dict[str, None] = {}
    passed_on: dict[str, str] = {}
    relus: set[str] = set()

    def add_result(node: NodeProto) -> None:
        relu = rectified.get(node.output[0])
        result = relu.output[0] if relu else node.output[0]
        if result in outputs:
            return
        names[result] = None
        if relu:
            relus.add(relu.output[0])

    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in constants:
            names[node.input[0]] = None
            add_result(node)
        elif node.op_type == "Add" and all(name in names for name in node.input):
            add_result(node)
        elif node.op_type == "MaxPool" and node.input[0] in names and len(node.output) == 1:
            passed_on[node.output[0]] = node.input[0]
            names[node.output[0]] = None
    return QuantizedValues(tuple(names), passed_on, frozenset(relus))


def quantize_graph(
    model: ModelProto, values: QuantizedValues, ranges: Mapping[str, tuple[float, float]]
) -> None:
    """Rewrite the model with the values in uint8 and the convolutions' weights in int8.

    ranges: the least and largest number that each value takes.
    """
    writer = _Writer(model, values, ranges)
    for entry in model.graph.input:
        writer.quantize(entry.name)
    for node in model.graph.node:
        writer.rewrite(node)
    del model.graph.node[:]
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend(writer.new_constants)
    _drop_unread_constants(model)


class _Writer:
    def __init__(
        self,
        model: ModelProto,
        values: QuantizedValues,
        ranges: Mapping[str, tuple[float, float]],
    ) -> None:
        self.nodes: list[NodeProto] = []
        self.new_constants: list[TensorProto] = []
        self._constants = _constants(model)
        self._relus = values.relus
        self._forms: dict[str, tuple[np.float32, int]] = {}
        for name in values.names:
            source = values.passed_on.get(name, name)
            self._forms[name] = self._forms[source] if source != name else _form(*ranges[name])
        # What a convolution before a Relu gave, the Relu's own result now is.
        self._renamed = {
            node.input[0]: node.output[0]
            for node in model.graph.node
            if node.op_type == "Relu" and node.output[0] in values.relus
        }
        self._read_as: dict[str, str] = {}

    def rewrite(self, node: NodeProto) -> None:
        if node.op_type == "Relu" and node.output[0] in self._relus:
            return
        written = NodeProto()
        written.CopyFrom(node)
        if node.op_type == "Conv" and node.input[0] in self._forms:
            self._quantize_weights(written, self._forms[node.input[0]][0])
        for position, name in enumerate(written.input):
            written.input[position] = self._read_as.get(name, name)
        written.output[0] = self._renamed.get(node.output[0], node.output[0])
        self.nodes.append(written)
        for name in written.output:
            self.quantize(name)

    def quantize(self, name: str) -> None:
        if name not in self._forms:
            return
        scale, zero = self._forms[name]
        form = [
            self._add(f"{name}/int8_scale", np.array(scale)),
            self._add(f"{name}/int8_zero", np.array(zero, np.uint8)),
        ]
        small, back = f"{name}/int8", f"{name}/float"
        self._append("QuantizeLinear", [name, *form], small)
        self._append("DequantizeLinear", [small, *form], back)
        self._read_as[name] = back

    def _quantize_weights(self, node: NodeProto, input_scale: np.float32) -> None:
        weight = self._constants[node.input[1]]
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
        scale = largest / np.float32(_LARGEST_WEIGHT)
        bias = self._constants[node.input[2]] if len(node.input) > 2 else None
        if bias is not None:  # a filter of next to no weight still has to have room for its bias
            scale = np.maximum(scale, np.abs(bias) / (_LARGEST_BIAS * input_scale))
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        column = scale.reshape(-1, *[1] * (weight.ndim - 1))
        limit = _LARGEST_WEIGHT
        small = np.rint(weight / column).clip(-limit, limit).astype(np.int8)
        node.input[1] = self._dequantized(f"{node.output[0]}/weight", small, scale)
        if bias is not None:
            bias_scale = (scale * input_scale).astype(np.float32)
            rounded = np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32)
            node.input[2] = self._dequantized(f"{node.output[0]}/bias", rounded, bias_scale)

    def _dequantized(self, name: str, small: NDArray[Any], scale: NDArray[np.float32]) -> str:
        inputs = [self._add(f"{name}_int", small), self._add(f"{name}_scale", scale)]
        self._append("DequantizeLinear", inputs, name, axis=0)
        return name

    def _append(self, op: str, inputs: list[str], output: str, **attrs: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attrs))

    def _add(self, name: str, value: NDArray[Any]) -> str:
        self.new_constants.append(_constant(name, value))
        return name


def _form(least: float, largest: float) -> tuple[np.float32, int]:
    """The scale and the zero of uint8 for a range of numbers."""
    if least >= 0:
        scale, zero = largest / 255, 0
    else:
        scale, zero = max(-least / _SIGNED_ZERO, largest / (255 - _SIGNED_ZERO)), _SIGNED_ZERO
    if scale < np.finfo(np.float32).tiny:
        return np.float32(1), zero  # always zero, whatever the scale
    # Runtimes and CPUs differ in a value's last bits; without those they give the same file.
    fraction, exponent = np.frexp(scale)
    rounded = np.rint(np.ldexp(fraction, _SCALE_BITS))
    return np.float32(np.ldexp(rounded, int(exponent) - _SCALE_BITS)), zero


def _constants(model: ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _constant(name: str, value: NDArray[Any]) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, order="C"), name)


def _drop_unread_constants(model: ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
