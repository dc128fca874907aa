"""The demo clip: a minute at the door of a stock room, and the counts that are true of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.demo import CLASSES
from edgetally.demo.scene.actors import Container, Eye, make_container, make_person, reach
from edgetally.demo.scene.random_scenes import FRAME_SIZE
from edgetally.demo.scene.room import build_room
from edgetally.demo.scene.stage import Optics, Stage, Standing, Walk
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetally.demo.scene.stage import Truth

SEED = 5_000_000  # training and evaluation count their scenes from zero
FPS = 8
SECONDS = 75.0
LINE_Y = 0.36  # of the picture's height; IN is downwards
BLUE, YELLOW = 0, 1
_LENGTH = 0.23
_ABOVE, _BELOW = -0.2, 1.25  # where people enter and leave, out of sight
_CROSSING_TIME = 4.4  # seconds from one to the other

# (start in seconds, class or None for a crate that is not counted, way, lane from left 0-1.78)
_CARRIED_THROUGH: tuple[tuple[float, int | None, str, float], ...] = (
    (0.5, BLUE, "in", 0.60),
    (4.0, YELLOW, "in", 1.20),
    (7.0, BLUE, "out", 0.55),
    (7.5, YELLOW, "in", 1.25),
    (16.5, YELLOW, "out", 0.45),
    (20.0, BLUE, "in", 0.45),
    (20.6, BLUE, "in", 1.30),
    (26.5, BLUE, "out", 1.35),
    (31.0, None, "in", 1.40),
    (33.8, YELLOW, "out", 0.50),
    (34.5, YELLOW, "in", 1.30),
    (39.0, BLUE, "out", 0.50),
    (47.5, YELLOW, "out", 0.50),
    (50.5, BLUE, "in", 1.20),
    (52.0, YELLOW, "out", 0.55),
    (55.5, YELLOW, "in", 0.90),
    (58.0, BLUE, "out", 0.50),
    (64.5, YELLOW, "out", 0.50),
    (68.0, BLUE, "in", 0.65),
)


@dataclass(frozen=True)
class TrueCrossing:
    """A counted container's centre passing the line."""

    time: float
    class_id: int
    direction: str
    track_id: int


def demo_stage() -> Stage:
    """The whole script of the clip; it begins at time 0 and lasts `SECONDS`."""
    rng = np.random.default_rng(SEED)
    eye = Eye(*FRAME_SIZE)
    optics = Optics(exposure=0.02, noise=1.3, quality=90, shadow=(0.02, 0.025), flicker=0.05)
    stage = Stage(eye, build_room(rng, "unseen", eye.width, eye.height), optics)
    ids = iter(range(1, 100))

    def container(class_id: int | None) -> Container:
        return make_container(rng, next(ids), class_id, _LENGTH * rng.uniform(0.95, 1.05))

    for start, class_id, direction, lane in _CARRIED_THROUGH:
        ends = (_ABOVE, _BELOW) if direction == "in" else (_BELOW, _ABOVE)
        drift = rng.uniform(-0.06, 0.06)
        way = [(start, lane, ends[0]), (start + _CROSSING_TIME, lane + drift, ends[1])]
        stage.walks.append(
            Walk(make_person(rng, _LENGTH), way, [(container(class_id), -math.inf, math.inf)])
        )
    _to_the_line_and_back(stage, rng, container(YELLOW), start=25.0)
    _put_down_and_fetched(stage, rng, container(BLUE))
    _left_in_view(stage, rng, container(YELLOW), start=60.0)
    stage.walks.append(  # someone in a hurry, with empty hands
        Walk(make_person(rng, _LENGTH), [(37.5, 0.9, _ABOVE), (40.7, 1.5, _BELOW)], [])
    )
    return stage


def _to_the_line_and_back(
    stage: Stage, rng: np.random.Generator, box: Container, start: float
) -> None:
    way = [
        (start, 0.6, _BELOW),
        (start + 2.8, 0.6, 0.60),
        (start + 3.3, 0.6, 0.60),
        (start + 6.8, 0.55, _BELOW),
    ]
    stage.walks.append(Walk(make_person(rng, _LENGTH), way, [(box, -math.inf, math.inf)]))


def _put_down(
    stage: Stage, rng: np.random.Generator, box: Container, start: float, place: tuple[float, float]
) -> tuple[Walk, float]:
    """Someone brings a box from above, puts it down at a place and leaves by where they came."""
    person = make_person(rng, _LENGTH)
    x, y = place[0], place[1] - reach(person, box)
    down = start + 4.0
    way = [(start, x, _ABOVE), (start + 3.0, x, y), (down + 0.6, x, y), (down + 3.8, x, _ABOVE)]
    walk = Walk(person, way, [(box, -math.inf, down)])
    stage.walks.append(walk)
    return walk, down


def _put_down_and_fetched(stage: Stage, rng: np.random.Generator, box: Container) -> None:
    place = (1.0, 0.68)
    bringer, down = _put_down(stage, rng, box, 11.5, place)
    taken = 45.0
    held = bringer.held(down)
    if held is None:
        raise EdgetallyError("the demo's script lost the box that is put down")
    stage.standing.append(Standing(box, held[1], down, taken))
    person = make_person(rng, _LENGTH)
    x, y = place[0], place[1] - reach(person, box)
    way = [(41.3, x, _ABOVE), (44.4, x, y), (45.9, x, y), (49.0, x, _ABOVE)]
    stage.walks.append(Walk(person, way, [(box, taken, math.inf)]))


def _left_in_view(stage: Stage, rng: np.random.Generator, box: Container, start: float) -> None:
    bringer, down = _put_down(stage, rng, box, start, (1.2, 0.68))
    held = bringer.held(down)
    if held is None:
        raise EdgetallyError("the demo's script lost the box that is left in view")
    stage.standing.append(Standing(box, held[1], down))


def true_crossings(stage: Stage) -> list[TrueCrossing]:
    """Every passing of the line by the centre of a box, frame by frame."""
    sides: dict[int, bool] = {}
    found = []
    for index in range(round(SECONDS * FPS)):
        truth = stage.truth(index / FPS)
        for box, class_id, track_id in zip(
            truth.boxes, truth.class_ids.tolist(), truth.track_ids.tolist(), strict=True
        ):
            below = bool((box[1] + box[3]) / 2 > LINE_Y)
            if sides.get(track_id, below) != below:
                direction = "in" if below else "out"
                found.append(TrueCrossing(index / FPS, class_id, direction, track_id))
            sides[track_id] = below
    return found


def final_truth(stage: Stage) -> Truth:
    """What is in view in the last frame."""
    return stage.truth((round(SECONDS * FPS) - 1) / FPS)


def truth_record() -> dict[str, object]:
    """What `demo.json` holds: the clip's crossings and final counts, as plain values."""
    stage = demo_stage()
    crossings = true_crossings(stage)
    last = final_truth(stage).class_ids.tolist()
    return {
        "seed": SEED,
        "fps": FPS,
        "seconds": SECONDS,
        "lineY": LINE_Y,
        "expected": {
            name: {
                "in": sum(c.class_id == i and c.direction == "in" for c in crossings),
                "out": sum(c.class_id == i and c.direction == "out" for c in crossings),
                "inView": last.count(i),
            }
            for i, name in enumerate(CLASSES)
        },
        "crossings": [
            {"time": c.time, "class": CLASSES[c.class_id], "direction": c.direction}
            for c in crossings
        ],
    }


def render_clip(path: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Render the clip to a video file (MPEG-4 part 2), written aside and then renamed."""
    stage, rng = demo_stage(), np.random.default_rng((SEED, 1))
    frames = round(SECONDS * FPS)
    aside = path.with_name(f".{path.name}.partial{path.suffix}")
    size = (stage.eye.width, stage.eye.height)
    writer = cv2.VideoWriter(str(aside), cv2.VideoWriter.fourcc(*"mp4v"), FPS, size)
    if not writer.isOpened():
        raise EdgetallyError(f"{aside}: OpenCV can't write this video; is the folder writable?")
    for index in range(frames):
        writer.write(stage.render(index / FPS, rng))
        if progress is not None:
            progress(index + 1, frames)
    writer.release()
    aside.replace(path)
