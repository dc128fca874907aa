"""That tuning keeps to its time, on devices of every speed."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.engines import RawPredictions, available_engines
from edgetally.errors import InputError
from edgetally.tuning import Tuning, tune

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

BUDGET = 60.0


class PacedDevice:
    """A device on a clock of its own, on which to load and to run each engine takes so long."""

    def __init__(self, loading: float, pace: float) -> None:
        self._loading, self.pace = loading, pace
        self.now = 0.0

    def create_engine(
        self, bundle: ModelBundle, engine: str, precision: str, settings: Any
    ) -> PacedEngine:
        if precision == "bf16":
            raise InputError("this CPU has no bf16 arithmetic; use precision fp32")
        self.now += self._loading
        return PacedEngine(self, engine, precision)


class PacedEngine:
    in_flight = 2

    def __init__(self, device: PacedDevice, name: str, precision: str) -> None:
        self.name, self.precision = name, precision
        self._device = device

    def infer(self, batch: NDArray[np.uint8]) -> RawPredictions:
        self._device.now += self._device.pace
        return RawPredictions(np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, 2), np.float32))

    def submit(self, batch: NDArray[np.uint8]) -> Future[RawPredictions]:
        done: Future[RawPredictions] = Future()
        done.set_result(self.infer(batch))
        return done

    def close(self) -> None:
        pass


def tuned(
    bundle: ModelBundle, device: PacedDevice, monkeypatch: pytest.MonkeyPatch, pictures: int = 60
) -> Tuning:
    monkeypatch.setattr("edgetally.tuning.bench.create_engine", device.create_engine)
    seen = [np.zeros((48, 64, 3), np.uint8)] * pictures
    return tune(bundle, pictures=seen, budget_seconds=BUDGET, clock=lambda: device.now)


@pytest.mark.parametrize("loading", [0.1, 3.0, 12.0])
@pytest.mark.parametrize("pace", [0.005, 0.1, 0.5, 1.5, 5.0])
def test_tuning_takes_about_a_minute_on_a_device_of_any_speed(
    loading: float, pace: float, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = PacedDevice(loading, pace)

    found = tuned(bundle, device, monkeypatch)

    assert device.now <= 1.2 * BUDGET
    assert found.rows
    if device.now < BUDGET / 2:
        assert {row.candidate.engine for row in found.rows} == set(available_engines())


def test_a_first_measurement_that_takes_minutes_is_the_only_one(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuned(bundle, PacedDevice(100.0, 1.0), monkeypatch)

    assert len(found.rows) == 1
    assert any("could be measured" in note and "mxnet fp32" in note for note in found.notes)


def test_what_can_not_run_is_told_with_the_result(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuned(bundle, PacedDevice(0.1, 0.01), monkeypatch)

    (note,) = [note for note in found.notes if "left out" in note]
    assert note.startswith("openvino bf16 is left out: this CPU has no bf16")
    assert note in found.to_json()
