"""BatchNorm in convolutions: MXNet runs a network before and after the folding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.conversion.artifact.symbol import Graph, parse_symbol
from edgetally.conversion.onnx_model.folding import fold_batch_norms
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Body = Callable[[Any], Any]
    Weights = dict[str, NDArray[np.float32]]

mx = import_mxnet()
SHAPE = (2, 4, 9, 9)


@pytest.fixture(autouse=True)
def plain_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXNET_SUBGRAPH_BACKEND", "NONE")  # its own folding must not interfere


def network(body: Body, seed: int = 0) -> tuple[Graph, Weights]:
    with mx.name.NameManager():
        symbol = body(mx.sym.Variable("data"))
    rng = np.random.default_rng(seed)
    arguments, _, states = symbol.infer_shape(data=SHAPE)
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    shapes = dict(zip(names, [*arguments, *states], strict=True))
    del shapes["data"]
    weights: Weights = {}
    for name, shape in shapes.items():
        values = rng.normal(0, 0.5, shape)
        kept = np.abs(values) + 0.1 if name.endswith("_var") else values
        weights[name] = np.asarray(kept, np.float32)
    return parse_symbol(symbol.tojson().encode(), "symbol"), weights


def output_of(graph: Graph, weights: Weights) -> NDArray[np.float32]:
    symbol = mx.sym.load_json(graph.to_json())
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=SHAPE)
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name in arrays:
            if name != "data":
                arrays[name][:] = mx.nd.array(weights[name])
    frame = np.random.default_rng(1).normal(0, 1, SHAPE)
    found = executor.forward(is_train=False, data=mx.nd.array(frame))[0].asnumpy()
    return np.asarray(found, np.float32)


def folded_safely(graph: Graph, weights: Weights) -> tuple[Graph, int]:
    """Fold, hold the output against what it was, return what remains and the number folded."""
    before = {name: value.copy() for name, value in weights.items()}
    folded, changed, count = fold_batch_norms(graph, weights)
    remaining = folded.pruned()
    wanted = output_of(graph, weights)
    found = output_of(remaining, changed)
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    assert all((weights[name] == value).all() for name, value in before.items())
    assert all(value.dtype == np.float32 for value in changed.values())
    return remaining, count


def conv(data: Any, name: str = "conv", **attrs: object) -> Any:
    return mx.sym.Convolution(
        data, name=name, **{"kernel": (3, 3), "num_filter": 4, "no_bias": True, **attrs}
    )


def norm(data: Any, name: str = "bn", **attrs: object) -> Any:
    return mx.sym.BatchNorm(data, name=name, **{"fix_gamma": False, **attrs})


def relu(data: Any) -> Any:
    return mx.sym.Activation(data, act_type="relu")


def twice_read(data: Any) -> Any:
    first = conv(data, pad=(1, 1))
    return norm(first) + first


def norm_read_twice(data: Any) -> Any:
    normed = norm(data)
    return conv(normed, "conv1") + conv(normed, "conv2")


def norm_and_convolution(data: Any) -> Any:
    normed = norm(data)
    return mx.sym.Group([conv(normed), normed])


def shared_weight(data: Any) -> Any:
    weight = mx.sym.Variable("shared_weight")
    return norm(conv(conv(data, "first", weight=weight), weight=weight))


FOLDED: dict[str, tuple[Body, int]] = {
    "after a convolution": (lambda d: norm(conv(d)), 1),
    "after one with a bias": (lambda d: norm(conv(d, no_bias=False, pad=(1, 1))), 1),
    "of a fixed gamma": (lambda d: norm(conv(d), fix_gamma=True), 1),
    "of the default settings": (lambda d: mx.sym.BatchNorm(conv(d)), 1),
    "of another eps": (lambda d: norm(conv(d), eps=0.1), 1),
    "after a grouped convolution": (lambda d: norm(conv(d, num_filter=6, num_group=2)), 1),
    "after a depthwise convolution": (lambda d: norm(conv(d, num_group=4, pad=(1, 1))), 1),
    "after a convolution and a dropout": (lambda d: norm(mx.sym.Dropout(conv(d))), 1),
    "two, one after the other": (lambda d: norm(norm(conv(d), "bn1"), "bn2"), 2),
    "before a convolution": (lambda d: conv(norm(d)), 1),
    "before one with a bias": (lambda d: conv(norm(d), no_bias=False), 1),
    "before a grouped convolution": (lambda d: conv(norm(d), num_filter=6, num_group=2), 1),
    "before a depthwise convolution": (lambda d: conv(norm(d), num_group=4), 1),
    "on both sides": (lambda d: norm(conv(norm(d, "bn1")), "bn2"), 2),
    "between two convolutions": (lambda d: conv(norm(conv(d, "conv1", pad=(1, 1))), "conv2"), 1),
}


@pytest.mark.parametrize(("body", "count"), FOLDED.values(), ids=FOLDED.keys())
def test_a_batch_norm_is_folded_and_the_output_stays(body: Body, count: int) -> None:
    remaining, folded = folded_safely(*network(body))
    assert folded == count
    assert not [node for node in remaining.nodes if node.op == "BatchNorm"]


LEFT: dict[str, Body] = {
    "before a convolution that pads": lambda d: conv(norm(d), pad=(1, 1)),
    "before an activation": lambda d: conv(relu(norm(d))),
    "of a convolution that is read twice": twice_read,
    "of a weight that is read twice": shared_weight,
    "after an activation": lambda d: norm(relu(conv(d))),
    "of another axis": lambda d: norm(conv(d), axis=2),
    "read twice": norm_read_twice,
    "that is an output, too": norm_and_convolution,
}


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT.keys())
def test_a_batch_norm_is_left_where_folding_would_change_something(body: Body) -> None:
    remaining, folded = folded_safely(*network(body))
    assert folded == 0
    assert [node.op for node in remaining.nodes].count("BatchNorm") == 1


def test_a_batch_norm_without_a_shift_is_folded_before_a_convolution_that_pads() -> None:
    graph, weights = network(lambda data: conv(norm(data), pad=(1, 1)))
    weights["bn_beta"][:] = weights["bn_moving_mean"][:] = 0
    _, folded = folded_safely(graph, weights)
    assert folded == 1


def test_what_float32_cannot_hold_is_left() -> None:
    graph, weights = network(lambda data: norm(conv(data), eps=1e-3))
    weights["bn_gamma"][:] = 3e38
    weights["bn_moving_var"][:] = 0
    _, _, folded = fold_batch_norms(graph, weights)
    assert folded == 0


def test_parameters_that_do_not_fit_are_left_for_the_translation_to_name() -> None:
    for name in ("bn_beta", "bn_moving_var"):
        graph, weights = network(lambda data: norm(conv(data)))
        weights[name] = weights[name][:2]
        _, _, folded = fold_batch_norms(graph, weights)
        assert folded == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_random_network_gives_what_it_gave(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def body(data: Any) -> Any:
        for number in range(6):
            step = rng.integers(5)
            pad = int(rng.integers(2))
            if step == 0:
                data = relu(data)
            elif step == 1:
                fixed = bool(rng.integers(2))
                data = norm(data, f"bn{number}", fix_gamma=fixed, eps=10.0 ** -rng.integers(2, 6))
            elif step == 2:
                data = data + conv(data, f"conv{number}", pad=(1, 1))
            else:
                attrs = {"num_group": int(rng.choice([1, 2, 4])), "no_bias": bool(rng.integers(2))}
                side = (1, 1) if pad else (3, 3)
                data = conv(data, f"conv{number}", kernel=side, pad=(0, 0), **attrs)
                data = norm(data, f"bn{number}")
        return mx.sym.Pooling(data, kernel=(1, 1), pool_type="max")

    folded_safely(*network(body, seed))
