"""Symbol files: what MXNet writes is read, what we write MXNet reads, damage is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.conversion.symbol import Node, parse_symbol
from edgetally.demo.network import training_symbol
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

mx = import_mxnet()
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "heads", "attrs", "op", "name", "inputs"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def training_json() -> str:
    saved: str = training_symbol(2, width=0.125).tojson()
    return saved


def test_mxnet_reads_the_graph_that_was_read_and_written(training_json: str) -> None:
    graph = parse_symbol(training_json.encode(), "a symbol")
    assert mx.sym.load_json(graph.to_json()).tojson() == mx.sym.load_json(training_json).tojson()


@pytest.mark.parametrize("older_key", ["attr", "param"])
def test_attributes_of_older_symbols_are_read(training_json: str, older_key: str) -> None:
    older = json.loads(training_json)
    for node in older["nodes"]:
        if "attrs" in node:
            node[older_key] = node.pop("attrs")
    found = parse_symbol(json.dumps(older).encode(), "an older symbol")
    assert found == parse_symbol(training_json.encode(), "a symbol")


@settings(deadline=None, max_examples=100)
@given(content=anything)
def test_any_other_json_is_bad_input(content: Any) -> None:
    try:
        graph = parse_symbol(json.dumps(content).encode(), "strange.json")
    except InputError as error:
        assert "strange.json is not an MXNet symbol" in str(error)  # noqa: PT017
    else:
        assert len(graph.nodes) == len(content["nodes"])


@given(content=st.binary(max_size=40))
def test_bytes_that_are_no_json_are_bad_input(content: bytes) -> None:
    with pytest.raises(InputError, match="is not an MXNet symbol"):
        parse_symbol(content, "strange.json")


@pytest.mark.parametrize(
    ("written", "numbers"),
    [("(3, 3)", (3, 3)), ("(1,2,0.5)", (1, 2, 0.5)), ("[7]", (7,)), ("2e-05", (2e-05,))],
)
def test_numbers_are_read_as_mxnet_writes_them(written: str, numbers: tuple[float, ...]) -> None:
    assert Node("Convolution", "conv0", {"kernel": written}).numbers("kernel", ()) == numbers


@pytest.mark.parametrize("written", ["(3, x)", "__import__('os')", "((1,),)", "(", "1" * 9999])
def test_an_attribute_that_is_no_number_names_its_node(written: str) -> None:
    with pytest.raises(InputError, match=r"node conv0 \(Convolution\): kernel="):
        Node("Convolution", "conv0", {"kernel": written}).integers("kernel", ())
