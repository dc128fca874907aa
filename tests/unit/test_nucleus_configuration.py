"""A component's configuration at the stand-in nucleus, and the limits of its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgetally.nucleus.configuration import Configuration, Missing, Refused
from edgetally.nucleus.json_limits import fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.configuration import Path

DEFAULTS = {"threshold": 0.5, "model": {"path": "a", "engine": "auto"}, "zones": [1, 2], "e": {}}


def _configuration() -> Configuration:
    return Configuration(DEFAULTS, 100.0)


def test_a_merge_changes_what_it_names_and_tells_each_changed_leaf() -> None:
    configuration = _configuration()
    changed = configuration.merge((), {"threshold": 0.6, "model": {"path": "b"}}, 200.0)
    assert changed == [("threshold",), ("model", "path")]
    assert configuration.get() == {
        **DEFAULTS,
        "threshold": 0.6,
        "model": {"path": "b", "engine": "auto"},
    }


def test_what_stays_the_same_is_not_told() -> None:
    assert _configuration().merge((), {"threshold": 0.5, "zones": [1, 2], "e": {}}, 200.0) == []


def test_true_is_not_one() -> None:
    configuration = Configuration({"a": 1}, 0.0)
    assert configuration.merge((), {"a": True}, 1.0) == [("a",)]
    assert configuration.get(("a",)) is True


def test_what_is_older_changes_nothing() -> None:
    configuration = _configuration()
    assert configuration.merge((), {"threshold": 0.9, "new": 1}, 50.0) == [("new",)]
    assert configuration.get(("threshold",)) == 0.5


def test_a_list_is_replaced_whole() -> None:
    configuration = _configuration()
    assert configuration.merge(("zones",), [3], 200.0) == [("zones",)]
    assert configuration.get(("zones",)) == [3]


def test_a_map_takes_the_place_of_a_leaf_and_a_leaf_that_of_a_map() -> None:
    configuration = _configuration()
    configuration.merge((), {"threshold": {"box": 1}, "model": "none"}, 200.0)
    assert configuration.get() == {**DEFAULTS, "threshold": {"box": 1}, "model": "none"}
    assert configuration.leaves().keys() == {("threshold", "box"), ("model",), ("zones",), ("e",)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("threshold",), {"box": 1}),
        (("threshold",), {}),
        (("zones", "more"), 1),
        (("model",), "none"),
        (("e",), 1),
        (("model", "path"), "a" * 1023),
    ],
)
def test_lite_keeps_maps_and_values_apart_and_values_short(path: Path, value: Any) -> None:
    configuration = Configuration(DEFAULTS, 100.0, keeps_kinds=True)
    with pytest.raises(Refused):
        configuration.merge(path, value, 200.0)
    assert configuration.get() == DEFAULTS
    configuration.merge((), {"e": {"f": 1}, "model": {"path": "a" * 1022}, "zones": "1"}, 200.0)


def test_a_path_that_is_not_there_is_missing() -> None:
    for path in (("nothing",), ("threshold", "deeper"), ("model", "nothing")):
        with pytest.raises(Missing):
            _configuration().get(path)


def test_a_deployment_puts_paths_back_and_then_merges() -> None:
    configuration = _configuration()
    configuration.merge((), {"threshold": 0.9, "model": {"path": "b"}, "own": 1}, 200.0)
    changed = configuration.deploy(
        DEFAULTS, {"zones": []}, ["/model/path", "/own", "/no/such"], 300.0
    )
    assert changed == [("model", "path"), ("zones",), ("own",)]
    assert configuration.get() == {**DEFAULTS, "threshold": 0.9, "zones": []}


def test_a_deployment_may_put_everything_back() -> None:
    configuration = _configuration()
    configuration.merge((), {"threshold": 0.9, "own": {"deep": 1}}, 200.0)
    configuration.deploy(DEFAULTS, {}, [""], 300.0)
    assert configuration.get() == DEFAULTS


def test_new_defaults_come_where_nobody_has_set_anything() -> None:
    configuration = Configuration()
    configuration.deploy({"mine": 1, "theirs": 1}, {"mine": 2}, (), 100.0)
    changed = configuration.deploy({"mine": 3, "theirs": 3, "new": 3}, {}, (), 200.0)
    assert configuration.get() == {"mine": 2, "theirs": 3, "new": 3}
    assert changed == [("theirs",), ("new",)]


def test_what_was_read_is_a_copy() -> None:
    configuration = _configuration()
    configuration.get()["model"]["path"] = "changed"
    configuration.get(("zones",)).append(3)
    assert configuration.get() == DEFAULTS


def _keys(number: int) -> dict[str, Any]:
    return {str(key): key for key in range(number)}


@pytest.mark.parametrize(
    ("shape", "largest"),
    [
        (lambda n: list(range(n)), 44),
        (lambda n: ["some text"] * n, 44),
        (lambda n: {"l": list(range(n))}, 42),
        (_keys, 23),
        (lambda n: {"m": _keys(n)}, 22),
        (lambda n: [_keys(1)] * n, 15),
        (lambda n: [_keys(2)] * n, 9),
        (lambda n: {"l": [_keys(2)] * n}, 8),
        (lambda n: [_keys(4)] * n, 5),
        (lambda n: {**_keys(n), "l": [0] * 20}, 11),
        (lambda n: [{}] * n, 44),
        (lambda n: [[1]] * n, 22),
    ],
)
def test_a_json_message_fits_as_far_as_was_measured(
    shape: Callable[[int], Any], largest: int
) -> None:
    assert fits(shape(largest))
    assert not fits(shape(largest + 1))
