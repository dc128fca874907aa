"""`Service`: starts everything a configuration asks for, and stops it in order."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from edgetally.capture import Camera
from edgetally.counting.camera_counter import CameraCounter
from edgetally.counting.ledger import OutboxBounds, Storage
from edgetally.counting.tracker import TrackerSettings
from edgetally.detector import Detector
from edgetally.errors import EdgetallyError
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports import create_transports
from edgetally.service.camera_loop import CameraLoop
from edgetally.service.condition import last_will, outbox_health, storage_health
from edgetally.service.hearing import hear_requests
from edgetally.service.loading import load_unless
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
_END_SECONDS = 4.5  # in all, from `stop` on: a nucleus waits five for a component to stop
# Of these, what is kept for the steps that follow:
_AFTER_LOOPS = 1.5  # a loop takes two to leave an engine, and its camera one
_AFTER_ANSWERS = 1.2
_AFTER_DRAIN = 0.5  # for an engine that hangs
_MOMENT = 0.05


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
        self._stopped_at = self._watched_at = -math.inf
        self._ends_at: float | None = None
        self._woken: SimpleQueue[None] = SimpleQueue()
        self.engine = ""
        self.precision = ""
        self.classes: tuple[str, ...] = ()
        self.loops: tuple[CameraLoop, ...] = ()
        self.totals: Totals = {}
        self._told_failures: list[CameraLoop] = []

    def stop(self) -> None:
        """Ask the service to end; `run` returns once all is written and sent. Signal-safe."""
        if not self._stopping:
            self._stopped_at = time.monotonic()
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
            detector = load_unless(lambda: self._stopping, lambda: _detector(config))
            if detector is None:
                return
            # Whoever ends the service does not wait for a runtime that hangs.
            stack.callback(lambda: detector.close(self._left(0)))
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
            transports = create_transports(
                config.publish.transports,
                thing=config.publish.thing,
                will=last_will(config, detector, started),
            )
            storage = _open_storage(config, self._clock)
            stack.callback(storage.close)
            recorder = Recorder(config, detector.bundle, storage)
            publisher = Publisher(storage, transports, rate=config.publish.outbox.max_publish_rate)
            stack.callback(lambda: publisher.close(self._left(_AFTER_DRAIN)))
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
                recorder.health(
                    now,
                    state,
                    health,
                    (self.engine, self.precision),
                    max(0.0, now - started),
                    outbox_health(storage.status(), publisher.status()),
                    storage_health(storage.state),
                )
                publisher.notify()

            tell("starting")
            for loop in self.loops:
                loop.start()
            _log.info("running %s at %s", self.engine, self.precision)
            on_demand = hear_requests(
                config,
                transports,
                detector,
                turns,
                cameras,
                recorder,
                storage,
                thresholds=thresholds,
                notify=publisher.notify,
                clock=self._clock,
            )

            def tell_totals() -> None:
                recorder.inventory(self._clock())
                publisher.notify()

            def tend() -> None:
                storage.tend()
                if recorder.inventory_if_corrected(self._clock()):
                    publisher.notify()

            self._watch(
                tend,
                conditions=lambda: (
                    storage.state,
                    publisher.states(),
                    publisher.connections(),
                ),
                tell=lambda: tell("running"),
                tell_totals=tell_totals,
            )
            turns.close()
            self._end_loops()
            # A loop that was left behind finds the ledger closed, which is no failure.
            failed = [loop for loop in self.loops if loop.error is not None]
            if on_demand is not None:
                on_demand.close(self._left(_AFTER_ANSWERS))
            recorder.inventory(self._clock())
            tell("stopping")
            self.totals = storage.totals()
            waiting = 0 if publisher.close(self._left(_AFTER_DRAIN)) else storage.waiting()
            storage.close()
        if failed:
            raise _failure(failed[0])
        if storage.state.state == "memory":
            raise EdgetallyError(f"what was counted is lost: {storage.state.reason}")
        if waiting:
            raise EdgetallyError(
                f"{waiting} messages could not be delivered and wait in {config.storage.path}; "
                "mend the transports and run again"
            )

    def _watch(
        self,
        tend: Callable[[], None],
        conditions: Callable[[], object],
        tell: Callable[[], None],
        tell_totals: Callable[[], None],
    ) -> None:
        """Wait for the end; tell of a new condition at once, of everything on a heartbeat."""
        publish = self._config.publish
        next_totals = next_health = next_sample = time.monotonic()
        latest: object = None
        self._watched_at = time.monotonic()
        while not self._stopping and any(loop.is_alive() for loop in self.loops):
            with suppress(Empty):
                self._woken.get(timeout=_ATTENTION)
            now = time.monotonic()
            if now >= next_sample:
                next_sample = now + _SAMPLING
                tend()
                for loop in self.loops:
                    loop.measure()
            if now >= next_totals:
                next_totals = now + publish.inventory.heartbeat
                tell_totals()
            before, latest = latest, ([loop.condition for loop in self.loops], conditions())
            if now >= next_health or latest != before:
                next_health = now + publish.health.heartbeat
                self._log_failures()
                tell()

    def _log_failures(self) -> None:
        # the last one's error ends the run, which tells it
        if not any(loop.is_alive() for loop in self.loops):
            return
        for loop in self.loops:
            if loop.error is not None and loop not in self._told_failures:
                self._told_failures.append(loop)
                _log.error("%s; the other cameras go on", _failure(loop))

    def _end_loops(self) -> None:
        """Stop all at once, for each may have to wait; what hangs after that is left behind."""
        stops = [threading.Thread(target=loop.stop, daemon=True) for loop in self.loops]
        for stop in stops:
            stop.start()
        for thread in (*stops, *self.loops):
            thread.join(self._left(_AFTER_LOOPS))

    def _left(self, kept: float) -> float:
        """Return the seconds left for ending, but for some that are kept; at least a moment."""
        if self._ends_at is None:
            asked = max(self._stopped_at, self._watched_at)
            self._ends_at = _END_SECONDS + (asked if self._stopping else time.monotonic())
        return max(_MOMENT, self._ends_at - kept - time.monotonic())


def _failure(loop: CameraLoop) -> EdgetallyError:
    """Say which camera failed, and why."""
    if isinstance(loop.error, EdgetallyError):
        return loop.error
    failure = EdgetallyError(f"camera {loop.camera.name} failed: {loop.error}")
    failure.__cause__ = loop.error
    return failure


def _open_storage(config: Config, clock: Callable[[], float]) -> Storage:
    outbox = config.publish.outbox
    return Storage(
        config.storage.path,
        sites={camera.name: camera.site for camera in config.cameras},
        bounds=OutboxBounds(max_bytes=outbox.max_bytes, max_age=outbox.max_age),
        clock=clock,
    )


def _detector(config: Config) -> Detector:
    """Load the model; what the tracker can use is reported, weaker than what counts."""
    model = config.model
    return Detector(
        model.path,
        model.engine,
        model.precision,
        tuning=model.tuning,
        score_threshold=min(_WEAK, model.score_threshold),
        class_thresholds={
            name: min(_WEAK, score) for name, score in model.class_thresholds.items()
        },
    )


def _ignore(*_: object) -> None:
    """Stand in for an observer."""
