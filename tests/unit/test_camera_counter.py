from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.config import CameraConfig
from edgetally.counting.camera_counter import CameraCounter
from edgetally.detections import Detections
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.counting.events import CountEvent

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
