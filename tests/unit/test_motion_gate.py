"""The motion gate: what it looks at, and what it lets rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgetally.config.camera import MotionGateConfig
from edgetally.service.motion_gate import MotionGate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HEIGHT, WIDTH = 108, 192
FPS = 5
NOISE = np.random.default_rng(0).standard_normal((7, HEIGHT, WIDTH, 3)).astype(np.float32)


def room(seed: int = 1) -> NDArray[np.float32]:
    """A wall of patches, from dark to white."""
    patches = np.random.default_rng(seed).uniform(20, 255, (9, 16, 3))
    return patches.repeat(12, 0).repeat(12, 1).astype(np.float32)


def shot(scene: NDArray[np.float32], index: int, noise: float = 5) -> NDArray[np.uint8]:
    noisy = scene + noise * NOISE[index % len(NOISE)]
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def looks(
    scene: Callable[[float], NDArray[np.float32]], seconds: float, max_idle: float = 1000
) -> list[float]:
    """The times of the frames that are looked at."""
    gate = MotionGate(MotionGateConfig(enabled=True, max_idle=max_idle))
    times = [index / FPS for index in range(round(seconds * FPS))]
    return [t for index, t in enumerate(times) if gate.moved(shot(scene(t), index), t)]


def test_a_still_scene_is_looked_at_for_a_second_and_then_every_max_idle_seconds() -> None:
    found = looks(lambda _: room(), 60, max_idle=10)
    assert found[:5] == [0, 0.2, 0.4, 0.6, 0.8]
    assert found[5:] == pytest.approx([10.8, 20.8, 30.8, 40.8, 50.8], abs=0.41)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 60, 60)])
@pytest.mark.parametrize("side", [12, 70])
def test_what_moves_is_looked_at_and_a_second_longer(
    colour: tuple[int, int, int], side: int
) -> None:
    def scene(time: float) -> NDArray[np.float32]:
        picture = np.full((HEIGHT, WIDTH, 3), 110, np.float32)
        left = 20 + round(12 * min(max(time - 10, 0), 5))  # moves from 10 to 15 seconds
        picture[20 : 20 + side, left : left + side] = colour
        return picture

    found = [time for time in looks(scene, 30) if time > 2]
    assert found[0] == pytest.approx(10.2)
    assert found[-1] == pytest.approx(15.8)
    assert len(found) == 29


def test_what_creeps_is_seen_before_it_has_gone_far() -> None:
    def scene(time: float) -> NDArray[np.float32]:
        picture = np.full((HEIGHT, WIDTH, 3), 110, np.float32)
        left = 20 + round(time)  # a 192nd of the picture a second
        picture[30:70, left : left + 40] = (30, 60, 180)
        return picture

    found = np.array(looks(scene, 40))
    assert found[-1] > 30
    assert np.diff(found).max() < 8


def test_a_slow_change_of_the_light_is_followed() -> None:
    assert looks(lambda time: room() * (1 + 0.4 * np.sin(time / 20)), 60)[-1] < 1


def test_a_sudden_change_of_the_light_is_looked_at_once() -> None:
    found = looks(lambda time: room() * (0.4 if time >= 20 else 1), 30)
    assert [round(time, 1) for time in found if time > 1] == [20.0, 20.2, 20.4, 20.6, 20.8]


def test_a_dark_and_noisy_picture_rests() -> None:
    gate = MotionGate(MotionGateConfig(enabled=True, max_idle=1000))
    dark = room() * 0.1
    assert sum(gate.moved(shot(dark, index, noise=25), index / FPS) for index in range(100)) == 5


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 3, 3), (1080, 1920, 3)])
def test_any_size_of_frame_will_do(shape: tuple[int, int, int]) -> None:
    gate = MotionGate(MotionGateConfig(enabled=True))
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    assert gate.moved(black, 0)
    assert not gate.moved(black, 5)
    assert gate.moved(white, 6)
