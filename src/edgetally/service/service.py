"""`Service`: starts everything a configuration asks for, and stops it in order."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from edgetally.capture import Camera
from edgetally.counting.camera_counter import CameraCounter
from edgetally.counting.ledger import Ledger
from edgetally.counting.tracker import TrackerSettings
from edgetally.detector import Detector
from edgetally.errors import EdgetallyError
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports import create_transports
from edgetally.service.camera_loop import CameraLoop
from edgetally.service.memory import return_freed_memory
from edgetally.service.recorder import Recorder
from edgetally.service.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.counting.ledger import Totals

_log = logging.getLogger(__name__)
_WEAK = TrackerSettings().low_score  # what the tracker can still use to keep a track
_COUNTED_LATER = 2  # frames of a camera that may be done and not yet counted
_ATTENTION = 0.1  # seconds until a camera's new state is seen
_SAMPLING = 1.0
_DRAIN_SECONDS = 4.0  # a nucleus waits five for a component to stop


class Observer(Protocol):
    """Someone who watches a running service; called from the cameras' threads."""

    def started(self, service: Service) -> None:
        """Everything is open; frames follow."""

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        """A frame was counted and written down."""

    def event(self, event: CountEvent) -> None:
        """A crossing was counted and written down."""


class Service:
    """Runs a configuration until its cameras end, or `stop` is called from any thread.

    clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        config: Config,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._observer = observer
        self._clock = clock
        self._stopping = False
        self._woken: SimpleQueue[None] = SimpleQueue()
        self.engine = ""
        self.precision = ""
        self.classes: tuple[str, ...] = ()
        self.loops: tuple[CameraLoop, ...] = ()
        self.totals: Totals = {}
        self._told_failures: list[CameraLoop] = []

    def stop(self) -> None:
        """Ask the service to end; `run` returns once all is written and sent. Signal-safe."""
        self._stopping = True
        self._woken.put(None)  # unlike an event, a queue may be used in a signal handler

    def run(self) -> None:
        """Run to the end.

        Raises InputError where the model, a camera, the storage or a transport does not open,
        before anything is counted; EdgetallyError where a camera or the detector failed.
        """
        config, started = self._config, self._clock()
        return_freed_memory()
        with ExitStack() as stack:
            detector = stack.enter_context(
                Detector(
                    config.model.path,
                    config.model.engine,
                    config.model.precision,
                    tuning=config.model.tuning,
                    score_threshold=min(_WEAK, config.model.score_threshold),
                    class_thresholds={
                        name: min(_WEAK, score)
                        for name, score in config.model.class_thresholds.items()
                    },
                )
            )
            thresholds = np.array(
                [
                    config.model.class_thresholds.get(name, config.model.score_threshold)
                    for name in detector.classes
                ],
                np.float32,
            )
            self.engine, self.precision = detector.engine_name, detector.precision
            self.classes = detector.classes
            counters = [CameraCounter(camera, detector.classes) for camera in config.cameras]
            cameras = []
            for camera in config.cameras:
                if self._stopping:
                    return
                cameras.append(stack.enter_context(Camera(camera, clock=self._clock)))
            transports = create_transports(config.publish.transports)
            ledger = Ledger(config.storage.path)
            stack.callback(ledger.close)
            recorder = Recorder(config, detector.bundle, ledger)
            publisher = Publisher(ledger, transports)
            stack.callback(publisher.close, _DRAIN_SECONDS)
            turns = Turns(detector.in_flight)
            self.loops = tuple(
                CameraLoop(
                    camera_config,
                    camera,
                    detector,
                    turns,
                    counter,
                    recorder,
                    thresholds=thresholds,
                    ahead=detector.in_flight + _COUNTED_LATER,
                    clock=self._clock,
                    on_frame=self._observer.frame if self._observer else _ignore,
                    on_event=self._observer.event if self._observer else _ignore,
                    notify=publisher.notify,
                )
                for camera_config, camera, counter in zip(
                    config.cameras, cameras, counters, strict=True
                )
            )
            if self._observer is not None:
                self._observer.started(self)

            def tell(state: Literal["starting", "running", "stopping"]) -> None:
                now = self._clock()
                health = {loop.camera.name: loop.health() for loop in self.loops}
                engine = (self.engine, self.precision)
                recorder.health(now, state, health, engine, max(0.0, now - started))
                publisher.notify()

            tell("starting")
            for loop in self.loops:
                loop.start()
            _log.info("running %s at %s", self.engine, self.precision)

            self._watch(lambda: tell("running"), lambda: recorder.inventory(self._clock()))
            turns.close()
            self._end_loops()
            recorder.inventory(self._clock())
            tell("stopping")
            self.totals = ledger.totals()
            waiting = 0 if publisher.close(_DRAIN_SECONDS) else ledger.waiting()
        failed = [loop for loop in self.loops if loop.error is not None]
        if failed:
            error = failed[0].error
            if isinstance(error, EdgetallyError):
                raise error
            raise EdgetallyError(f"camera {failed[0].camera.name} failed: {error}") from error
        if waiting:
            raise EdgetallyError(
                f"{waiting} messages could not be delivered and wait in {config.storage.path}; "
                "mend the transports and run again"
            )

    def _watch(self, tell: Callable[[], None], tell_totals: Callable[[], None]) -> None:
        """Wait for the end; tell of a camera's new state at once, of all on a heartbeat."""
        next_beat = next_sample = time.monotonic()
        states: list[tuple[str, int]] = []
        while not self._stopping and any(loop.is_alive() for loop in self.loops):
            with suppress(Empty):
                self._woken.get(timeout=_ATTENTION)
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + _SAMPLING
                for loop in self.loops:
                    loop.measure()
            before, states = states, [loop.condition for loop in self.loops]
            if now >= next_beat:
                next_beat = now + self._config.publish.inventory.heartbeat
                tell_totals()
                tell()
            elif states != before:
                self._log_failures()
                tell()

    def _log_failures(self) -> None:
        # the last one's error ends the run, which tells it
        if not any(loop.is_alive() for loop in self.loops):
            return
        for loop in self.loops:
            if loop.error is not None and loop not in self._told_failures:
                self._told_failures.append(loop)
                _log.error("%s; the other cameras go on", loop.error)

    def _end_loops(self) -> None:
        for loop in self.loops:
            loop.stop()
        for loop in self.loops:
            loop.join()


def _ignore(*_: object) -> None:
    """Stand in for an observer."""
