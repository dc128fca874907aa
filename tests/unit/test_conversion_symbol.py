"""Symbol files: what MXNet writes is read, what we write MXNet reads, damage is told."""

from __future__ import annotations

import json
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.conversion.artifact.symbol import Node, parse_symbol
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


NODE = '{"op": "null", "name": "x", "inputs": []}'


def with_nodes(nodes: str, heads: str = "[[0, 0, 0]]") -> bytes:
    return f'{{"nodes": [{nodes}], "heads": {heads}}}'.encode()


def with_input(entry: str) -> bytes:
    return with_nodes(f'{NODE}, {{"op": "Flatten", "name": "y", "inputs": [{entry}]}}')


HOSTILE: dict[str, tuple[bytes, str]] = {
    "deep lists": (b"[" * 1_000_000, "RecursionError"),
    "deep objects": (b'{"nodes":' * 500_000, "RecursionError"),
    "many nodes": (b'{"nodes": [' + b"0," * 100_000 + b"0]}", "100001 nodes are more"),
    "too many bytes": (b" " * (9 << 20), "bytes are more than any network's"),
    "an attribute as deep list": (
        with_nodes('{"op": "null", "name": "x", "attrs": {"a": [[]]}, "inputs": []}'),
        "a list stands where text should",
    ),
    "attributes as list": (
        with_nodes('{"op": "null", "name": "x", "attrs": ["ab"], "inputs": []}'),
        "attributes are list",
    ),
    "a name as object": (with_nodes('{"op": "null", "name": {}, "inputs": []}'), "a dict stands"),
    "an input of itself": (with_input("[1, 0, 0]"), "points at no earlier node"),
    "an input to come": (with_input("[2, 0, 0]"), "points at no earlier node"),
    "a negative input": (with_input("[-1, 0, 0]"), "is no index"),
    "a negative output": (with_input("[0, -1, 0]"), "is no index"),
    "a huge output": (with_input("[0, 9223372036854775808, 0]"), "is no index"),
    "a fractional input": (with_input("[0.5, 0, 0]"), "is no index"),
    "an input as text": (with_input('"00"'), "is no index"),
    "an input of one number": (with_input("[0]"), "an input of 1 numbers"),
    "an input of many numbers": (
        with_input("[" + "0," * 100_000 + "0]"),
        "an input of 100001 numbers",
    ),
    "a head to nothing": (with_nodes(NODE, "[[1, 0, 0]]"), "points at no earlier node"),
    "a number of many digits": (with_nodes(NODE, "[[" + "9" * 1_000_000 + ", 0, 0]]"), "symbol"),
}


@pytest.mark.parametrize(("content", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_symbols_are_refused_quickly_and_in_little_memory(
    content: bytes, problem: str
) -> None:
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=problem) as caught:
            parse_symbol(content, "hostile.json")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20 or peak < 40 * len(content)
    assert time.process_time() - begun < 5
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(position=st.integers(0, 1 << 30), block=st.binary(max_size=6), cut=st.integers(0, 6))
def test_damage_to_a_symbol_is_either_harmless_or_bad_input(
    training_json: str, position: int, block: bytes, cut: int
) -> None:
    content = bytearray(training_json.encode())
    start = position % len(content)
    content[start : start + cut] = block
    with suppress(InputError):
        graph = parse_symbol(bytes(content), "damaged.json")
        assert parse_symbol(graph.to_json().encode(), "written.json").nodes == graph.nodes


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
