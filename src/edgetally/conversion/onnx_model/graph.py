"""An ONNX graph while it grows, and its way into a checked, serialized model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    checker,
    helper,
    shape_inference,
)

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from edgetally.conversion.artifact.symbol import Node

    Operator = Callable[["OnnxNodes", Node, Sequence["Value"]], "Value"]

Shape = tuple[int, ...]

_OPSET = 17
_IR_VERSION = 8  # the one of opset 17's release; older runtimes refuse newer ones
_PRODUCER = "edgetally"
_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph: its name, and its shape for one frame."""

    name: str
    shape: Shape


@dataclass
class OnnxNodes:
    """The nodes and constants of an ONNX graph. Every name is used once: `taken` holds them."""

    taken: set[str]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, op: str, inputs: Sequence[str], name: str, **attrs: Any) -> str:
        """Append a node and return its output's name, which is `name` where that is free."""
        (output,) = self.add_many(op, inputs, (name,), **attrs)
        return output

    def add_many(
        self, op: str, inputs: Sequence[str], names: Sequence[str], **attrs: Any
    ) -> list[str]:
        """Append a node of several outputs, named after the first, and return their names."""
        outputs = [self._free(name) for name in names]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=outputs[0], **attrs))
        return outputs

    def add_last(self, op: str, inputs: Sequence[str], output: str, **attrs: Any) -> None:
        """Append the node that gives an output of the model, whose name was taken for it."""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attrs))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant (float32 or int64) and return its name."""
        free = self._free(name)
        self.constants[free] = value
        return free

    def _free(self, name: str) -> str:
        free, number = name, 1
        while free in self.taken:
            free, number = f"{name}_{number}", number + 1
        self.taken.add(free)
        return free


def serialized(
    target: OnnxNodes, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
) -> bytes:
    """Return the model, with the shape of every tensor, once it has passed the full check.

    inputs and outputs are float32. The constants are used up: each is let go when it stands in
    the model. EdgetallyError where the checker refuses the model or the outputs' shapes.
    """
    read = {name for node in target.nodes for name in node.input}
    for name in target.constants.keys() - read:
        del target.constants[name]
    # A check copies the model several times, and of the weights it only wants the shapes. So they
    # are inputs while it looks; the constants that shapes come from are there.
    weights = {name: value for name, value in target.constants.items() if value.ndim > 1}
    light = {name: value for name, value in target.constants.items() if value.ndim <= 1}
    shapes = {name: value.shape for name, value in weights.items()}
    graph = GraphProto(
        name=_PRODUCER,
        node=target.nodes,
        input=[_float_tensor(*end) for end in {**inputs, **shapes}.items()],
        output=[_float_tensor(*end) for end in outputs.items()],
    )
    for name, value in light.items():
        _fill(graph.initializer.add(), name, value)
    model = ModelProto(ir_version=_IR_VERSION, producer_name=_PRODUCER, graph=graph)
    model.opset_import.add(domain="", version=_OPSET)
    try:
        model = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = str(error).splitlines()[0]
        raise EdgetallyError(f"the ONNX model does not pass its checker ({reason})") from error
    del model.graph.input[len(inputs) :]
    target.constants.clear()
    while weights:
        name = next(iter(weights))
        _fill(model.graph.initializer.add(), name, weights.pop(name))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _float_tensor(name: str, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _fill(tensor: TensorProto, name: str, value: NDArray[Any]) -> None:
    tensor.name = name
    tensor.data_type = _TYPES[value.dtype]
    tensor.dims.extend(value.shape)
    tensor.raw_data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
