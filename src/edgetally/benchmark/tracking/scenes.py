"""A minute in a stock room, at random: what is carried through, put down, fetched and left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from edgetally.demo.scene.actors import Eye, Pose, make_container, make_person, reach
from edgetally.demo.scene.random_scenes import FRAME_SIZE
from edgetally.demo.scene.room import build_room
from edgetally.demo.scene.stage import Optics, Stage, Standing, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.demo.scene.actors import Container

SECONDS = 60.0
_WIDTH = FRAME_SIZE[0] / FRAME_SIZE[1]  # in picture heights, as all lengths here
_ABOVE, _BELOW = -0.2, 1.25  # where people enter and leave, out of sight
_BEFORE = 6.0  # seconds before the scene begins in which someone may have set out
_APART = 1.5  # box lengths between boxes that stand


@dataclass(frozen=True)
class Kind:
    """A kind of scene.

    length: of the boxes, from - to; speed: in picture heights a second, from - to;
    arrivals: people a second.
    """

    name: str
    length: tuple[float, float]
    speed: tuple[float, float]
    arrivals: float


STOCK_ROOM = Kind("stock room", (0.12, 0.24), (0.2, 0.7), 0.5)
HURRY = Kind("hurry", (0.08, 0.14), (0.7, 1.5), 0.6)
"""At 5 frames a second a box of the hurry goes one to three of its breadths between frames."""


def stock_room(kind: Kind, seed: int) -> Stage:
    """The script of a scene: it begins at time 0 and lasts `SECONDS`."""
    rng = np.random.default_rng((11, seed))
    return _Script(kind, rng).written()


class _Script:
    def __init__(self, kind: Kind, rng: np.random.Generator) -> None:
        self._kind = kind
        self._rng = rng
        self._ids = count(1)
        self._length = math.exp(rng.uniform(*np.log(kind.length)))
        eye = Eye(*FRAME_SIZE)
        self._stage = Stage(eye, build_room(rng, "unseen", *FRAME_SIZE), Optics())
        self._places = list(self._free_places())

    def written(self) -> Stage:
        rng, kind = self._rng, self._kind
        for _ in range(rng.integers(0, 3)):
            self._stand_there(self._places.pop())
        start = -_BEFORE
        while start < SECONDS:
            start += rng.exponential(1 / kind.arrivals)
            act = rng.random()
            if act < 0.12:
                self._to_and_back(start)
            elif act < 0.3 and self._places:
                self._put_down(start, self._places.pop())
            else:
                self._carry_through(start)
        return self._stage

    def _free_places(self) -> Iterator[tuple[float, float]]:
        """Where a box can stand apart from the others."""
        taken: list[tuple[float, float]] = []
        for place in self._rng.uniform((0.2, 0.4), (_WIDTH - 0.2, 0.85), (60, 2)).tolist():
            if all(math.dist(place, other) > _APART * self._length for other in taken):
                taken.append((place[0], place[1]))
        yield from taken[:8]

    def _container(self) -> Container:
        length = self._length * self._rng.uniform(0.95, 1.05)
        return make_container(self._rng, next(self._ids), int(self._rng.integers(2)), length)

    def _speed(self) -> float:
        return float(self._rng.uniform(*self._kind.speed))

    def _walk(self, way: list[tuple[float, float, float]]) -> None:
        """Someone goes that way with a box, which never is out of their hands in view."""
        person = make_person(self._rng, self._length)
        self._stage.walks.append(Walk(person, way, [(self._container(), -math.inf, math.inf)]))

    def _carry_through(self, start: float) -> None:
        rng = self._rng
        ends = (_ABOVE, _BELOW) if rng.random() < 0.5 else (_BELOW, _ABOVE)
        lane = rng.uniform(0.2, _WIDTH - 0.2)
        aim = np.clip(lane + rng.normal(0, 0.3), 0.1, _WIDTH - 0.1)
        seconds = (_BELOW - _ABOVE) / self._speed()
        self._walk([(start, lane, ends[0]), (start + seconds, aim, ends[1])])

    def _to_and_back(self, start: float) -> None:
        rng = self._rng
        end = _ABOVE if rng.random() < 0.5 else _BELOW
        lane, turn = rng.uniform(0.2, _WIDTH - 0.2), rng.uniform(0.35, 0.65)
        seconds = abs(end - turn) / self._speed()
        at_turn, leaving = start + seconds, start + seconds + rng.uniform(0.2, 1.5)
        way = [(start, lane, end), (at_turn, lane, turn), (leaving, lane, turn)]
        self._walk([*way, (leaving + seconds, lane, end)])

    def _stand_there(self, place: tuple[float, float]) -> None:
        pose = Pose(*place, 0.0, self._rng.uniform(0, math.pi))
        self._stage.standing.append(Standing(self._container(), pose))

    def _put_down(self, start: float, place: tuple[float, float]) -> None:
        """Someone brings a box and leaves it; half of the time someone fetches it later."""
        rng, box = self._rng, self._container()
        person = make_person(rng, self._length)
        x, y = place[0], place[1] - reach(person, box)
        seconds = (y - _ABOVE) / self._speed()
        there, down, off = start + seconds, start + seconds + 1.0, start + seconds + 1.6
        way = [(start, x, _ABOVE), (there, x, y), (off, x, y), (off + seconds, x, _ABOVE)]
        bringer = Walk(person, way, [(box, -math.inf, down)])
        self._stage.walks.append(bringer)
        held = bringer.held(down)
        if held is None:
            return
        taken = down + rng.uniform(5, 40) if rng.random() < 0.5 else math.inf
        self._stage.standing.append(Standing(box, held[1], down, taken))
        if taken < SECONDS:
            there, off = taken - 0.9, taken + 0.9
            way = [(there - seconds, x, _ABOVE), (there, x, y), (off, x, y)]
            way.append((off + seconds, x, _ABOVE))
            fetcher = Walk(make_person(rng, self._length), way, [(box, taken, math.inf)])
            self._stage.walks.append(fetcher)
