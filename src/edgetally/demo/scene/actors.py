"""What moves: containers and the people who carry them, drawn as a ceiling camera sees them.

Lengths are in units of the picture's height, x to the right and y down; a height above the
floor is a fraction of the camera's own height, so a point at height z is drawn magnified by
1 / (1 - z) about the picture's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Points = NDArray[np.float64]

_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_CARRIED = 0.2  # height of a carried container's bottom
_HAND = 0.29
_SHOULDER = 0.31
_HEAD = 0.4


@dataclass(frozen=True)
class Eye:
    """The camera: picture size in pixels."""

    width: int
    height: int

    def project(self, points: Points, z: float) -> Points:
        """Pixels [N, 2] of the places [N, 2] at the height z."""
        centre = np.array([self.width / self.height / 2, 0.5])
        return np.asarray(((points - centre) / (1 - z) + centre) * self.height, np.float64)


@dataclass(frozen=True, eq=False)
class Container:
    """A lidded container. class_id None: one of another colour, which is not counted."""

    track_id: int
    class_id: int | None
    length: float
    breadth: float
    depth: float
    colour: tuple[float, float, float]
    lid: Image

    def outline(self, eye: Eye, pose: Pose) -> Points:
        """The corners in pixels, [8, 2]: the top face, then the bottom face."""
        half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (self.length / 2, self.breadth / 2)
        turned = half @ _turn(pose.yaw).T + (pose.x, pose.y)
        return np.vstack([eye.project(turned, pose.z + self.depth), eye.project(turned, pose.z)])


@dataclass(frozen=True)
class Pose:
    """Where a container is: its centre, the height of its bottom, the angle of its long side."""

    x: float
    y: float
    z: float
    yaw: float


@dataclass(frozen=True, eq=False)
class Person:
    """How someone looks from above; size is the breadth of the shoulders."""

    size: float
    shirt: tuple[float, float, float]
    trousers: tuple[float, float, float]
    hair: tuple[float, float, float]
    skin: tuple[float, float, float]

    def in_black(self) -> Person:
        """The same figure as a silhouette."""
        black = (0.0, 0.0, 0.0)
        return Person(self.size, black, black, black, black)


@dataclass(frozen=True)
class Stance:
    """Where someone stands, faces (radians) and is in the step; stoop 0-1 is how far bent."""

    x: float
    y: float
    heading: float
    stride: float
    stoop: float

    def ahead(self, forward: float, aside: float = 0.0) -> Points:
        """The place so far in front of the person, and to the right."""
        place = np.array([self.x, self.y]) + _turn(self.heading) @ (forward, aside)
        return np.asarray(place, np.float64)


def carried_pose(person: Person, stance: Stance, container: Container, lift: float) -> Pose:
    """The pose of a container in someone's hands; lift 0 is on the floor, 1 carried."""
    place = stance.ahead(reach(person, container))
    return Pose(place[0], place[1], _CARRIED * lift, stance.heading + math.pi / 2)


def reach(person: Person, container: Container) -> float:
    """How far in front of the person the centre of a carried container is."""
    return person.size * 0.16 + container.breadth / 2


def make_container(
    rng: np.random.Generator, track_id: int, class_id: int | None, length: float
) -> Container:
    """A container of a class: 0 blue, 1 yellow, None any other colour."""
    if class_id == 0:
        hsv = (rng.uniform(106, 118), rng.uniform(165, 235), rng.uniform(95, 190))
    elif class_id == 1:
        hsv = (rng.uniform(25, 30), rng.uniform(195, 250), rng.uniform(195, 250))
    else:
        hsv = _OTHER_COLOURS[rng.integers(len(_OTHER_COLOURS))]
    pixel = np.array([[[*hsv]]]).round().astype(np.uint8)
    colour = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(float)
    breadth = length * rng.uniform(0.6, 0.75)
    return Container(
        track_id,
        class_id,
        length,
        breadth,
        rng.uniform(0.06, 0.1),
        (colour[0], colour[1], colour[2]),
        _lid(rng, colour),
    )


_OTHER_COLOURS = (
    (14, 110, 170),  # cardboard
    (12, 95, 140),
    (62, 150, 110),  # green
    (2, 190, 150),  # red
    (0, 0, 150),  # grey
    (0, 0, 45),  # black
    (8, 200, 215),  # orange
)


def _lid(rng: np.random.Generator, colour: NDArray[np.float64]) -> Image:
    """The top face as a picture, uint8 [96, 144, 3]: rim, ribs, seam, hinges, gloss."""
    height, width = 96, 144
    face = np.tile(colour.astype(np.float32), (height, width, 1))
    face += rng.standard_normal((height, width, 1)).astype(np.float32) * 3
    dark, bright = (colour * 0.6).tolist(), np.minimum(colour * 1.18 + 8, 255).tolist()
    for x in np.linspace(0, width, int(rng.integers(4, 9)))[1:-1]:
        cv2.line(face, (int(x), 8), (int(x), height - 8), (colour * 0.9).tolist(), 1)
    for y in np.linspace(0, height, int(rng.integers(3, 6)))[1:-1]:
        cv2.line(face, (8, int(y)), (width - 8, int(y)), (colour * 0.9).tolist(), 1)
    if rng.random() < 0.8:  # the zigzag where the two halves of an attached lid meet
        middle, step = height // 2, int(rng.integers(8, 18))
        seam = [
            (6, middle + step),
            (50, middle + step),
            (62, middle),
            (86, middle),
            (98, middle - step),
            (width - 6, middle - step),
        ]
        cv2.polylines(face, [np.array(seam, np.int32)], False, dark, 2, cv2.LINE_AA)
    cv2.rectangle(face, (0, 0), (width - 1, height - 1), dark, int(rng.integers(2, 5)))
    cv2.rectangle(face, (5, 5), (width - 6, height - 6), bright, int(rng.integers(1, 3)))
    for x in range(14, width - 14, int(rng.integers(12, 26))):  # hinges along the long sides
        for y in (1, height - 6):
            cv2.rectangle(face, (x, y), (x + 6, y + 4), dark, -1)
    if rng.random() < 0.3:
        x, y = int(rng.integers(20, 100)), int(rng.integers(20, 60))
        cv2.rectangle(face, (x, y), (x + 26, y + 16), (235, 238, 240), -1)
    gloss = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(0, 4)):
        centre = rng.uniform((0, 0), (width, height)).astype(int).tolist()
        axes = rng.uniform((6, 4), (34, 14)).astype(int).tolist()
        cv2.ellipse(gloss, centre, axes, rng.uniform(0, 180), 0, 360, (rng.uniform(20, 110),), -1)
    face += cv2.GaussianBlur(gloss, (0, 0), 6)[..., None]
    return np.clip(face, 0, 255).astype(np.uint8)


def make_person(rng: np.random.Generator, length: float) -> Person:
    """Someone, in proportion to containers of that length; some wear the boxes' colours."""

    def bgr(options: tuple[tuple[float, float, float], ...]) -> tuple[float, float, float]:
        chosen = np.clip(
            np.array(options[rng.integers(len(options))]) * rng.uniform(0.75, 1.2), 0, 255
        )
        return (chosen[0], chosen[1], chosen[2])

    return Person(
        size=length * rng.uniform(0.68, 0.85),
        shirt=bgr(_SHIRTS),
        trousers=bgr(((30, 28, 26), (95, 60, 40), (60, 65, 70), (80, 100, 120))),
        hair=bgr(
            (
                (20, 22, 28),
                (30, 50, 75),
                (70, 120, 170),
                (150, 150, 150),
                (160, 70, 30),
                (30, 190, 220),
            )
        ),
        skin=bgr(((120, 155, 215), (85, 120, 175), (50, 70, 110), (150, 180, 230))),
    )


_SHIRTS = (
    (40, 45, 75),
    (35, 35, 40),
    (200, 200, 205),
    (110, 115, 120),
    (60, 90, 60),
    (150, 80, 35),
    (170, 95, 50),
    (40, 190, 215),
    (50, 60, 170),
    (90, 60, 90),
)


def draw_hull(picture: Image, points: Points, colour: tuple[float, ...]) -> float:
    """Fill the hull of points [N, 2] in pixels; return its area in pixels."""
    hull = _hull(points)
    _fill(picture, hull, colour)
    return float(cv2.contourArea(hull))


def draw_container(picture: Image, eye: Eye, container: Container, pose: Pose) -> None:
    """Draw the sides, then the lid."""
    outline = container.outline(eye, pose)
    side = [channel * 0.5 for channel in container.colour]
    _fill(picture, _hull(outline), side)
    _paste(picture, container.lid, outline[:4])


def draw_legs(picture: Image, eye: Eye, person: Person, stance: Stance) -> None:
    """Draw feet and trousers, below everything carried."""
    for side in (-1, 1):
        step = person.size * 0.42 * stance.stride * side
        foot = stance.ahead(step + person.size * 0.08, side * person.size * 0.17)
        hip = stance.ahead(0, side * person.size * 0.16)
        ends = np.vstack([eye.project(hip[None], 0.17), eye.project(foot[None], 0.02)])
        _limb(picture, ends, person.size * 0.2 * eye.height, person.trousers)
        shoe = eye.project(
            stance.ahead(step + person.size * 0.2, side * person.size * 0.17)[None], 0.01
        )[0]
        _disc(
            picture, shoe, (person.size * 0.2, person.size * 0.1), stance.heading, eye, (25, 25, 28)
        )


def draw_upper_body(
    picture: Image, eye: Eye, person: Person, stance: Stance, held: tuple[Container, Pose] | None
) -> None:
    """Draw shoulders, arms, hands (over the container, if one is held) and head."""
    size = person.size
    lean = stance.stoop * size * 0.45
    drop = stance.stoop * 0.1
    chest = eye.project(stance.ahead(lean * 0.6)[None], _SHOULDER - drop)[0]
    _disc(
        picture,
        chest,
        (size * 0.27, size * 0.52),
        stance.heading,
        eye,
        tuple(channel * 0.85 for channel in person.shirt),
    )
    for side in (-1, 1):
        shoulder = stance.ahead(lean * 0.6, side * size * 0.46)
        if held is None:
            swing = -side * stance.stride * size * 0.35
            elbow = stance.ahead(swing * 0.6, side * size * 0.56)
            hand = stance.ahead(swing + size * 0.08, side * size * 0.52)
            height = 0.2
        else:
            container, pose = held
            elbow = stance.ahead(size * 0.2 + lean * 0.5, side * (container.length * 0.5 + 0.02))
            hand = stance.ahead(
                reach(person, container) * 0.95 + size * 0.02, side * container.length * 0.47
            )
            height = pose.z + container.depth + 0.01
        joints = np.vstack(
            [
                eye.project(shoulder[None], _SHOULDER - drop),
                eye.project(elbow[None], (_SHOULDER - drop + height) / 2),
                eye.project(hand[None], height),
            ]
        )
        _limb(picture, joints, size * 0.19 * eye.height, person.shirt)
        _hand(picture, joints[2], joints[2] - joints[1], size * 0.09 * eye.height, person.skin)
    _disc(picture, chest, (size * 0.2, size * 0.4), stance.heading, eye, person.shirt)
    head = eye.project(stance.ahead(size * 0.08 + lean)[None], _HEAD - drop * 1.5)[0]
    _disc(picture, head, (size * 0.23, size * 0.2), stance.heading, eye, person.hair)
    shine = tuple(min(channel * 1.3 + 8, 255) for channel in person.hair)
    _disc(
        picture,
        head - size * 0.04 * eye.height,
        (size * 0.11, size * 0.1),
        stance.heading,
        eye,
        shine,
    )


def body_outline(eye: Eye, person: Person, stance: Stance) -> Points:
    """Pixels [N, 2] around someone, for a shadow."""
    angles = np.linspace(0, 2 * math.pi, 12)
    ring = np.stack([np.cos(angles) * 0.3, np.sin(angles) * 0.5], axis=1) * person.size
    return eye.project(ring @ _turn(stance.heading).T + (stance.x, stance.y), 0.25)


def _turn(angle: float) -> Points:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _hull(points: Points) -> NDArray[np.float32]:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float32)


def _fixed(points: Points | NDArray[np.float32]) -> NDArray[np.int32]:
    scaled = np.clip(np.asarray(points, np.float64), -4000, 8000) * (1 << _SHIFT)
    return np.asarray(np.round(scaled), np.int32)


def _fill(
    picture: Image, polygon: NDArray[np.float32], colour: tuple[float, ...] | list[float]
) -> None:
    cv2.fillConvexPoly(picture, _fixed(polygon), colour, cv2.LINE_AA, _SHIFT)


def _limb(picture: Image, joints: Points, thickness: float, colour: tuple[float, ...]) -> None:
    lines = [_fixed(joints)]
    cv2.polylines(
        picture,
        lines,
        False,
        [c * 0.75 for c in colour],
        max(2, round(thickness)),
        cv2.LINE_AA,
        _SHIFT,
    )
    cv2.polylines(
        picture, lines, False, colour, max(1, round(thickness * 0.7)), cv2.LINE_AA, _SHIFT
    )


def _hand(
    picture: Image, wrist: Points, direction: Points, size: float, skin: tuple[float, ...]
) -> None:
    forward = direction / (np.linalg.norm(direction) + 1e-6)
    aside = np.array([-forward[1], forward[0]])
    for finger in (-0.6, -0.2, 0.2, 0.6):
        tip = wrist + forward * size * 1.5 + aside * finger * size
        _limb(picture, np.vstack([wrist + aside * finger * size, tip]), size * 0.42, skin)
    cv2.circle(
        picture, _fixed(wrist).tolist(), int(size * (1 << _SHIFT)), skin, -1, cv2.LINE_AA, _SHIFT
    )


def _disc(
    picture: Image,
    centre: Points,
    axes: tuple[float, float],
    angle: float,
    eye: Eye,
    colour: tuple[float, ...],
) -> None:
    pixels = (np.array(axes) * eye.height * 1.35 * (1 << _SHIFT)).astype(int).tolist()
    cv2.ellipse(
        picture,
        _fixed(centre).tolist(),
        pixels,
        math.degrees(angle),
        0,
        360,
        colour,
        -1,
        cv2.LINE_AA,
        _SHIFT,
    )


def _paste(picture: Image, sprite: Image, quad: Points) -> None:
    height, width = picture.shape[:2]
    low = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 2, (width, height))
    if (high <= low).any():
        return
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    corners = np.array(
        [[0, 0], [sprite.shape[1], 0], [sprite.shape[1], sprite.shape[0]], [0, sprite.shape[0]]],
        np.float32,
    )
    warp = cv2.getPerspectiveTransform(corners, (quad - low).astype(np.float32))
    drawn = cv2.warpPerspective(
        sprite, warp, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros((size[1], size[0]), np.uint8)
    _fill(mask, (quad - low).astype(np.float32), (255,))
    weight = mask[..., None].astype(np.float32) / 255
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = (part * (1 - weight) + drawn * weight).astype(np.uint8)
