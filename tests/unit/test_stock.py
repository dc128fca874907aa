"""What is at a site, what is seen of it, and what people counted."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.config import CameraConfig
from edgetally.counting.events import CountEvent
from edgetally.counting.ledger import Ledger, Stock
from edgetally.errors import InputError
from edgetally.messaging.messages import ModelReference, StockEventMessage
from edgetally.messaging.topics import Topics
from edgetally.stock import Recount, correct, seen_stock, site_meant, stock_levels

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("blue box", "yellow box")
TOPICS = Topics("edgetally", "dock-1")
MODEL = ModelReference(name="boxes", version="1", sha256="ab" * 32)
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def camera(name: str, site: str, *zones: dict[str, Any]) -> CameraConfig:
    content = {"name": name, "site": site, "source": "0"}
    every = [{"polygon": SQUARE, "name": f"zone {n}", **zone} for n, zone in enumerate(zones)]
    return CameraConfig.model_validate({**content, "zones": every})


def recount(**changes: Any) -> Recount:
    given: dict[str, Any] = {
        "site": "hall",
        "class_name": "blue box",
        "count": 40,
        "author": "mia",
    }
    return Recount(**(given | changes))


def crossing(direction: Any) -> CountEvent:
    return CountEvent("dock", "door", direction, "blue box", 1, 5.0, 0.9, (0.5, 0.5))


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with closing(Ledger(tmp_path, sites={"dock": "hall"})) as ledger:
        yield ledger


def test_zones_that_see_the_stock_are_added_up_by_site_and_class() -> None:
    cameras = [
        camera("a", "hall", {"seesStock": True}, {"seesStock": False}),
        camera("b", "hall", {"seesStock": True, "classes": ["blue box"]}),
        camera("c", "yard", {}),
    ]
    both = {"blue box": 3, "yellow box": 1}
    occupancy = {
        "a": {"zone 0": both, "zone 1": both},
        "b": {"zone 0": {"blue box": 4}},
        "c": {"zone 0": both},
    }
    assert seen_stock(cameras, CLASSES, occupancy) == {"hall": {"blue box": 7, "yellow box": 1}}


def test_nothing_is_seen_of_a_site_until_all_its_cameras_looked() -> None:
    cameras = [
        camera("a", "hall", {"seesStock": True}),
        camera("b", "hall", {"seesStock": True, "classes": ["blue box"]}),
    ]
    occupancy = {"a": {"zone 0": {"blue box": 3, "yellow box": 1}}}
    assert seen_stock(cameras, CLASSES, occupancy) == {"hall": {"yellow box": 1}}


def test_drift_is_what_is_seen_less_what_the_ledger_has() -> None:
    stock = {"hall": {"blue box": Stock(10, 3, 5)}, "former": {"blue box": Stock(1)}}
    levels = stock_levels(["hall", "yard"], CLASSES, stock, {"hall": {"blue box": 6}})
    assert list(levels) == ["hall", "yard", "former"]
    blue = levels["hall"]["blue box"]
    assert (blue.stock.count, blue.seen, blue.drift) == (8, 6, -2)
    assert levels["hall"]["yellow box"].drift is None
    assert levels["yard"]["blue box"].stock.count == 0


def test_a_recount_is_the_stock_from_then_on(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        entry.add(crossing("in"))
        made = correct(entry, recount(note="by hand"), 9.0, TOPICS, MODEL)
        entry.add(crossing("out"))
    assert (made.before, made.count) == (1, 40)
    assert ledger.stock()["hall"]["blue box"].count == 39
    (told,) = ledger.pending(None, 10)
    assert told.topic == "edgetally/dock-1/inventory/events"
    message = StockEventMessage.model_validate_json(told.body)
    assert (message.sequence, message.count, message.before) == (1, 40, 1)
    assert (message.author, message.note, message.request_id) == ("mia", "by hand", None)


def test_a_message_that_comes_twice_corrects_once(ledger: Ledger) -> None:
    """Brokers may deliver twice; what crossed in between must not be undone."""
    asked = recount(request_id="r-1")
    with ledger.transaction() as entry:
        first = correct(entry, asked, 9.0, TOPICS, MODEL)
        entry.add(crossing("in"))
    with ledger.transaction() as entry:
        assert correct(entry, asked, 10.0, TOPICS, MODEL) == first
    assert ledger.stock()["hall"]["blue box"].count == 41
    assert len(ledger.pending(None, 10)) == len(ledger.corrections()) == 1


def test_an_id_that_was_used_for_something_else_is_refused(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        correct(entry, recount(request_id="r-1"), 9.0, TOPICS, MODEL)
    with (
        pytest.raises(InputError, match="requestId 'r-1' was that of another correction"),
        ledger.transaction() as entry,
    ):
        correct(entry, recount(request_id="r-1", count=41), 10.0, TOPICS, MODEL)
    assert ledger.stock()["hall"]["blue box"].count == 40


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"site": "hal"}, "there is no site 'hal'; there are hall, yard"),
        ({"class_name": "green box"}, "no class 'green box'; it has blue box, yellow box"),
        ({"class_name": "x" * 5000}, r"no class 'x+… \(5000 characters\)'"),
        ({"count": -1}, "count -1 is no stock"),
        ({"count": 4006381333931}, "count 4006381333931 is no stock; give 0 to 10000000"),
        ({"author": " "}, "author is missing"),
        ({"author": "a" * 129}, "author has 129 characters; 128 at most"),
        ({"author": "a\nb"}, "author holds characters that can't be shown"),
        ({"note": "n" * 1001}, "note has 1001 characters"),
        ({"note": "\x1b[2J"}, "note holds characters"),
    ],
)
def test_a_recount_that_cannot_be_true_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        recount(**changes).check(["hall", "yard"], CLASSES)
    recount(count=0, note="ä 箱").check(["hall"], CLASSES)


def test_the_only_site_needs_no_name() -> None:
    assert site_meant(None, ["hall"]) == "hall"
    assert site_meant("yard", ["hall"]) == "yard"
    with pytest.raises(InputError, match="several sites; name one of hall, yard"):
        site_meant(None, ["hall", "yard"])
