"""A model beside the one in use: what it must find, how fast it must be, and on which pictures."""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.bundle import ModelBundle, Setting
from edgetally.config import parse_config
from edgetally.service.canary import Canary, PutOffError
from edgetally.service.model_in_use import LoadedModel, load_model
from edgetally.service.reference_frames import ReferenceFrames
from edgetally.service.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgetally.capture import Image
    from edgetally.config.model import ModelConfig


def configured(bundle: ModelBundle, **canary: Any) -> ModelConfig:
    """Configure models; the untrained network finds its objects with scores of about a third."""
    content = {
        "model": {"path": str(bundle.folder), "scoreThreshold": 0.2, "canary": canary},
        "cameras": [{"name": "dock", "source": "0"}],
    }
    return parse_config(content, "test").model


def noise(pictures: int, seed: int = 1) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(pictures)]


@pytest.fixture
def load(bundle: ModelBundle, tmp_path: Path) -> Iterator[Callable[..., LoadedModel]]:
    loaded: list[LoadedModel] = []

    def load(version: str, **changes: Any) -> LoadedModel:
        folder = tmp_path / version
        shutil.copytree(bundle.folder, folder)
        ModelBundle.load(folder).model_copy(update={"version": version, **changes}).write(folder)
        known = loaded[-1].names if loaded else ()
        loaded.append(load_model(configured(bundle), folder, known))
        return loaded[-1]

    yield load
    for model in loaded:
        model.detector.close()


def ticking(*seconds: float) -> Callable[[], float]:
    """A watch by which the looks take so many seconds each, over and over."""
    now, ticks = 0.0, count()

    def read() -> float:
        nonlocal now
        tick = next(ticks)
        if tick % 2:
            now += seconds[tick // 2 % len(seconds)]
        return now

    return read


def refusal(
    bundle: ModelBundle,
    old: LoadedModel,
    new: LoadedModel,
    pictures: dict[str, list[Image]],
    *,
    stopwatch: Callable[[], float] | None = None,
    **canary: Any,
) -> str | None:
    turns = Turns(2)
    tried = Canary(
        configured(bundle, **canary).canary, lambda: turns, stopwatch=stopwatch or ticking(1.0)
    )
    return tried.refusal(old, new, pictures)


def settings(bundle: ModelBundle, **values: float) -> Any:
    update: dict[str, Any] = {
        name: Setting(value=value, source="default") for name, value in values.items()
    }
    return bundle.nms.model_copy(update=update)


def test_the_same_network_passes(bundle: ModelBundle, load: Callable[..., LoadedModel]) -> None:
    assert refusal(bundle, load("1"), load("2"), {"dock": noise(3)}) is None


def test_one_that_finds_nothing_is_refused(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    blind = load("2", nms=settings(bundle, score_floor=1.0))
    reason = refusal(bundle, load("1"), blind, {"dock": noise(3)})
    assert reason is not None
    assert "it finds 0 of" in reason
    assert "at camera dock" in reason


def test_classes_that_only_one_of_them_knows_are_not_compared(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    new = load("2", classes=("crate", "tray"), nms=settings(bundle, score_floor=1.0))
    assert refusal(bundle, load("1"), new, {"dock": noise(3)}) is None


def test_one_that_floods_is_refused_and_one_that_finds_more_is_not(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    few, many = load("1", nms=settings(bundle, topk=1)), load("2")
    reason = refusal(bundle, few, many, {"dock": noise(3)}, maxMore=1.5)
    assert reason is not None
    assert "model.canary.maxMore allows 1.5 times" in reason
    assert refusal(bundle, few, many, {"dock": noise(3)}, maxMore=1000) is None


@pytest.mark.parametrize(
    ("seconds", "passes"), [((1.0, 1.0), True), ((1.09, 1.0), True), ((1.2, 1.0), False)]
)
def test_one_that_takes_longer_is_refused(
    bundle: ModelBundle,
    load: Callable[..., LoadedModel],
    seconds: tuple[float, float],
    *,
    passes: bool,
) -> None:
    """Who looks first changes from round to round: new, old, old, new."""
    new, old = seconds
    watch = ticking(new, old, old, new)
    first = load("1")
    reason = refusal(bundle, first, load("2"), {"dock": noise(3)}, stopwatch=watch)
    assert (reason is None) == passes
    if reason is not None:
        each = 1000 / first.detector.in_flight  # pictures that are looked at together
        assert f"it takes {1.2 * each:.1f} ms a picture, " in reason
        assert f"takes {each:.1f}; model.canary.maxSlowdown allows 1.1" in reason


def test_what_disturbs_a_model_now_and_then_does_not_count(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    """Nor what slows both down for a while."""
    watch = ticking(9.0, 1.0, 1.0, 1.0, 5.0, 5.0)
    assert refusal(bundle, load("1"), load("2"), {"dock": noise(3)}, stopwatch=watch) is None


def test_one_that_is_slow_by_chance_is_measured_once_more(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    """As slow in 11 of the first 20 rounds, and in none of the next 20."""
    slow, even = [(2.0, 1.0), (1.0, 2.0)], [(1.0, 1.0), (1.0, 1.0)]
    rounds = [slow[n % 2] for n in range(11)] + [even[n % 2] for n in range(29)]
    watch = ticking(*(seconds for each in rounds for seconds in each))
    assert refusal(bundle, load("1"), load("2"), {"dock": noise(3)}, stopwatch=watch) is None


def test_without_pictures_it_only_has_to_work(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    blind = load("2", nms=settings(bundle, score_floor=1.0))
    assert refusal(bundle, load("1"), blind, {}) is None
    blind.detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        refusal(bundle, load("3"), blind, {})


def test_where_the_one_in_use_is_broken_there_is_nothing_to_compare_with(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    old, new = load("1"), load("2")
    old.detector.close()
    assert refusal(bundle, old, new, {"dock": noise(1)}) is None


def test_it_is_put_off_where_the_cameras_stop(
    bundle: ModelBundle, load: Callable[..., LoadedModel]
) -> None:
    turns = Turns(2)
    turns.close()
    canary = Canary(configured(bundle).canary, lambda: turns)
    with pytest.raises(PutOffError):
        canary.refusal(load("1"), load("2"), {"dock": noise(1)})


def test_all_turns_are_given_back(bundle: ModelBundle, load: Callable[..., LoadedModel]) -> None:
    turns = Turns(3)
    canary = Canary(configured(bundle, maxSlowdown=100).canary, lambda: turns)
    assert canary.refusal(load("1"), load("2"), {"dock": noise(4)}) is None
    assert [turns.take(name) for name in "abc"] == [True] * 3
    assert turns.waiting == 0


def test_frames_are_kept_a_second_apart_and_busy_ones_first() -> None:
    frames = ReferenceFrames(8)
    assert frames.is_empty
    for number in range(100):
        picture = np.full((20, 40, 3), number, np.uint8)
        frames.offer("dock", picture, number / 10, is_busy=number >= 50)
    kept = [int(picture.mean().round()) for picture in frames.pictures()["dock"]]
    assert kept == [50, 60, 70, 80, 90, 0, 10]
    assert not frames.is_complete(["dock"])
    for number in range(100, 250):
        picture = np.full((20, 40, 3), number, np.uint8)
        frames.offer("dock", picture, number / 10, is_busy=True)
    kept = [int(picture.mean().round()) for picture in frames.pictures()["dock"]]
    assert kept == [60, 70, 80, 90, 100, 200, 0, 10]  # ten seconds apart, once there are enough
    assert frames.is_complete(["dock"])
    assert not frames.is_complete(["dock", "yard"])


def test_large_frames_are_kept_small() -> None:
    frames = ReferenceFrames(4)
    frames.offer("dock", np.zeros((2160, 3840, 3), np.uint8), 0.0, is_busy=True)
    assert frames.pictures()["dock"][0].shape == (576, 1024, 3)


def test_frames_of_cameras_that_are_gone_are_forgotten() -> None:
    frames = ReferenceFrames(4)
    for name in ("dock", "yard"):
        frames.offer(name, np.zeros((9, 9, 3), np.uint8), 0.0, is_busy=True)
    frames.keep(4, ["yard", "hall"])
    assert frames.pictures().keys() == {"yard"}
    frames.keep(0, ["yard"])
    frames.offer("yard", np.zeros((9, 9, 3), np.uint8), 5.0, is_busy=True)
    assert frames.pictures() == {"yard": []}
