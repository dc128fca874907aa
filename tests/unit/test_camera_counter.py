from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.config import CameraConfig
from edgetally.counting.camera_counter import CameraCounter
from edgetally.detections import Detections
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.counting.events import CountEvent, ZoneEvent

CLASSES = ("blue box", "yellow box")
CAMERA: dict[str, Any] = {
    "name": "dock",
    "source": "clip.mp4",
    "lines": [{"name": "door", "from": [0, 0.4], "to": [1, 0.4], "inDirection": [0, 1]}],
    "zones": [{"name": "room", "polygon": [[0, 0.4], [1, 0.4], [1, 1], [0, 1]]}],
}


def counter(**changes: object) -> CameraCounter:
    return CameraCounter(CameraConfig.model_validate({**CAMERA, **changes}), CLASSES)


def one(x: float, y: float, class_id: int, score: float = 0.9) -> Detections:
    return Detections(
        np.array([[x - 0.08, y - 0.08, x + 0.08, y + 0.08]], np.float32).clip(0, 1),
        np.array([score], np.float32),
        np.array([class_id], np.int64),
    )


def test_a_box_carried_in_put_down_and_carried_out_again() -> None:
    camera = counter()
    events: list[CountEvent] = []
    occupied = []
    way = np.concatenate([np.linspace(0, 0.7, 12), np.full(15, 0.7), np.linspace(0.7, 0, 12)])
    for number, y in enumerate(way):
        update = camera.update(one(0.5, y, 1), number / 5)
        events += update.events
        occupied.append(update.occupancy["room"]["yellow box"])
        assert update.in_view == {"blue box": 0, "yellow box": min(1, number)}
    assert [(e.direction, e.class_name, e.line, e.camera, e.track_id) for e in events] == [
        ("in", "yellow box", "door", "dock", 1),
        ("out", "yellow box", "door", "dock", 1),
    ]
    assert events[0].time == pytest.approx(0.4 / 0.7 * 11 / 5, abs=0.02)
    assert events[0].point == pytest.approx((0.5, 0.4))
    assert events[0].score == pytest.approx(0.9)
    assert (occupied[0], max(occupied), occupied[-1]) == (0, 1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_boxes_in_noise_are_counted_as_they_went(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = counter()
    events: list[CountEvent] = []
    # Two lanes; each box is carried down or up, one a lane at a time.
    ways = [(lane, lane * 1.5 + 5 * n, bool(rng.integers(2))) for lane in (0, 1) for n in range(4)]
    time = 0.0
    while time < 22:
        rows = []
        for lane, start, is_down in ways:
            share = (time - start) / 3
            if 0 <= share <= 1 and rng.random() > 0.1:
                y = -0.1 + 1.2 * (share if is_down else 1 - share)
                x = 0.25 + 0.5 * lane
                box = np.array([x - 0.08, y - 0.08, x + 0.08, y + 0.08]) + rng.normal(0, 0.005, 4)
                class_id = lane if rng.random() > 0.1 else 1 - lane
                rows.append((box.clip(0, 1), rng.uniform(0.3, 0.99), class_id))
        boxes, scores, class_ids = zip(*rows, strict=True) if rows else ((), (), ())
        frame = Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(scores, np.float32),
            np.array(class_ids, np.int64),
        )
        events += camera.update(frame, time).events
        time += rng.choice([0.1, 0.2, 0.3])
    events += camera.finish()
    expected = sorted((CLASSES[lane], "in" if is_down else "out") for lane, _, is_down in ways)
    assert sorted((event.class_name, event.direction) for event in events) == expected


def test_the_detections_come_back_with_their_tracks() -> None:
    camera = counter()
    camera.update(one(0.5, 0.2, 0), 0.0)
    update = camera.update(one(0.5, 0.22, 0), 0.2)
    assert update.detections.track_ids is not None
    assert update.detections.track_ids.tolist() == [1]
    assert [track.id for track in update.tracks] == [1]


def test_the_end_of_a_video_settles_what_is_under_way() -> None:
    camera = counter()
    for number, y in enumerate((0.1, 0.2, 0.3, 0.45)):
        assert camera.update(one(0.5, y, 0), number / 5).events == ()
    assert [event.direction for event in camera.finish()] == ["in"]
    assert camera.finish() == ()


@pytest.mark.parametrize(("place", "named"), [("lines", "line 'door'"), ("zones", "zone 'room'")])
def test_a_class_that_the_model_does_not_have_is_refused(place: str, named: str) -> None:
    (only,) = CAMERA[place]
    with pytest.raises(InputError, match=f"{named}: .*'blu box'; did you mean 'blue box'"):
        counter(**{place: [{**only, "classes": ["blu box"]}]})


@pytest.mark.parametrize(("weak_frames", "crossings"), [(3, 1), (8, 0)])
def test_what_is_mostly_made_of_weak_detections_is_not_counted(
    weak_frames: int, crossings: int
) -> None:
    """Two confident detections begin the track; weak ones hold it, but prove nothing."""
    camera = counter()
    events: list[CountEvent] = []
    for number, y in enumerate(np.linspace(0.1, 0.8, 12)):
        is_weak = 2 <= number < 2 + weak_frames
        events += camera.update(one(0.5, y, 0, 0.3 if is_weak else 0.9), number / 8).events
    assert len(events) == crossings


def counted(
    ways: list[list[float | None]], *, fps: float = 5, **line: object
) -> list[tuple[str, str]]:
    """Lead boxes down or up the picture, each in its own lane, None where one is missed."""
    (door,) = CAMERA["lines"]
    camera = counter(lines=[{**door, **line}])
    events: list[CountEvent] = []
    frames = max(map(len, ways))
    for number in range(frames + round(4 * fps)):
        seen = [
            (lane, way[number])
            for lane, way in enumerate(ways)
            if number < len(way) and way[number] is not None
        ]
        rows = [one(0.2 + 0.3 * lane, y, lane % 2) for lane, y in seen if y is not None]
        frame = Detections(
            np.concatenate([row.boxes for row in rows] or [np.zeros((0, 4), np.float32)]),
            np.full(len(rows), 0.9, np.float32),
            np.array([lane % 2 for lane, _ in seen], np.int64),
        )
        events += camera.update(frame, number / fps).events
    events += camera.finish()
    return sorted((event.class_name, event.direction) for event in events)


@pytest.mark.parametrize("fps", [3, 5, 10, 25])
@pytest.mark.parametrize("speed", [0.1, 0.2, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("lost_before", [0.02, 0.1, 0.2])
def test_who_is_lost_at_the_line_and_found_within_a_second_is_counted_once(
    fps: float, speed: float, lost_before: float
) -> None:
    """Whether the tracker keeps its hold or takes it for another one."""
    begin = 0.4 - lost_before
    end = begin + speed
    places = np.arange(0.0, 1.0, speed / fps).tolist()
    down = [None if begin < y < end else y for y in places]
    whole = np.array([y for y in down if y is not None and 0.08 < y < 0.92])
    # Of a single sighting nobody knows whether it was one.
    if min((whole < 0.38).sum(), (whole > 0.42).sum()) > 1:
        assert counted([down], fps=fps) == [("blue box", "in")]
        assert counted([down, down[::-1]], fps=fps) == [("blue box", "in"), ("yellow box", "out")]


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        pytest.param([*np.linspace(0.1, 0.37, 8), *np.linspace(0.37, 0.1, 8)], [], id="turned"),
        pytest.param(
            [*np.linspace(0.1, 0.39, 8), *[0.395, 0.405] * 10, *np.linspace(0.39, 0.1, 8)],
            [],
            id="trembled and went back",
        ),
        pytest.param(
            [*np.linspace(0.1, 0.39, 8), *[0.395, 0.405] * 10, *np.linspace(0.41, 0.7, 8)],
            ["in"],
            id="trembled and went on",
        ),
        pytest.param([*[0.3] * 8, 0.5, *[0.3] * 8], [], id="one misplaced box"),
        pytest.param([*[0.3] * 8, None, None, None, *[0.3] * 8], [], id="lost and back"),
        pytest.param(
            [*np.linspace(0.1, 0.6, 10), *np.linspace(0.6, 0.1, 10)], ["in", "out"], id="in and out"
        ),
    ],
)
def test_who_comes_to_the_line_is_counted_as_it_went(
    way: list[float | None], expected: list[str]
) -> None:
    assert [direction for _, direction in counted([way])] == expected


@pytest.mark.parametrize("fps", [3, 5])
@pytest.mark.parametrize("misplaced", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("stands", [0.5, 0.6, 0.7, 0.8])
def test_an_object_whose_first_box_lies_beyond_the_line_has_not_crossed_it(
    fps: float, misplaced: float, stands: float
) -> None:
    """The tracker ends what began so, and takes the object for another one."""
    assert counted([[misplaced, *[stands] * 20]], fps=fps) == []


@pytest.mark.parametrize("fps", [1, 2, 3, 5])
@pytest.mark.parametrize("misplaced", [0.55, 0.65, 0.8])
@pytest.mark.parametrize("stands", [0.15, 0.2, 0.3])
def test_an_object_whose_second_box_lies_beyond_the_line_has_not_crossed_it(
    fps: float, misplaced: float, stands: float
) -> None:
    """As if it had run in and on out of the picture; but it is seen to stand where it was."""
    assert counted([[stands, misplaced, *[stands] * 20]], fps=fps) == []


@pytest.mark.parametrize("speed", [0.3, 0.35, 0.4, 0.45])
@pytest.mark.parametrize("first", [0.0, 0.1])
def test_who_walks_through_a_picture_a_second_is_counted(speed: float, first: float) -> None:
    way = np.arange(first, 1.0, speed).tolist()
    assert [direction for _, direction in counted([way], fps=1)] == ["in"]


@pytest.mark.parametrize(("fps", "speed"), [(3, 0.3), (5, 0.5), (10, 0.5)])
def test_what_was_put_down_beyond_the_line_and_is_fetched_is_counted_both_ways(
    fps: float, speed: float
) -> None:
    way = np.arange(0.0, 0.7, speed / fps).tolist()
    there = [*way, *[0.7] * round(12 * fps), *way[::-1]]
    assert [direction for _, direction in counted([there], fps=fps)] == ["in", "out"]


@pytest.mark.parametrize("time", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_no_number_is_refused_and_changes_nothing(time: float) -> None:
    camera = counter()
    camera.update(one(0.5, 0.7, 0), 0.0)
    with pytest.raises(ValueError, match="no number of seconds"):
        camera.update(one(0.5, 0.7, 0), time)
    assert camera.update(one(0.5, 0.7, 0), 0.2).in_view["blue box"] == 1


def test_a_minimum_stay_leaves_out_who_looks_in() -> None:
    way: list[float | None] = [*np.linspace(0.1, 0.5, 8), *[0.5] * 5, *np.linspace(0.5, 0.1, 8)]
    assert [direction for _, direction in counted([way])] == ["in", "out"]
    assert counted([way], minStay=3) == []


def test_zones_tell_who_comes_stays_and_goes() -> None:
    (room,) = CAMERA["zones"]
    camera = counter(lines=[], zones=[{**room, "loitering": 2}])
    told: list[ZoneEvent] = []
    way = [*np.linspace(0.0, 0.7, 8), *[0.7] * 10, *np.linspace(0.7, 0.1, 8), 0.1, 0.1]
    for number, y in enumerate(way):
        told += camera.update(one(0.5, y, 1), number / 5).zone_events
    assert [(event.kind, event.class_name) for event in told] == [
        ("entered", "yellow box"),
        ("loitering", "yellow box"),
        ("left", "yellow box"),
    ]
    assert {(event.camera, event.zone, event.track_id) for event in told} == {("dock", "room", 1)}
    assert [event.time for event in told] == pytest.approx([1.0, 3.0, 4.4], abs=0.21)
    assert [event.seconds for event in told] == pytest.approx([0.0, 2.0, 3.4], abs=0.21)


def test_what_stands_in_a_zone_from_the_start_counts_as_soon_as_it_is_believed() -> None:
    camera = counter()
    camera.update(one(0.5, 0.7, 0), 0.0)
    update = camera.update(one(0.5, 0.7, 0), 0.2)
    assert update.occupancy == {"room": {"blue box": 1, "yellow box": 0}}
    assert update.zone_events == ()


def test_a_rest_of_the_camera_counts_for_who_stands_in_a_zone() -> None:
    (room,) = CAMERA["zones"]
    camera = counter(zones=[{**room, "loitering": 60}])
    camera.update(one(0.5, 0.7, 0), 0.0)
    assert camera.update(one(0.5, 0.7, 0), 0.2).zone_events == ()
    (event,) = camera.update(one(0.5, 0.7, 0), 0.4, rested=100.0).zone_events
    assert event.kind == "loitering"
    assert event.seconds == pytest.approx(100.4)


@pytest.mark.parametrize(
    ("fps", "apart"), [(5, 2), (5, 3), (10, 2), (10, 5), (15, 7), (15, 9), (30, 12)]
)
def test_two_false_boxes_far_apart_in_time_are_no_crossing(fps: int, apart: int) -> None:
    """Each is confident, and the way from one to the other leads on over the frame's edge."""
    camera = counter()
    boxes = {5: (0.46, 0.69, 0.21), 5 + apart: (0.50, 0.24, 0.23)}
    events: list[CountEvent] = []
    for number in range(4 * fps):
        found = Detections.empty()
        if number in boxes:
            x, y, side = boxes[number]
            corners = [[x - side / 2, y - side / 2, x + side / 2, y + side / 2]]
            found = Detections(
                np.array(corners, np.float32), np.array([0.7], np.float32), np.zeros(1, np.int64)
            )
        events += camera.update(found, number / fps).events
    assert [*events, *camera.finish()] == []
