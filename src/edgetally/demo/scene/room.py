"""The room that stays: floor, furniture and light, painted once for a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Field = NDArray[np.float32]

Split = Literal["train", "unseen"]


@dataclass(frozen=True, eq=False)
class Room:
    """A picture of the empty room, uint8 [H, W, 3] BGR, and its light, float32 [H, W, 3]."""

    background: Image
    light: Field


def build_room(rng: np.random.Generator, split: Split, width: int, height: int) -> Room:
    """Paint a room.

    "unseen" rooms have floors, furniture colours and light that "train" rooms never have.
    """
    floors = _TRAIN_FLOORS if split == "train" else _UNSEEN_FLOORS
    floor = floors[rng.integers(len(floors))](rng, width, height)
    picture = np.clip(floor, 0, 255).astype(np.uint8)
    pieces = rng.integers(2, 6)
    for index in rng.permutation(len(_FURNITURE))[:pieces]:
        _FURNITURE[index](rng, picture)
    return Room(picture, _light(rng, split, width, height))


def smooth_noise(rng: np.random.Generator, width: int, height: int, cell: float) -> Field:
    """Noise float32 [H, W] of standard deviation about 1 whose grain is `cell` pixels."""
    small = rng.standard_normal((max(2, round(height / cell)), max(2, round(width / cell)))).astype(
        np.float32
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _grey(rng: np.random.Generator, low: float, high: float, tint: float) -> Field:
    return (rng.uniform(low, high) + rng.uniform(-tint, tint, 3)).astype(np.float32)


def _carpet(rng: np.random.Generator, width: int, height: int) -> Field:
    # carpet tiles of woven stripes, each tile its own run of greys
    base = _grey(rng, 70, 150, 12)
    tile_w, tile_h = int(height * rng.uniform(0.15, 0.35)), int(height * rng.uniform(0.1, 0.3))
    value = np.zeros((height, width), np.float32)
    shift = rng.integers(tile_w)
    for top in range(0, height, tile_h):
        for left in range(-int(rng.integers(tile_w)) - shift, width, tile_w):
            stripes = np.repeat(rng.standard_normal((tile_h // 3 + 1, 1)), 3, axis=0)[:tile_h]
            part = value[top : top + tile_h, max(left, 0) : max(left + tile_w, 0)]
            part += (stripes[: part.shape[0]] * 14 + rng.normal(0, 5)).astype(np.float32)
    weave = rng.standard_normal((height, width)).astype(np.float32) * rng.uniform(4, 14)
    floor = value + weave
    if rng.random() < 0.5:
        floor = cv2.resize(floor.T, (width, height)).astype(np.float32)
    return np.asarray(base + floor[..., None], np.float32)


def _concrete(rng: np.random.Generator, width: int, height: int) -> Field:
    base = _grey(rng, 90, 190, 10)
    stains = sum(
        (smooth_noise(rng, width, height, height * scale) * gain)
        for scale, gain in ((0.4, 9), (0.1, 6), (0.03, 4))
    )
    grain = rng.standard_normal((height, width)).astype(np.float32) * 4
    floor = np.asarray(base + (stains + grain)[..., None], np.float32)
    for _ in range(rng.integers(0, 4)):
        points = rng.uniform((0, 0), (width, height), (2, 2)).astype(int)
        cv2.line(floor, points[0].tolist(), points[1].tolist(), (base * 0.7).tolist(), 1, 16)
    return floor


def _planks(rng: np.random.Generator, width: int, height: int) -> Field:
    base = np.array([rng.uniform(60, 110), rng.uniform(95, 150), rng.uniform(130, 190)], np.float32)
    step = max(6, int(height * rng.uniform(0.06, 0.12)))
    grain = smooth_noise(rng, width // 8, height, 2.5) * 7
    floor = cv2.resize(grain, (width, height)).astype(np.float32)
    for top in range(0, height, step):
        floor[top : top + step] += rng.normal(0, 9)
        floor[top : top + 1] -= 35
    return np.asarray(base + floor[..., None], np.float32)


def _tiles(rng: np.random.Generator, width: int, height: int) -> Field:
    base = _grey(rng, 130, 200, 16)
    step = max(12, int(height * rng.uniform(0.1, 0.22)))
    floor = smooth_noise(rng, width, height, 5) * 4
    for top in range(0, height, step):
        for left in range(0, width, step):
            floor[top : top + step, left : left + step] += rng.normal(0, 5)
    floor[::step] -= 30
    floor[:, ::step] -= 30
    return np.asarray(base + floor[..., None], np.float32)


def _terrazzo(rng: np.random.Generator, width: int, height: int) -> Field:
    base = _grey(rng, 110, 190, 14)
    floor = np.tile(base, (height, width, 1))
    for _ in range(500):
        centre = rng.uniform((0, 0), (width, height)).astype(int).tolist()
        colour = (base + rng.normal(0, 32)).tolist()
        cv2.circle(floor, centre, int(rng.integers(1, max(2, height // 90) + 1)), colour, -1, 16)
    return np.asarray(
        floor + rng.standard_normal((height, width, 1)).astype(np.float32) * 3, np.float32
    )


_TRAIN_FLOORS: tuple[Callable[[np.random.Generator, int, int], Field], ...] = (
    _carpet,
    _carpet,
    _concrete,
    _planks,
)
_UNSEEN_FLOORS: tuple[Callable[[np.random.Generator, int, int], Field], ...] = (_tiles, _terrazzo)


def _edge_rectangle(rng: np.random.Generator, picture: Image, depth: float) -> NDArray[np.int32]:
    """Corners of a slanted rectangle that grows from one edge of the picture."""
    height, width = picture.shape[:2]
    reach = depth * height
    along = rng.uniform(0.25, 0.7)
    side = rng.integers(4)
    span = width if side < 2 else height
    start = rng.uniform(-0.1, 1 - along * 0.8) * span
    slant = rng.uniform(-0.25, 0.25) * reach
    a, b = start, start + along * span
    if side == 0:
        quad = [(a, -5), (b, -5), (b, reach + slant), (a, reach - slant)]
    elif side == 1:
        quad = [
            (a, height + 5),
            (b, height + 5),
            (b, height - reach + slant),
            (a, height - reach - slant),
        ]
    elif side == 2:
        quad = [(-5, a), (-5, b), (reach + slant, b), (reach - slant, a)]
    else:
        quad = [
            (width + 5, a),
            (width + 5, b),
            (width - reach + slant, b),
            (width - reach - slant, a),
        ]
    return np.round(quad).astype(np.int32)


def _textured(
    rng: np.random.Generator,
    picture: Image,
    quad: NDArray[np.int32],
    colour: NDArray[np.float64] | Field,
    grain: float,
    cell: tuple[float, float],
) -> None:
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [quad], (255,), cv2.LINE_AA)
    noise = cv2.resize(
        rng.standard_normal((max(2, int(height / cell[1])), max(2, int(width / cell[0])))).astype(
            np.float32
        ),
        (width, height),
    )
    surface = np.clip(colour + noise[..., None] * grain, 0, 255)
    weight = mask[..., None].astype(np.float32) / 255
    picture[:] = (picture * (1 - weight) + surface * weight).astype(np.uint8)


def _door(rng: np.random.Generator, picture: Image) -> None:
    # a wooden door or table top: often as yellow as a box, but large, plain and at the edge
    colour = np.array([rng.uniform(50, 130), rng.uniform(120, 200), rng.uniform(170, 240)])
    quad = _edge_rectangle(rng, picture, rng.uniform(0.15, 0.5))
    _textured(rng, picture, quad, colour, 6, (60, 3))
    cv2.polylines(picture, [quad], True, (colour * 0.6).tolist(), 2, cv2.LINE_AA)


def _desk(rng: np.random.Generator, picture: Image) -> None:
    shade = rng.uniform(30, 210)
    quad = _edge_rectangle(rng, picture, rng.uniform(0.15, 0.4))
    _textured(rng, picture, quad, np.array([shade] * 3) + rng.uniform(-8, 8, 3), 4, (9, 9))
    cv2.polylines(picture, [quad], True, (shade * 0.6,) * 3, 2, cv2.LINE_AA)
    low, high = quad.min(axis=0), quad.max(axis=0)
    for _ in range(rng.integers(2, 7)):
        centre = rng.uniform(low, high)
        _thing(rng, picture, centre, rng.uniform(0.02, 0.1) * picture.shape[0])
    for _ in range(rng.integers(0, 8)):
        points = np.cumsum(
            np.vstack([rng.uniform(low, high), rng.normal(0, 18, (6, 2))]), axis=0
        ).astype(np.int32)
        grey = int(rng.choice([15, 30, 60, 220]))
        cv2.polylines(picture, [points], False, (grey, grey, grey), 2, cv2.LINE_AA)


def _thing(
    rng: np.random.Generator, picture: Image, centre: NDArray[np.float64], size: float
) -> None:
    angle = rng.uniform(0, 180)
    colour = rng.uniform(0, 255, 3) if rng.random() < 0.5 else np.repeat(rng.uniform(10, 240), 3)
    rectangle = cv2.boxPoints((tuple(centre.tolist()), (size, size * rng.uniform(0.3, 1)), angle))
    cv2.fillConvexPoly(picture, rectangle.astype(np.int32), colour.tolist(), cv2.LINE_AA)


def _shelf(rng: np.random.Generator, picture: Image) -> None:
    colour = _grey(rng, 70, 180, 20)
    quad = _edge_rectangle(rng, picture, rng.uniform(0.12, 0.25))
    _textured(rng, picture, quad, colour, 3, (20, 20))
    low, high = quad.min(axis=0), quad.max(axis=0)
    for _ in range(rng.integers(3, 9)):
        cardboard = np.array([90, 130, 165]) * rng.uniform(0.7, 1.2)
        size = rng.uniform(0.06, 0.14) * picture.shape[0]
        corners = cv2.boxPoints(
            (tuple(rng.uniform(low, high).tolist()), (size, size * 0.7), rng.normal(0, 6))
        ).astype(np.int32)
        cv2.fillConvexPoly(picture, corners, cardboard.tolist(), cv2.LINE_AA)
        cv2.polylines(picture, [corners], True, (cardboard * 0.7).tolist(), 1, cv2.LINE_AA)


def _wall(rng: np.random.Generator, picture: Image) -> None:
    quad = _edge_rectangle(rng, picture, rng.uniform(0.05, 0.2))
    _textured(rng, picture, quad, _grey(rng, 150, 240, 10), 2, (40, 40))


def _tape(rng: np.random.Generator, picture: Image) -> None:
    # floor marking in the boxes' colours
    height, width = picture.shape[:2]
    colour = _box_like_colour(rng)
    thickness = max(2, int(height * rng.uniform(0.01, 0.03)))
    points = rng.uniform((0, 0), (width, height), (2, 2)).astype(int)
    if rng.random() < 0.7:
        points[1] = (points[0, 0], height) if rng.random() < 0.5 else (width, points[0, 1])
    cv2.line(picture, points[0].tolist(), points[1].tolist(), colour, thickness, cv2.LINE_AA)


def _papers(rng: np.random.Generator, picture: Image) -> None:
    # small flat sheets and folders, some in the boxes' colours
    height, width = picture.shape[:2]
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform((0, 0), (width, height))
        size = rng.uniform(0.03, 0.09) * height
        colour = _box_like_colour(rng) if rng.random() < 0.5 else (235, 238, 240)
        corners = cv2.boxPoints((tuple(centre.tolist()), (size, size * 0.7), rng.uniform(0, 180)))
        cv2.fillConvexPoly(picture, corners.astype(np.int32), colour, cv2.LINE_AA)


def _bin(rng: np.random.Generator, picture: Image) -> None:
    # a round bin, often blue or yellow
    height, width = picture.shape[:2]
    centre = rng.uniform((0, 0), (width, height)).astype(int).tolist()
    radius = int(rng.uniform(0.05, 0.12) * height)
    colour = _box_like_colour(rng)
    cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA)
    inner = [channel * 0.45 for channel in colour]
    cv2.circle(picture, centre, int(radius * 0.82), inner, -1, cv2.LINE_AA)


def _box_like_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    if rng.random() < 0.5:
        return (rng.uniform(110, 200), rng.uniform(40, 110), rng.uniform(15, 70))
    return (rng.uniform(10, 60), rng.uniform(160, 230), rng.uniform(190, 245))


_FURNITURE: tuple[Callable[[np.random.Generator, Image], None], ...] = (
    _door,
    _desk,
    _shelf,
    _wall,
    _tape,
    _papers,
    _bin,
)


def _light(rng: np.random.Generator, split: Split, width: int, height: int) -> Field:
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    xs, ys = xs / width - 0.5, ys / height - 0.5
    # unseen light falls from the directions, and with the tints, that training leaves out
    turn = rng.uniform(0, 0.8 * math.pi) + (0 if split == "train" else math.pi)
    strength = rng.uniform(0, 0.45)
    field = 1 + strength * (xs * math.cos(turn) + ys * math.sin(turn))
    for _ in range(rng.integers(0, 3)):
        x, y, spread = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.35)
        field += rng.uniform(0.1, 0.35) * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / spread**2)
    if rng.random() < 0.35:
        field += _window_patch(rng, width, height)
    field *= 1 - rng.uniform(0, 0.5) * (xs**2 + ys**2)  # the lens' vignette
    warmth = (
        rng.uniform(-0.07, 0.07)
        if split == "train"
        else rng.choice([-1, 1]) * rng.uniform(0.07, 0.11)
    )
    tint = np.array([1 - warmth, 1, 1 + warmth], np.float32)
    gain = rng.uniform(0.6, 1.1)
    return np.asarray(field[..., None] * tint * gain, np.float32)


def _window_patch(rng: np.random.Generator, width: int, height: int) -> Field:
    patch = np.zeros((height, width), np.float32)
    centre = tuple(rng.uniform((0, 0), (width, height)).tolist())
    size = (height * rng.uniform(0.3, 0.8), height * rng.uniform(0.15, 0.4))
    corners = cv2.boxPoints((centre, size, rng.uniform(0, 180))).astype(np.int32)
    cv2.fillConvexPoly(patch, corners, (rng.uniform(0.15, 0.4),))
    return cv2.GaussianBlur(patch, (0, 0), height * 0.015).astype(np.float32)
