"""`Canary`: tries a model beside the one in use, on what the cameras showed lately."""

from __future__ import annotations

import logging
import time
from concurrent.futures import TimeoutError as LateError
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from edgetally.detector.agreement import agreement
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgetally.capture import Image
    from edgetally.config.model import CanaryConfig
    from edgetally.detections import Detections
    from edgetally.service.model_in_use import LoadedModel
    from edgetally.service.turns import Turns

_WHO = "/models"  # no camera's name holds a /
_PATIENCE = 30.0  # seconds for what a turn gives
_ROUNDS = 20  # at least, of both: on a busy device a model is 15 % slower than itself over five
_SURE = 0.1  # above the threshold: an object at its brink is none to agree on
_ENOUGH = 5  # objects, from which on a camera is judged by itself
_log = logging.getLogger(__name__)


class PutOffError(EdgetallyError):
    """Something else came between: it may be tried again."""


@dataclass(eq=False)
class _Looks:
    """What each model found in picture after picture, and the seconds a picture of each round."""

    before: list[Detections] = field(default_factory=list)
    after: list[Detections] = field(default_factory=list)
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def slowdown(self) -> float:
        """How many times as long the new one takes.

        Of each round by itself, for what else runs on the device changes within seconds, and the
        median, for now and then it disturbs one alone.
        """
        return median(after / before for before, after in self.rounds)

    @property
    def seconds(self) -> tuple[float, float]:
        """What a picture takes each of them, as a rule."""
        return median(before for before, _ in self.rounds), median(a for _, a in self.rounds)


class Canary:
    """Compares two loaded models that share a service's class ids.

    turns: gives the turns at the engine, of which it takes all at once for each look, so that
    neither model is measured while the other works. stopwatch: seconds that never go back.
    """

    def __init__(
        self,
        config: CanaryConfig,
        turns: Callable[[], Turns],
        *,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config, self._turns, self._stopwatch = config, turns, stopwatch

    def check(self, new: LoadedModel) -> None:
        """Let a model look at a grey picture. EdgetallyError where it can't."""
        grey = np.full((new.detector.bundle.input_size,) * 2 + (3,), 128, np.uint8)
        _result(new, grey)

    def refusal(
        self, old: LoadedModel, new: LoadedModel, pictures: Mapping[str, Sequence[Image]]
    ) -> str | None:
        """Say why `new` should not take the place of `old`; None where it may.

        pictures: by camera, uint8 BGR [H, W, 3]. EdgetallyError where `new` can't look at them, or
        there is no time left to.
        """
        self.check(new)
        flat = [picture for some in pictures.values() for picture in some]
        if not flat:
            return None
        try:
            self.check(old)
        except Exception as error:  # noqa: BLE001 - the new one may be the cure
            _log.warning("%s can't be compared with: %s", old.title, error)
            return None
        looks = _Looks()
        source = cycle(flat)
        self._look_around(old, new, source, looks, pictures=len(flat))
        places = np.cumsum([0, *map(len, pictures.values())]).tolist()
        by_camera = {
            name: (looks.before[start:stop], looks.after[start:stop])
            for name, (start, stop) in zip(pictures, pairwise(places), strict=True)
        }
        reason = self._disagreement(old, new, by_camera) or self._flood(old, new, looks, len(flat))
        if reason is not None:
            return reason
        if looks.slowdown > self._config.max_slowdown:  # which may have been chance
            self._look_around(old, new, source, looks, pictures=0)
        return self._slowness(old, looks)

    def _look_around(
        self,
        old: LoadedModel,
        new: LoadedModel,
        source: Iterator[Image],
        looks: _Looks,
        *,
        pictures: int,
    ) -> None:
        """Let both look at so many pictures and for so many rounds at least, by turns."""
        at_once = max(old.detector.in_flight, new.detector.in_flight)
        for number in range(max(_ROUNDS, -(-pictures // at_once))):
            group = list(islice(source, at_once))
            with self._alone():
                if number % 2:
                    before, old_seconds = self._look(old, group)
                    after, new_seconds = self._look(new, group)
                else:
                    after, new_seconds = self._look(new, group)
                    before, old_seconds = self._look(old, group)
            looks.before += before
            looks.after += after
            looks.rounds.append((old_seconds, new_seconds))

    def _look(
        self, model: LoadedModel, pictures: Sequence[Image]
    ) -> tuple[list[Detections], float]:
        start = self._stopwatch()
        futures = [model.submit(picture) for picture in pictures]
        found = [model.renamed(_in_time(model, future.result)) for future in futures]
        return found, (self._stopwatch() - start) / len(pictures)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        turns, taken = self._turns(), 0
        try:
            while taken < turns.places:
                if not turns.take(_WHO):
                    raise PutOffError("the cameras are stopping")
                taken += 1
            yield
        finally:
            for _ in range(taken):
                turns.leave()

    def _disagreement(
        self,
        old: LoadedModel,
        new: LoadedModel,
        by_camera: Mapping[str, tuple[Sequence[Detections], Sequence[Detections]]],
    ) -> str | None:
        """Say where `new` misses what `old` is sure of, among the classes that both know."""
        asked = matched = 0
        for camera, (before, after) in by_camera.items():
            result = agreement(
                "",
                "",
                [_sure(old, new, found) for found in before],
                [found.select(new.is_confident(found)) for found in after],
                len(new.names),
                confident=0.0,
            )
            asked += result.reference_detections
            matched += result.matched
            if result.reference_detections >= _ENOUGH and not self._is_enough(
                result.matched, result.reference_detections
            ):
                return self._too_few(
                    old, result.matched, result.reference_detections, f" at camera {camera}"
                )
        return None if self._is_enough(matched, asked) else self._too_few(old, matched, asked, "")

    def _is_enough(self, matched: int, asked: int) -> bool:
        return matched >= self._config.min_agreement * asked

    def _too_few(self, old: LoadedModel, matched: int, asked: int, where: str) -> str:
        return (
            f"it finds {matched} of {asked} objects again that {old.title} is sure of{where}; "
            f"model.canary.minAgreement asks for {self._config.min_agreement:.0%}"
        )

    def _flood(
        self, old: LoadedModel, new: LoadedModel, looks: _Looks, pictures: int
    ) -> str | None:
        """Say where `new` finds so much more that it can't all be there."""
        known = sum(_confident(old, new, found) for found in looks.before[:pictures])
        found = sum(_confident(new, old, found) for found in looks.after[:pictures])
        if found <= self._config.max_more * max(known, pictures):
            return None
        return (
            f"it finds {found} objects in {pictures} pictures in which {old.title} finds {known}; "
            f"model.canary.maxMore allows {self._config.max_more:g} times as many"
        )

    def _slowness(self, old: LoadedModel, looks: _Looks) -> str | None:
        if looks.slowdown <= self._config.max_slowdown:
            return None
        before, after = looks.seconds
        return (
            f"it takes {after * 1000:.1f} ms a picture, {old.title} takes {before * 1000:.1f}; "
            f"model.canary.maxSlowdown allows {self._config.max_slowdown:g} times as long"
        )


def _common(found: Detections, other: LoadedModel) -> Detections:
    """Leave out classes that the other model does not know."""
    return found.select(np.isin(found.class_ids, other.class_ids))


def _sure(old: LoadedModel, new: LoadedModel, found: Detections) -> Detections:
    found = _common(found, new)
    limits = np.minimum(old.thresholds[found.class_ids] + np.float32(_SURE), np.float32(1))
    return found.select(found.scores >= limits)


def _confident(model: LoadedModel, other: LoadedModel, found: Detections) -> int:
    found = _common(found, other)
    return int(model.is_confident(found).sum())


def _result(model: LoadedModel, picture: Image) -> Detections:
    return _in_time(model, model.submit(picture).result)


def _in_time(model: LoadedModel, result: Callable[[float], Detections]) -> Detections:
    try:
        return result(_PATIENCE)
    except LateError:
        raise EdgetallyError(f"{model.title} gave no result for {_PATIENCE:.0f} s") from None
