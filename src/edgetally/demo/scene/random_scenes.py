"""Random scenes for training and evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgetally.demo.scene.actors import (
    Container,
    Eye,
    Pose,
    make_container,
    make_person,
    reach,
)
from edgetally.demo.scene.room import Split, build_room
from edgetally.demo.scene.stage import Optics, Stage, Standing, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgetally.demo.scene.stage import Truth

FRAME_SIZE = (640, 360)
_SPLIT_SEEDS: dict[Split, int] = {"train": 1, "unseen": 2}


def random_stage(seed: int, split: Split) -> Stage:
    """A scene of some seconds around time 0; a seed means another scene in each split."""
    rng = np.random.default_rng((_SPLIT_SEEDS[split], seed))
    eye = Eye(*FRAME_SIZE)
    length = math.exp(rng.uniform(math.log(0.17), math.log(0.42)))
    stage = Stage(eye, build_room(rng, split, eye.width, eye.height), _optics(rng))
    track_ids = iter(range(1, 100))
    for _ in range(rng.choice(4, p=[0.05, 0.4, 0.4, 0.15])):
        stage.walks.append(_walk(rng, eye, length, next(track_ids)))
    for _ in range(rng.choice(5, p=[0.2, 0.3, 0.25, 0.15, 0.1])):
        container = make_container(rng, next(track_ids), _any_class(rng), length)
        place = rng.uniform((0, 0), (eye.width / eye.height, 1))
        if all(_apart(container, place, other) for other in stage.standing):
            pose = Pose(place[0], place[1], 0.0, rng.uniform(0, math.pi))
            stage.standing.append(Standing(container, pose))
    return stage


def samples(
    split: Split, first_seed: int, scenes: int, per_scene: int
) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Pictures uint8 [360, 640, 3] BGR with their truth, at most `per_scene` of each scene.

    Moments at which one container hides another are left out: nobody could label them.
    """
    for seed in range(first_seed, first_seed + scenes):
        stage = random_stage(seed, split)
        rng = np.random.default_rng((3, _SPLIT_SEEDS[split], seed))
        for _ in range(per_scene):
            time = float(rng.uniform(-1.0, 1.0))
            if not _crowded(stage, time):
                yield stage.render(time, rng), stage.truth(time)


def _crowded(stage: Stage, time: float) -> bool:
    found = stage.containers(time)
    return any(
        math.hypot(pose.x - other_pose.x, pose.y - other_pose.y) < 0.75 * container.length
        for index, (container, pose) in enumerate(found)
        for _, other_pose in found[:index]
    )


def _any_class(rng: np.random.Generator) -> int | None:
    return (0, 1, None)[rng.choice(3, p=[0.38, 0.38, 0.24])]


def _apart(container: Container, place: NDArray[np.float64], other: Standing) -> bool:
    distance = math.hypot(place[0] - other.pose.x, place[1] - other.pose.y)
    return distance > (container.length + other.container.length) * 0.6


def _optics(rng: np.random.Generator) -> Optics:
    angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.0, 0.07)
    return Optics(
        exposure=rng.uniform(0.0, 0.06),
        noise=rng.uniform(0.5, 7),
        quality=int(rng.integers(45, 96)),
        shadow=(math.cos(angle) * far, math.sin(angle) * far),
        darkness=rng.uniform(0.15, 0.55),
        flicker=rng.uniform(0, 0.08),
        defocus=rng.uniform(0.0, 1.0),
    )


def _walk(rng: np.random.Generator, eye: Eye, length: float, track_id: int) -> Walk:
    person = make_person(rng, length)
    middle = rng.uniform((0, 0), (eye.width / eye.height, 1))
    heading = rng.uniform(0, 2 * math.pi)
    speed = rng.uniform(0.1, 0.9)
    bend = rng.normal(0, 0.5)
    before = middle - 1.5 * speed * np.array([math.cos(heading), math.sin(heading)])
    after = middle + 1.5 * speed * np.array([math.cos(heading + bend), math.sin(heading + bend)])
    way = [(-1.5, *before), (0.0, *middle), (1.5, *after)]
    if rng.random() < 0.25:
        return Walk(person, way, [])
    container = make_container(rng, track_id, _any_class(rng), length * rng.uniform(0.9, 1.1))
    begin, until = -math.inf, math.inf
    if rng.random() < 0.25:  # being taken up or put down in these seconds
        moment = rng.uniform(-1, 1)
        still = middle + rng.normal(0, 0.02, 2)
        entry = still - (0.4 + reach(person, container)) * np.array(
            [math.cos(heading), math.sin(heading)]
        )
        way = [(-2.0, *entry), (-1.4, *still), (1.5, *still)]
        begin, until = (moment, math.inf) if rng.random() < 0.5 else (-math.inf, moment)
        until = max(until, begin + 0.1)
    return Walk(person, way, [(container, begin, until)])
