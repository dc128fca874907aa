from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.calibration_picture import calibration_picture, shown_name
from edgetally.config import CameraConfig

LINE = {"name": "door", "from": [0.1, 0.55], "to": [0.9, 0.55], "inDirection": [0, 1]}
ZONE = {"name": "room", "polygon": [[0.12, 0.62], [0.48, 0.62], [0.48, 0.97], [0.12, 0.97]]}
SHADES = (0, 128, 255)
SIZES = ((320, 240), (1280, 720), (3840, 2160), (720, 1280))


def camera(**settings: Any) -> CameraConfig:
    return CameraConfig.model_validate({"name": "dock", "source": "test:", **settings})


def scene(size: tuple[int, int] = (640, 480), shade: int = 128) -> Any:
    return np.full((size[1], size[0], 3), shade, np.uint8)


def contrast(picture: Any, x: float, y: float, reach: float = 0.006) -> int:
    """How far apart the brightest and the darkest value around a point are."""
    height, width = picture.shape[:2]
    around = max(2, round(reach * min(height, width)))
    column, row = round(x * width), round(y * height)
    part = picture[max(0, row - around) : row + around + 1, max(0, column - around) :][
        :, : 2 * around + 1
    ].astype(int)
    return int((part.max(axis=2) - 0).max() - part.max(axis=2).min())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shade", SHADES)
def test_everything_stands_out_on_any_scene_of_any_size(size: tuple[int, int], shade: int) -> None:
    picture = calibration_picture(scene(size, shade), camera(lines=[LINE], zones=[ZONE]))
    for tenth in range(1, 10):
        if tenth != 4:  # there lies nothing but the grid in row 0.25 and column 0.75
            assert contrast(picture, tenth / 10, 0.25) > 40
        assert contrast(picture, 0.75, tenth / 10) > 40
        assert contrast(picture, tenth / 10, 0.0, 0.03) > 150
        assert contrast(picture, 0.0, tenth / 10, 0.03) > 150
    for x, y in ((0.2, 0.55), (0.7, 0.55), (0.12, 0.75), (0.33, 0.62)):
        assert contrast(picture, x, y, 0.02) > 100


def test_a_picture_keeps_its_size_but_a_small_one_is_enlarged() -> None:
    assert calibration_picture(scene((1280, 720))).shape == (720, 1280, 3)
    assert calibration_picture(scene((640, 480))).shape == (480, 640, 3)
    assert calibration_picture(scene((320, 240))).shape == (480, 640, 3)
    assert calibration_picture(scene((16, 16))).shape == (480, 480, 3)


def test_the_scene_itself_is_left_as_it_was() -> None:
    image = scene()
    calibration_picture(image, camera(lines=[LINE], zones=[ZONE], region=[0.1, 0.1, 0.9, 0.9]))
    assert (image == 128).all()


@pytest.mark.parametrize(
    ("direction", "arrow", "other"),
    [
        ([0, 1], (0.5, 0.63), (0.5, 0.37)),
        ([0, -1], (0.5, 0.37), (0.5, 0.63)),
        ([1, 2], (0.5 + 0.13 * 0.3535, 0.63), (0.5 - 0.13 * 0.3535, 0.37)),
    ],
)
def test_the_arrow_points_where_in_is(
    direction: list[float], arrow: tuple[float, float], other: tuple[float, float]
) -> None:
    line = {"name": "a", "from": [0.03, 0.5], "to": [0.97, 0.5], "inDirection": direction}
    plain = calibration_picture(scene((800, 800)))
    drawn = calibration_picture(scene((800, 800)), camera(lines=[line]))
    changed = (plain != drawn).any(axis=2)

    def is_drawn(place: tuple[float, float]) -> bool:
        x, y = round(place[0] * 800), round(place[1] * 800)
        return bool(changed[y - 8 : y + 9, x - 8 : x + 9].any())

    assert is_drawn(arrow)
    assert not is_drawn(other)


def test_a_name_in_another_script_is_drawn_as_a_number() -> None:
    zones = camera(zones=[{**ZONE, "name": name} for name in ("Tür", "入口", "Straße")]).zones
    assert [shown_name("zone", zones, zone) for zone in zones] == ["Tur", "zone 2", "Strasse"]


def test_a_region_and_crowded_names_are_drawn_too() -> None:
    crowded = camera(
        region=[0.1, 0.1, 0.9, 0.9],
        lines=[{**LINE, "name": f"a door with a long name {n}"} for n in range(4)],
        zones=[{**ZONE, "name": f"a room with a long name {n}"} for n in range(4)],
    )
    picture = calibration_picture(scene(), crowded)
    assert contrast(picture, 0.1, 0.3) > 60


_ENDS = st.tuples(st.floats(0, 1), st.floats(0, 1))


@settings(max_examples=40, deadline=None)
@given(
    _ENDS,
    _ENDS,
    st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    st.lists(_ENDS, min_size=3, max_size=7),
    st.tuples(st.integers(2, 300), st.integers(2, 300)),
)
def test_whatever_is_configured_can_be_drawn(
    start: tuple[float, float],
    end: tuple[float, float],
    direction: tuple[float, float],
    polygon: list[tuple[float, float]],
    size: tuple[int, int],
) -> None:
    line = {"name": "l", "from": start, "to": end, "inDirection": direction, "deadBand": 0.5}
    try:
        config = camera(lines=[line], zones=[{"name": "z", "polygon": polygon}])
    except ValueError:
        return  # it is not a line, or not an area
    if max(size) < 8 * min(size):
        picture = calibration_picture(scene(size), config)
        assert min(picture.shape[:2]) >= 480
