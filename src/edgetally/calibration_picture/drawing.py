"""What the calibration picture shows: grid, zones, lines with their IN arrows, the region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.calibration_picture.ink import WHITE, Colour, Ink, in_ascii
from edgetally.counting.geometry import Border, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetally.capture import Image
    from edgetally.config import CameraConfig, LineConfig, ZoneConfig

_SMALLEST = 480  # pixels of the shorter side: on less, labels cover what they are there for
_STEPS = 10
_ZONES: tuple[Colour, ...] = ((255, 180, 40), (60, 150, 255), (230, 110, 230), (80, 230, 230))
_LINE: Colour = (90, 255, 90)
_ARROW = 0.16  # of the shorter side
_MARGIN = 28  # pixels between the arrow and the picture's edge: for the word IN
_SEARCHED = 128  # cells a side in which a zone's widest place is looked for


def calibration_picture(image: Image, camera: CameraConfig | None = None) -> Image:
    """Return the scene, uint8 [H, W, 3], with a grid and what the camera is configured to count.

    A small picture is enlarged, by a whole number.
    """
    factor = max(1, math.ceil(_SMALLEST / min(image.shape[:2])))
    ink = Ink(np.repeat(np.repeat(image, factor, axis=0), factor, axis=1))
    zones, lines = (camera.zones, camera.lines) if camera else ((), ())
    colours = [_ZONES[number % len(_ZONES)] for number in range(len(zones))]
    for zone, colour in zip(zones, colours, strict=True):
        ink.wash(zone.polygon, colour, 0.25)
    _draw_grid(ink)
    if camera and camera.region:
        xmin, ymin, xmax, ymax = camera.region
        corners = ((xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax))
        ink.stroke(corners, WHITE, 1, closed=True)
        ink.text("region", [((xmin + xmax) / 2, ymin), ((xmin + xmax) / 2, ymax)], WHITE)
    for zone, colour in zip(zones, colours, strict=True):
        ink.stroke(zone.polygon, colour, closed=True)
    for line in lines:
        _draw_line(ink, line)
    for line in lines:
        _name_line(ink, line, shown_name("line", lines, line))
    for zone, colour in zip(zones, colours, strict=True):
        _name_zone(ink, zone, shown_name("zone", zones, zone), colour)
    return ink.picture


def shown_name(
    kind: str, all_of_kind: Sequence[LineConfig | ZoneConfig], one: LineConfig | ZoneConfig
) -> str:
    """Return a name as the picture has it: its number, where it is in letters of another script."""
    return in_ascii(one.name) or f"{kind} {all_of_kind.index(one) + 1}"


def _draw_grid(ink: Ink) -> None:
    shares = [step / _STEPS for step in range(_STEPS + 1)]
    across = [((0.0, share), (1.0, share)) for share in shares[1:-1]]
    down = [((share, 0.0), (share, 1.0)) for share in shares[1:-1]]
    ink.hairlines([*across, *down], 0.45)
    for share in shares:
        ink.text(f"{share:g}", [(share, 0.0)], WHITE)
    for share in shares[1:]:
        ink.text(f"{share:g}", [(0.0, share)], WHITE)


def _draw_line(ink: Ink, line: LineConfig) -> None:
    x_normal, y_normal = Border(line).normal
    band: list[Vector] = [
        (x + side * line.dead_band * x_normal, y + side * line.dead_band * y_normal)
        for (x, y), side in ((line.start, 1), (line.end, 1), (line.end, -1), (line.start, -1))
    ]
    ink.wash(band, _LINE, 0.3)
    ink.stroke((line.start, line.end), _LINE)
    start, tip = _arrow(ink, line)
    x_way, y_way = tip[0] - start[0], tip[1] - start[1]
    head = [
        (tip[0] - share * x_way + across * y_way, tip[1] - share * y_way - across * x_way)
        for share, across in ((0.0, 0.0), (0.4, 0.2), (0.4, -0.2))
    ]
    size = (ink.width, ink.height)
    ink.stroke([_divided(start, size), _divided(tip, size)], _LINE, 3)
    corners = [_divided(corner, size) for corner in head]
    ink.stroke(corners, _LINE, closed=True)
    ink.fill(corners, _LINE)


def _name_line(ink: Ink, line: LineConfig, name: str) -> None:
    (x, y), (x_tip, y_tip) = _arrow(ink, line)
    length = max(math.hypot(x_tip - x, y_tip - y), 1e-9)
    x_on, y_on = (x_tip - x) / length, (y_tip - y) / length
    far, size = 14 * ink.unit, (ink.width, ink.height)
    ink.text(
        "IN",
        [
            _divided((x_tip + x_on * far, y_tip + y_on * far), size),
            _divided((x_tip - y_on * far, y_tip + x_on * far), size),
            _divided((x_tip + y_on * far, y_tip - x_on * far), size),
        ],
        _LINE,
    )
    ink.text(
        _with_classes(name, line),
        [_on_the_way(line.start, line.end, share) for share in (0.2, 0.8, 0.35, 0.65, 0.05, 0.95)],
        _LINE,
    )


def _name_zone(ink: Ink, zone: ZoneConfig, name: str, colour: Colour) -> None:
    widest = _widest_place(zone.polygon)
    around = [_on_the_way(widest, corner, share) for share in (0.3, 0.6) for corner in zone.polygon]
    ink.text(_with_classes(name, zone), [widest, *around], colour)


def _with_classes(name: str, one: LineConfig | ZoneConfig) -> str:
    classes = ", ".join(in_ascii(name) or "?" for name in one.classes)
    return f"{name} ({classes})" if classes else name


def _arrow(ink: Ink, line: LineConfig) -> tuple[Vector, Vector]:
    """Return an arrow along the IN direction, in pixels, from the line's middle if it fits."""
    x, y = line.in_direction[0] * ink.width, line.in_direction[1] * ink.height
    length = _ARROW * min(ink.width, ink.height) / math.hypot(x, y)
    way = np.array((x, y)) * length
    middle = (np.add(line.start, line.end) / 2) * (ink.width, ink.height)
    margin = _MARGIN * ink.unit
    tip = np.clip(middle + way, margin, (ink.width - margin, ink.height - margin))
    start = tip - way
    return (float(start[0]), float(start[1])), (float(tip[0]), float(tip[1]))


def _widest_place(polygon: Sequence[Vector]) -> Vector:
    """Return the point furthest inside: the middle of a concave polygon may lie outside it."""
    mask: Image = np.zeros((_SEARCHED + 2, _SEARCHED + 2), np.uint8)
    corners: NDArray[np.int32] = np.rint(np.asarray(polygon) * (_SEARCHED - 1)).astype(np.int32) + 1
    cv2.fillPoly(mask, [corners], (255,))
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return float(x - 0.5) / _SEARCHED, float(y - 0.5) / _SEARCHED


def _on_the_way(start: Vector, end: Vector, share: float) -> Vector:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _divided(pixels: Vector, size: tuple[int, int]) -> Vector:
    return pixels[0] / size[0], pixels[1] / size[1]
