"""Requests by message: each is answered once at most, whatever it holds and however fast."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetally.capture import Frame
from edgetally.config import Config, parse_config
from edgetally.counting.ledger import Storage
from edgetally.detections import Detections
from edgetally.messaging.schemas import json_schemas
from edgetally.requests import LARGEST_BODY, InferenceRequest, RefusedRequestError
from edgetally.service.answers import Answers
from edgetally.service.looking import Seen
from edgetally.service.on_demand import OnDemand
from edgetally.service.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

VALIDATORS = {
    name: jsonschema.Draft202012Validator(schema) for name, schema in json_schemas().items()
}
MODELS = "edgetally/local/model/response"
NOON = 1_700_000_000.0
RESULTS, RESPONSES = "edgetally/local/inference/response", "edgetally/local/inventory/response"


def configured(bundle: ModelBundle, folder: Path) -> Config:
    cameras = [{"name": "dock", "source": "0", "site": "hall"}]
    content = {"model": {"path": str(bundle.file("onnx").parent)}, "cameras": cameras}
    return parse_config({**content, "storage": {"path": str(folder / "state")}}, "test")


class Desk:
    """Requests with a ledger of their own; what is looked at is a black frame with one object."""

    def __init__(self, bundle: ModelBundle, folder: Path, *, max_rate: float = 2.0) -> None:
        config = configured(bundle, folder)
        self.now = 0.0
        self.is_started = False
        self.asked: list[InferenceRequest] = []
        self.answered = threading.Semaphore(0)
        self.storage = Storage(folder / "state", sites={"dock": "hall"}, clock=lambda: NOON)
        self.storage.register(["test"])
        self._recorder = Recorder(config, bundle, self.storage, clock=lambda: NOON)
        self._answers = Answers(config, bundle, self.storage)
        self._max_rate = max_rate
        self.on_demand = self.another()

    def another(self) -> OnDemand:
        return OnDemand(
            self.look,
            self._recorder,
            self._answers,
            ask_model=self.models_asked,
            sites=["hall"],
            max_rate=self._max_rate,
            notify=self.answered.release,
            clock=lambda: NOON,
            steady=lambda: self.now,
        )

    def start(self) -> None:
        self.is_started = True
        self.on_demand.start()

    def models_asked(self, model: str, answer: Callable[[str | None], None]) -> None:
        answer(None if model == "previous" else f"there is no model {model!r}")

    def look(self, request: InferenceRequest) -> Seen:
        self.asked.append(request)
        if request.camera == "broken":
            raise ArithmeticError("no such luck")
        if request.camera == "away":
            raise RefusedRequestError("noPicture", "camera away gave no picture yet")
        box = np.array([[0.1, 0.2, 0.5, 0.6]], np.float32)
        found = Detections(box, np.array([0.9], np.float32), np.array([0]))
        frame = Frame(request.camera or "", 3, NOON, 0.0, np.zeros((9, 16, 3), np.uint8))
        return Seen(frame, found)

    def ask(self, body: bytes | dict[str, Any]) -> None:
        given = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.on_demand.hear("inference", given)

    def set(self, **content: Any) -> None:
        self.on_demand.hear("correction", json.dumps(content).encode())

    def wait(self, answers: int) -> None:
        for _ in range(answers):
            assert self.answered.acquire(timeout=20)

    def told(self, topic: str) -> list[dict[str, Any]]:
        """What is in the outbox for a topic, valid and numbered without gaps."""
        waiting = self.storage.pending("test", 10_000)
        bodies = [json.loads(entry.body) for entry in waiting if entry.topic == topic]
        for number, body in enumerate(bodies, 1):
            name = body["schema"].removeprefix("edgetally.").removesuffix("/1")
            VALIDATORS[name].validate(body)
            assert body["sequence"] == number
        return bodies

    def close(self) -> None:
        self.on_demand.close(20)
        self.storage.close()


@pytest.fixture
def desk(bundle: ModelBundle, tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(bundle, tmp_path)) as desk:
        yield desk


def test_a_request_gets_one_result_with_its_id(desk: Desk) -> None:
    desk.start()
    desk.ask({"requestId": "r-1", "camera": "dock"})
    desk.ask({"filepath": "cat.jpg"})
    desk.wait(2)
    first, second = desk.told(RESULTS)
    assert (first["requestId"], first["camera"]) == ("r-1", "dock")
    assert first["frame"] == {"index": 3, "width": 16, "height": 9}
    assert [row["class"] for row in first["detections"]] == ["blue box"]
    assert second["camera"] is None
    assert len(second["requestId"]) == 32


def test_a_request_that_cannot_be_answered_is_told_why(desk: Desk) -> None:
    desk.start()
    desk.ask({"requestId": "r-1", "camera": "away"})
    desk.ask(b"{")
    desk.wait(2)
    desk.now = 10
    desk.ask({"requestId": "r-3", "camera": "broken"})
    desk.ask(b" " * (LARGEST_BODY + 1))
    desk.wait(2)
    answers = desk.told(RESULTS)
    assert [(answer["error"]["code"], answer["detections"]) for answer in answers] == [
        ("noPicture", []),
        ("malformed", []),
        ("failed", []),
        ("tooBig", []),
    ]
    assert [answers[0]["requestId"], answers[2]["requestId"]] == ["r-1", "r-3"]
    assert answers[2]["error"]["message"] == "ArithmeticError: no such luck"
    assert all(answer["frame"] is None for answer in answers)


def test_requests_beyond_the_rate_are_refused_and_those_beyond_all_bounds_left_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood neither waits for ever nor wears the disk out; later requests are answered."""
    for number in range(1000):
        desk.ask({"requestId": f"r-{number}", "camera": "dock"})
    desk.start()
    desk.wait(7)
    answers = desk.told(RESULTS)
    assert ["error" in answer for answer in answers] == [False, False, *[True] * 5]
    assert {answer["error"]["code"] for answer in answers[2:]} == {"tooFrequent"}
    assert answers[6]["requestId"] == "r-6"
    assert len(desk.asked) == 2
    assert "requests got no answer: they come faster" in caplog.text
    desk.now = 0.5
    desk.ask({"requestId": "later", "camera": "dock"})
    desk.wait(1)
    assert "error" not in desk.told(RESULTS)[-1]


def test_what_waits_is_bounded(bundle: ModelBundle, tmp_path: Path) -> None:
    with closing(Desk(bundle, tmp_path, max_rate=1000)) as desk:
        for _ in range(100):
            desk.ask({"camera": "dock"})
        desk.start()
        desk.wait(16)
        assert len(desk.told(RESULTS)) == 16


def test_a_correction_is_made_told_and_answered(desk: Desk) -> None:
    desk.start()
    recount = {"requestId": "r-1", "class": "blue box", "count": 40, "author": "mia"}
    desk.set(**recount)
    desk.set(**recount)  # a broker delivers at least once
    desk.wait(2)
    assert desk.storage.stock()["hall"]["blue box"].count == 40
    assert [answer["accepted"] for answer in desk.told(RESPONSES)] == [True, True]
    (told,) = desk.told("edgetally/local/inventory/events")
    assert (told["count"], told["before"], told["requestId"]) == (40, 0, "r-1")
    inventory = desk.told("edgetally/local/inventory")[-1]
    assert inventory["sites"]["hall"]["blue box"]["stock"] == inventory["stock"]["blue box"] == 40


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class": "green box"}, "no class 'green box'; it has blue box, yellow box"),
        ({"site": "yard"}, "no site 'yard'; there are hall"),
        ({"count": -1}, "count -1 is no stock"),
        ({"count": 10**30}, "count"),
        ({"author": ""}, "author is missing"),
        ({"note": None}, "note: "),
    ],
)
def test_a_correction_that_cannot_be_true_is_refused_with_why(
    desk: Desk, changes: dict[str, Any], said: str
) -> None:
    desk.start()
    recount = {"requestId": "r-1", "class": "blue box", "count": 40, "author": "mia"}
    desk.set(**(recount | changes))
    desk.wait(1)
    (answer,) = desk.told(RESPONSES)
    assert (answer["requestId"], answer["accepted"]) == ("r-1", False)
    assert said in answer["reason"]
    assert desk.storage.stock() == {}


_keys = st.sampled_from(
    ("requestId", "camera", "filePath", "filepath", "imageBase64", "scoreThreshold")
) | st.sampled_from(("class", "count", "author", "site", "note"))
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_bodies = st.binary(max_size=60) | st.dictionaries(_keys, _values, max_size=7).map(
    lambda content: json.dumps(content).encode()
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=_bodies, is_correction=st.booleans())
def test_garbage_gets_one_answer_each_that_the_schema_allows(
    desk: Desk, body: bytes, is_correction: bool
) -> None:
    if not desk.is_started:
        desk.start()
    desk.now += 1
    before = desk.storage.newest()
    desk.on_demand.hear("correction" if is_correction else "inference", body)
    desk.wait(1)
    answers = desk.storage.pending("test", 100, after=before)
    topic = RESPONSES if is_correction else RESULTS
    (answer,) = (json.loads(entry.body) for entry in answers if entry.topic == topic)
    name = answer["schema"].removeprefix("edgetally.").removesuffix("/1")
    VALIDATORS[name].validate(answer)


def test_what_is_heard_after_the_end_is_left_alone(desk: Desk) -> None:
    desk.start()
    desk.on_demand.close(20)
    desk.ask({"camera": "dock"})
    assert desk.told(RESULTS) == []


def test_what_was_heard_and_not_answered_is_left_to_the_next_in_order(desk: Desk) -> None:
    for number in range(3):
        desk.ask({"requestId": f"r-{number}", "camera": "dock"})
    left = desk.on_demand.close(0)
    assert not desk.on_demand.hear("inference", b"{}")
    desk.on_demand = desk.another()
    desk.ask({"requestId": "r-3", "camera": "dock"})
    desk.on_demand.start(left)
    desk.wait(4)
    told = desk.told(RESULTS)
    assert [each["requestId"] for each in told] == ["r-0", "r-1", "r-2", "r-3"]


def test_another_model_is_asked_for_and_the_answer_says_whether_it_came(desk: Desk) -> None:
    desk.start()
    for request_id, model in (("m-1", "previous"), ("m-2", "boxes-9")):
        desk.on_demand.hear("model", json.dumps({"requestId": request_id, "model": model}).encode())
    desk.on_demand.hear("model", b'{"requestId": "m-3", "model": 3}')
    desk.wait(5)  # two are told once more when they are answered at once
    first, second, third = desk.told(MODELS)
    assert (first["requestId"], first["accepted"]) == ("m-1", True)
    assert "reason" not in first
    assert (second["requestId"], second["accepted"]) == ("m-2", False)
    assert second["reason"] == "there is no model 'boxes-9'"
    assert (third["requestId"], third["accepted"]) == ("m-3", False)
    assert "model: input should be a valid string" in third["reason"]
