"""Each translated operator, held against MXNet's own on several frames at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from edgetally.conversion.artifact.symbol import parse_symbol
from edgetally.conversion.onnx_model.graph import OnnxNodes, Value, serialized
from edgetally.conversion.onnx_model.operators import emit
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Body = Callable[[Any], Any]

mx = import_mxnet()
FRAME = (1, 6, 4, 5)


def frames(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 2, (count, *FRAME[1:])).astype(np.float32)


def translated(body: Body) -> tuple[bytes, tuple[int, ...]]:
    """The model of what `body` makes of a frame, and its output's shape."""
    with mx.name.NameManager():
        symbol = mx.sym.identity(body(mx.sym.Variable("data")) * 1, name="end")
    graph = parse_symbol(symbol.tojson().encode(), "symbol")
    target = OnnxNodes(taken={"data", "out"})
    values: dict[int, Value] = {}
    for index, node in enumerate(graph.nodes):
        if node.op == "null":
            values[index] = Value("data", FRAME)
        else:
            values[index] = emit(target, node, [values[source] for source, _, _ in node.inputs])
    last = values[graph.heads[0][0]]
    target.add_last("Identity", [last.name], "out")
    return serialized(target, {"data": FRAME}, {"out": last.shape}), last.shape


def in_mxnet(body: Body, data: NDArray[np.float32]) -> NDArray[np.float32]:
    executor = body(mx.sym.Variable("data")).bind(mx.cpu(), {"data": mx.nd.array(data)})
    return np.asarray(executor.forward(is_train=False)[0].asnumpy())


def run(content: bytes, data: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # other batch sizes than the stored one are meant
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["out"], {"data": data})[0])


def with_any_batch_size(content: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    del model.graph.value_info[:]
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "N"
    return bytes(model.SerializeToString())


BODIES: dict[str, Body] = {
    "plus scalar": lambda d: d + 0.3,
    "minus scalar": lambda d: d - 0.3,
    "scalar minus": lambda d: 0.3 - d,
    "times scalar": lambda d: d * -2.5,
    "by scalar": lambda d: d / 0.3,
    "scalar by": lambda d: 0.3 / (d * d + 1),
    "maximum": lambda d: mx.sym.maximum(d, 0.2),
    "minimum": lambda d: mx.sym.minimum(d, 0.2),
    "clip": lambda d: mx.sym.clip(d, a_min=0, a_max=1.5),
    "difference": lambda d: mx.sym.tanh(d) - mx.sym.sigmoid(d),
    "product": lambda d: mx.sym.relu(d) * d,
    "quotient": lambda d: d / (mx.sym.abs(d) + 1),
    "sum of several": lambda d: mx.sym.add_n(d, mx.sym.relu(d), d * 2),
    "roots and powers": lambda d: mx.sym.sqrt(mx.sym.exp(-d)),
    "leaky relu": lambda d: mx.sym.LeakyReLU(d, act_type="leaky", slope=0.1),
    "leaky relu by default": mx.sym.LeakyReLU,
    "elu": lambda d: mx.sym.LeakyReLU(d, act_type="elu", slope=0.7),
    "block grad": mx.sym.BlockGrad,
    "cast to what it is": lambda d: mx.sym.cast(d, dtype="float32"),
    "softmax": mx.sym.softmax,
    "softmax of an axis": lambda d: mx.sym.softmax(d, axis=1),
    "softmax activation": lambda d: mx.sym.SoftmaxActivation(d, mode="channel"),
    "slice": lambda d: mx.sym.slice_axis(d, axis=1, begin=1, end=4),
    "slice to the end": lambda d: mx.sym.slice_axis(d, axis=-1, begin=2, end=None),
    "slice from the end": lambda d: mx.sym.slice_axis(d, axis=2, begin=-3, end=-1),
    "transpose": lambda d: mx.sym.transpose(d, axes=(0, 2, 3, 1)),
    "reshape": lambda d: mx.sym.Reshape(d, shape=(0, -1, 4)),
    "reshape of one frame": lambda d: mx.sym.Reshape(d, shape=(1, 12, 10)),
    "reshape, the rest copied": lambda d: mx.sym.Reshape(d, shape=(0, 0, -2)),
    "reshape, two merged": lambda d: mx.sym.Reshape(d, shape=(0, 0, -3)),
    "reshape, one split": lambda d: mx.sym.Reshape(d, shape=(0, -4, 2, -1, -2)),
    "reshape, split and merged": lambda d: mx.sym.Reshape(d, shape=(0, -4, -1, 3, -3)),
    "reshape, frames merged": lambda d: mx.sym.Reshape(d, shape=(-1, 5)),
    "flatten": mx.sym.Flatten,
    "concat": lambda d: mx.sym.Concat(d, d * 2, dim=2),
}
OF_ONE_FRAME = {"reshape of one frame"}  # MXNet itself takes no more


@pytest.mark.parametrize("kind", BODIES)
def test_an_operator_gives_what_mxnet_gives_for_any_number_of_frames(kind: str) -> None:
    body = BODIES[kind]
    content, shape = translated(body)
    for count in (1, 3):
        data = frames(count)
        parts = np.split(data, count) if kind in OF_ONE_FRAME else [data]
        wanted = np.concatenate([in_mxnet(body, part) for part in parts])
        found = run(content if count == 1 else with_any_batch_size(content), data)
        if count == 1:
            assert found.shape == shape
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (lambda d: mx.sym.cast(d, dtype="float16", name="half"), "node half .*only the dtype"),
        (lambda d: mx.sym.softmax(d, temperature=2, name="warm"), "node warm .*temperature"),
        (lambda d: mx.sym.slice_axis(d, axis=0, begin=0, end=1, name="cut"), "node cut .*axis 0"),
        (lambda d: mx.sym.LeakyReLU(d, act_type="gelu", name="gelu"), "node gelu .*'gelu'"),
        (lambda d: mx.sym.Reshape(d, shape=(0, -1, 7), name="odd"), "node odd .*does not fit"),
        (lambda d: mx.sym.Reshape(d, shape=(0, -4, 4, 4, -2), name="odd"), "node odd .*4, 4"),
        (lambda d: mx.sym.Reshape(d, shape=(0, -1), reverse=True, name="back"), "reverse"),
    ],
)
def test_what_has_no_equal_is_refused_with_its_node(body: Body, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        translated(body)


def test_nodes_of_one_name_stay_apart() -> None:
    def body(data: Any) -> Any:
        return mx.sym.relu(mx.sym.tanh(data, name="out"), name="out")

    content, _ = translated(body)
    data = frames(1)
    np.testing.assert_allclose(run(content, data), np.maximum(np.tanh(data), 0), atol=1e-6)
