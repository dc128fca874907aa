"""A scene in time: who walks where, which container is in whose hands, and the picture of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.demo.scene.actors import (
    Container,
    Eye,
    Person,
    Pose,
    Stance,
    body_outline,
    carried_pose,
    draw_container,
    draw_hull,
    draw_legs,
    draw_upper_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgetally.demo.scene.room import Room

_STEP = 0.02  # seconds between the samples of a walk
_LIFT_TIME = 0.7  # seconds to pick up or put down


class Walk:
    """Someone's way: way points (time in seconds, x, y), rounded off as people walk.

    Two way points at one place are a stop. `carrying` lists (container, from, until): taken up
    at the first time, put down at the second; -inf and inf for never in view.
    """

    def __init__(
        self,
        person: Person,
        way: list[tuple[float, float, float]],
        carrying: list[tuple[Container, float, float]],
    ) -> None:
        self.person = person
        self.carrying = carrying
        self.start, self.end = way[0][0], way[-1][0]
        times = np.arange(self.start, self.end + _STEP, _STEP)
        points = np.array(way)
        place = np.stack([np.interp(times, points[:, 0], points[:, i]) for i in (1, 2)], axis=1)
        window = np.hanning(27)
        window /= window.sum()
        padded = np.pad(place, ((13, 13), (0, 0)), mode="reflect", reflect_type="odd")
        self._place = np.stack(
            [np.convolve(padded[:, i], window, mode="valid") for i in (0, 1)], axis=1
        )
        velocity = np.gradient(self._place, _STEP, axis=0)
        self._speed = np.linalg.norm(velocity, axis=1)
        self._heading = self._follow(velocity)
        self._travelled = np.cumsum(self._speed) * _STEP

    def _follow(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn towards the way that is walked, at a person's pace."""
        moving = self._speed > 0.05
        first = int(np.argmax(moving)) if moving.any() else 0
        angle = math.atan2(velocity[first, 1], velocity[first, 0])
        heading = np.empty(len(velocity))
        for index, (x, y) in enumerate(velocity):
            if moving[index]:
                error = (math.atan2(y, x) - angle + math.pi) % (2 * math.pi) - math.pi
                angle += max(-4.0 * _STEP, min(4.0 * _STEP, error))
            heading[index] = angle
        return heading

    def stance(self, time: float) -> Stance | None:
        """Where the person is; None before and after the walk."""
        if not self.start <= time <= self.end:
            return None
        index = min(int((time - self.start) / _STEP), len(self._place) - 1)
        stride = math.sin(self._travelled[index] / (self.person.size * 1.1) * math.pi)
        moving = min(1.0, self._speed[index] / 0.2)
        stoop = max(
            (
                1 - abs(time - moment - _LIFT_TIME / 2 * sign) / _LIFT_TIME
                for _, begin, until in self.carrying
                for moment, sign in ((begin, 1), (until, -1))
            ),
            default=0.0,
        )
        x, y = self._place[index]
        return Stance(x, y, self._heading[index], stride * moving, max(0.0, stoop))

    def held(self, time: float) -> tuple[Container, Pose] | None:
        """The container in the person's hands, and its pose."""
        stance = self.stance(time)
        if stance is None:
            return None
        for container, begin, until in self.carrying:
            if begin <= time <= until:
                lift = min(1.0, (time - begin) / _LIFT_TIME, (until - time) / _LIFT_TIME)
                smooth = lift * lift * (3 - 2 * lift)
                return container, carried_pose(self.person, stance, container, smooth)
        return None


@dataclass(frozen=True, eq=False)
class Standing:
    """A container that stands somewhere from a time until another."""

    container: Container
    pose: Pose
    begin: float = -math.inf
    until: float = math.inf


@dataclass(frozen=True)
class Optics:
    """What the camera does to the picture.

    exposure: seconds of open shutter; noise: standard deviation in grey levels; quality: JPEG's;
    shadow: (x, y) offset in picture heights; darkness 0-1; flicker: relative change of the light.
    """

    exposure: float = 0.02
    noise: float = 3.0
    quality: int = 85
    shadow: tuple[float, float] = (0.02, 0.03)
    darkness: float = 0.35
    flicker: float = 0.03
    defocus: float = 0.0


@dataclass(frozen=True, eq=False)
class Truth:
    """The containers of the counted classes in one picture.

    boxes: float64 [N, 4] (xmin, ymin, xmax, ymax) in 0-1, cut at the picture's edge;
    class_ids, track_ids: int64 [N]; visible: float64 [N], the share of a container that is in the
    picture and that nobody and nothing hides.
    """

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    visible: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stage:
    """A room and all that happens in it."""

    eye: Eye
    room: Room
    optics: Optics
    walks: list[Walk] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)

    def containers(self, time: float) -> list[tuple[Container, Pose]]:
        """Every container in the room, and its pose."""
        found = [(s.container, s.pose) for s in self.standing if s.begin <= time < s.until]
        for walk in self.walks:
            held = walk.held(time)
            if held is not None:
                found.append(held)
        return found

    def truth(self, time: float, min_visible: float = 0.15) -> Truth:
        """The counted containers of which at least a share `min_visible` is in the picture."""
        rows: list[tuple[float, float, float, float]] = []
        ids: list[tuple[int, int]] = []
        shares: list[float] = []
        visible_shares = self._visible_shares(time)
        size = np.array([self.eye.width, self.eye.height])
        for container, pose in self.containers(time):
            if container.class_id is None:
                continue
            outline = container.outline(self.eye, pose) / size
            low, high = outline.min(axis=0), outline.max(axis=0)
            cut_low, cut_high = np.clip(low, 0, 1), np.clip(high, 0, 1)
            inside = np.prod(cut_high - cut_low) / np.prod(high - low)
            if inside >= min_visible and (cut_high - cut_low).min() > 0.02:
                rows.append((cut_low[0], cut_low[1], cut_high[0], cut_high[1]))
                ids.append((container.class_id, container.track_id))
                shares.append(visible_shares[container.track_id])
        pairs = np.array(ids, np.int64).reshape(-1, 2)
        boxes = np.array(rows).reshape(-1, 4)
        return Truth(boxes, pairs[:, 0], pairs[:, 1], np.array(shares))

    def _visible_shares(self, time: float) -> dict[int, float]:
        """Paint every container in a grey of its own, everyone in black, and count its pixels."""
        eye = Eye(self.eye.width // 4, self.eye.height // 4)
        canvas = np.zeros((eye.height, eye.width, 3), np.uint8)
        marks = {c.track_id: 40 + 10 * i for i, (c, _) in enumerate(self.containers(time))}
        areas: dict[int, float] = {}

        def draw_box(
            picture: NDArray[np.uint8], eye: Eye, container: Container, pose: Pose
        ) -> None:
            grey = (marks[container.track_id],) * 3
            areas[container.track_id] = draw_hull(picture, container.outline(eye, pose), grey)

        self._paint(canvas, eye, time, draw_box, lambda person: person.in_black())
        return {
            track_id: min(1.0, np.count_nonzero(canvas[..., 0] == mark) / areas[track_id])
            for track_id, mark in marks.items()
        }

    def render(self, time: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture at a time, uint8 [H, W, 3] BGR; rng makes the sensor's noise."""
        picture = self._draw(time).astype(np.float32)
        if self.walks and self.optics.exposure > 0.01:  # the open shutter smears what moves
            for side in (-0.5, 0.5):
                cv2.accumulate(self._draw(time + side * self.optics.exposure), picture)
            picture /= 3
        return self._develop(picture, time, rng)

    def _draw(self, time: float) -> NDArray[np.uint8]:
        picture = self.room.background.copy()
        people = [(walk, stance) for walk in self.walks if (stance := walk.stance(time))]
        containers = self.containers(time)
        self._shade(
            picture,
            [body_outline(self.eye, w.person, s) for w, s in people]
            + [c.outline(self.eye, p) for c, p in containers],
        )
        self._paint(picture, self.eye, time, draw_container, lambda person: person)
        return picture

    def _paint(
        self,
        picture: NDArray[np.uint8],
        eye: Eye,
        time: float,
        draw_box: Callable[[NDArray[np.uint8], Eye, Container, Pose], None],
        dressed: Callable[[Person], Person],
    ) -> None:
        """Draw all that moves, what is lower first."""
        for container, pose in self.containers(time):
            if pose.z <= 0:
                draw_box(picture, eye, container, pose)
        for walk in self.walks:
            stance = walk.stance(time)
            if stance is None:
                continue
            person, held = dressed(walk.person), walk.held(time)
            draw_legs(picture, eye, person, stance)
            if held is not None:
                draw_box(picture, eye, *held)
            draw_upper_body(picture, eye, person, stance, held)

    def _shade(self, picture: NDArray[np.uint8], outlines: list[NDArray[np.float64]]) -> None:
        quarter = np.zeros((self.eye.height // 4, self.eye.width // 4), np.uint8)
        shift = np.array(self.optics.shadow) * quarter.shape[0]
        for outline in outlines:
            draw_hull(quarter, outline / 4 + shift, (255,))
        if not quarter.any():
            return
        soft = cv2.GaussianBlur(quarter, (0, 0), self.eye.height * 0.006)
        mask = cv2.resize(soft, (self.eye.width, self.eye.height)).astype(np.float32)
        picture[:] = (picture * (1 - mask[..., None] * (self.optics.darkness / 255))).astype(
            np.uint8
        )

    def _develop(
        self, picture: NDArray[np.float32], time: float, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        flicker = 1 + self.optics.flicker * (
            0.6 * math.sin(time * 0.9) + 0.4 * math.sin(time * 2.3 + 1)
        )
        lit = picture * (self.room.light * np.float32(flicker))
        if self.optics.defocus > 0:
            lit = cv2.GaussianBlur(lit, (0, 0), self.optics.defocus).astype(np.float32)
        if self.optics.noise > 0:
            lit += rng.standard_normal(lit.shape[:2], np.float32)[..., None] * self.optics.noise
            chroma = rng.standard_normal((lit.shape[0] // 2, lit.shape[1] // 2, 3), np.float32)
            lit += cv2.resize(chroma, (lit.shape[1], lit.shape[0])) * (self.optics.noise * 0.7)
        exact = np.clip(lit, 0, 255).astype(np.uint8)
        _, encoded = cv2.imencode(".jpg", exact, [cv2.IMWRITE_JPEG_QUALITY, self.optics.quality])
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
