"""The page on messages: its examples are valid, its topics are ours, its receiver works."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgetally.messaging.messages import (
    CameraInventory,
    InventoryMessage,
    ModelReference,
    SiteStock,
    Totals,
    utc,
)
from edgetally.messaging.parts import parts_of
from edgetally.messaging.schemas import json_schemas
from edgetally.messaging.topics import Topics
from edgetally.requests import decode_picture, parse_inference, parse_model_wish, parse_recount

_PAGE = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
_EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", _PAGE, re.DOTALL)]
_MESSAGES = [example for example in _EXAMPLES if "schema" in example]
_REQUESTS = [example for example in _EXAMPLES if "schema" not in example]
MILLISECONDS = 1_795_000_000_000  # since 1970
_TOPIC = "edgetally/dock-1/inventory"


def schema_of(message: dict[str, Any]) -> dict[str, Any]:
    return json_schemas()[message["schema"].removeprefix("edgetally.").removesuffix("/1")]


@pytest.mark.parametrize("message", _MESSAGES, ids=lambda message: message["schema"])
def test_each_example_is_a_message_with_every_field_that_there_is(message: dict[str, Any]) -> None:
    schema = schema_of(message)
    jsonschema.validate(message, schema)
    rare = {"part", "error", "stateReason"}
    if "part" not in message:
        assert schema["properties"].keys() - rare == message.keys() - rare


def test_there_is_an_example_of_each_message() -> None:
    assert {message["schema"] for message in _MESSAGES} == {
        schema["properties"]["schema"]["const"] for schema in json_schemas().values()
    }


def test_each_example_of_a_request_is_understood() -> None:
    *looks, recount, wish = (json.dumps(request).encode() for request in _REQUESTS)
    assert [parse_inference(look, str).request_id for look in looks] == ["r-1", "r-2", "r-3"]
    picture = parse_inference(looks[2], str).image
    assert picture is not None
    assert decode_picture(picture).shape == (1, 1, 3)
    assert parse_recount(recount, str).count == 44
    assert parse_model_wish(wish, str).model == "previous"


def test_the_table_names_every_topic() -> None:
    topics = Topics("edgetally", "{thing}")
    assert set(re.findall(r"^\| `(edgetally/[^`]+)`", _PAGE, re.MULTILINE)) == {
        topics.detections("{camera}"),
        topics.events("{camera}"),
        topics.inventory,
        topics.stock_events,
        topics.inventory_set,
        topics.inventory_response,
        topics.health,
        topics.inference_request,
        topics.inference_response,
        topics.model_set,
        topics.model_response,
    }


def receiver_of_the_page() -> Any:
    (program,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - a page of our own
    return names["Receiver"]()


def test_its_receiver_knows_the_totals_through_runs_that_lost_what_they_had_in_memory() -> None:
    """Each run goes on with the disk's numbers, or far beyond them in memory; some come late."""
    receiver = receiver_of_the_page()
    runs = [(1, 2, 3), (MILLISECONDS, MILLISECONDS + 1), (4, 5), (MILLISECONDS + 9_000_000,), (6,)]
    time, before = 0, ""
    for numbers in runs:
        for number in numbers:
            time += 1
            body = inventory(number, time).to_json()
            assert receiver.take(_TOPIC, body) is not None
            assert receiver.inventory[_TOPIC] == json.loads(body)
            assert receiver.take(_TOPIC, before or body) is None
            assert receiver.inventory[_TOPIC] == json.loads(body)
            before = body
    late = inventory(MILLISECONDS + 2, 6).to_json()
    assert receiver.take(_TOPIC, late) is not None
    assert receiver.inventory[_TOPIC] == json.loads(before)


def test_its_receiver_knows_the_totals_whatever_comes_twice_late_or_in_parts() -> None:
    receiver = receiver_of_the_page()
    told = [inventory(number) for number in range(1, 6)]
    arriving = 2 * [part for message in told for part in parts_of(message.to_json(), 1500)]
    assert len(arriving) > 20
    random.Random(5).shuffle(arriving)
    taken = [receiver.take(_TOPIC, body) for body in arriving]
    whole = sorted(filter(None, taken), key=lambda message: message["sequence"])
    assert whole == [json.loads(message.to_json()) for message in told]
    assert receiver.inventory[_TOPIC] == whole[-1]


def inventory(sequence: int, time: int | None = None) -> InventoryMessage:
    names = [f"class {n}" for n in range(20)]
    stock = SiteStock(baseline=1, in_=sequence, out=0, stock=1 + sequence, seen=None, drift=None)
    camera = CameraInventory(
        lines={"gate": {name: Totals(in_=sequence, out=0) for name in names}},
        zones={"room": dict.fromkeys(names, 2)},
        in_view={},
    )
    return InventoryMessage(
        time=utc(1_700_000_000 + (time or sequence)),
        thing="dock-1",
        sequence=sequence,
        model=ModelReference(name="boxes", version="1", sha256="ab" * 32),
        cameras={"door": camera},
        sites={"hall": dict.fromkeys(names, stock)},
        stock=dict.fromkeys(names, 1 + sequence),
    )
