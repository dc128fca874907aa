"""`Service`: starts everything a configuration asks for, keeps it so, and stops it in order."""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from edgetally.errors import EdgetallyError
from edgetally.service.first_model import first_model
from edgetally.service.loading import load_unless
from edgetally.service.memory import return_freed_memory
from edgetally.service.reviving import Reviving
from edgetally.service.running import Running
from edgetally.service.standing import Standing, failure, standing_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.counting.ledger import Totals
    from edgetally.greengrass import NucleusLink
    from edgetally.service.camera_loop import CameraLoop

_log = logging.getLogger(__name__)
_ATTENTION = 0.1  # seconds until a camera's new state is seen
_SAMPLING = 1.0
_END_SECONDS = 4.5  # in all, from `stop` on: a nucleus waits five for a component to stop
# Of these, what is kept for the steps that follow:
_AFTER_LOOPS = 1.5  # a loop takes two to leave an engine, and its camera one
_AFTER_ANSWERS = 1.2
_AFTER_DRAIN = 0.5  # for an engine that hangs
_PARTING = 0.3  # for the thing's shadow
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

    clock: seconds since the Unix epoch. stays: it goes on when no camera is left, until it is
    stopped; what failed for good is then tried again now and then. link: to the nucleus that
    started us, if one did. on_standing: called in the thread of `run` when the service as a whole
    works, or does not any more. on_model: called there when another model was taken, with which a
    configuration that was refused may be right.
    """

    def __init__(
        self,
        config: Config,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
        stays: bool = False,
        link: NucleusLink | None = None,
        on_standing: Callable[[Standing], None] | None = None,
        on_model: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._observer = observer
        self._clock = clock
        self._stays, self._link = stays, link
        self._on_standing, self._on_model = on_standing, on_model
        self._standing: Standing | None = None
        self._stopping = False
        self._stopped_at = self._watched_at = -math.inf
        self._ends_at: float | None = None
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._asked: SimpleQueue[tuple[Config, Future[None]]] = SimpleQueue()
        self._refusal: str | None = None
        self._refusals = 0  # that others told: each is newer than what is being applied
        self._running: Running | None = None
        self.totals: Totals = {}
        self._told_failures: list[CameraLoop] = []
        self._reviving = Reviving()

    @property
    def loops(self) -> tuple[CameraLoop, ...]:
        """The cameras, in the order of the configuration."""
        return () if self._running is None else self._running.loops

    @property
    def engine(self) -> str:
        """The runtime that executes the model; "" before it is loaded."""
        return "" if self._running is None else self._running.models.current.detector.engine_name

    @property
    def precision(self) -> str:
        """The arithmetic that it uses."""
        return "" if self._running is None else self._running.models.current.detector.precision

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's classes."""
        return () if self._running is None else self._running.models.current.classes

    def stop(self) -> None:
        """Ask the service to end; `run` returns once all is written and sent. Signal-safe."""
        if not self._stopping:
            self._stopped_at = time.monotonic()
        self._stopping = True
        self._woken.put(None)  # unlike an event, a queue may be used in a signal handler

    def reconfigure(self, config: Config) -> Future[None]:
        """Ask for another configuration, from any thread; the future ends when it is in force.

        It is taken whole or not at all: the future ends with EdgetallyError where it can't be,
        which is logged and in health until the next one, and everything goes on as before. Where
        another one came soon after, or the end, it is cancelled.
        """
        taken: Future[None] = Future()
        self._asked.put((config, taken))
        self._woken.put(None)
        return taken

    def refuse(self, reason: str | None) -> None:
        """Tell in health, from any thread, why there is a configuration that is not in force."""
        self._refusals += 1
        self._note_refusal(reason)
        if self._running is not None:
            self._running.exchange.expect(None)
        self._woken.put(None)

    def _note_refusal(self, reason: str | None) -> None:
        told = None if reason is None else f"{reason}; the last good one is in force"
        if told is not None and told != self._refusal:
            _log.error("%s", told)
        self._refusal = told

    def run(self) -> None:
        """Run to the end.

        Raises InputError where the model, a camera, the storage or a transport does not open,
        before anything is counted; EdgetallyError where a camera or the detector failed.
        """
        config, started = self._config, self._clock()
        return_freed_memory()
        model = load_unless(lambda: self._stopping, lambda: first_model(config))
        if model is None:
            return
        self._running = running = Running(
            config,
            model,
            clock=self._clock,
            started=started,
            on_frame=self._observer.frame if self._observer else _ignore,
            on_event=self._observer.event if self._observer else _ignore,
            is_stopping=lambda: self._stopping,
            left=lambda: self._left(0),
            link=self._link,
        )
        with running:
            if self._stopping:
                return
            if self._observer is not None:
                self._observer.started(self)
            running.tell("starting")
            running.start()
            _log.info("running %s at %s", self.engine, self.precision)
            self._watch(running)
            if (too_late := self._leave_asked()) is not None:
                too_late[1].cancel()
            running.end(lambda: self._left(_AFTER_LOOPS))
            # A loop that was left behind finds the ledger closed, which is no failure.
            failed = [loop for loop in self.loops if loop.error is not None]
            running.hearing.close(self._left(_AFTER_ANSWERS))
            running.tell_totals()
            running.tell("stopping")
            storage = running.storage
            self.totals = storage.totals()
            delivered = running.outlet.close(self._left(_AFTER_DRAIN))
            running.reporting.close(min(_PARTING, self._left(0)))
            waiting = 0 if delivered else storage.waiting()
            storage.close()
        if failed:
            raise failure(failed[0])
        if storage.state.state == "memory":
            raise EdgetallyError(f"what was counted is lost: {storage.state.reason}")
        if waiting:
            path = running.config.storage.path
            left = f"{waiting} messages could not be delivered and wait in {path}"
            if not self._stopping:
                raise EdgetallyError(f"{left}; mend the transports and run again")
            _log.warning("%s for the next run", left)  # who asked for the end knows it is one

    def _watch(self, running: Running) -> None:
        """Wait for the end; tell of a new condition at once, of everything on a heartbeat."""
        next_totals = next_health = next_sample = time.monotonic()
        latest: object = None
        self._watched_at = time.monotonic()
        while not self._stopping and (self._stays or any(loop.is_alive() for loop in self.loops)):
            with suppress(Empty):
                self._woken.get(timeout=_ATTENTION)
            if self._take_configuration(running):
                next_totals = next_health = time.monotonic()
            now = time.monotonic()
            publish = running.config.publish
            if now >= next_sample:
                next_sample = now + _SAMPLING
                self._tend(running)
                self._revive(running, now)
            if now >= next_totals:
                next_totals = now + publish.inventory.heartbeat
                running.tell_totals()
            self._judge(running)
            before, latest = latest, (running.condition, self._standing, self._refusal)
            if now >= next_health or latest != before:
                next_health = now + publish.health.heartbeat
                self._log_failures()
                self._tell(running)

    def _tend(self, running: Running) -> None:
        model, config = running.models.current.reference, running.config
        refusals = self._refusals
        running.tend()
        if running.config is not config:
            if refusals == self._refusals:
                self._note_refusal(None)
            _log.info("the configuration has changed with the model")
        if running.models.current.reference != model and self._on_model is not None:
            self._on_model()

    def _judge(self, running: Running) -> None:
        before, self._standing = self._standing, standing_of(running.loops, self._standing)
        if self._standing != before and self._on_standing is not None:
            self._on_standing(self._standing)

    def _tell(self, running: Running) -> None:
        waits_for = None if self._standing is None else self._standing.waits_for
        trouble = "; ".join(filter(None, (waits_for, self._refusal))) or None
        running.tell("running" if running.loops else "starting", trouble)

    def _take_configuration(self, running: Running) -> bool:
        """Take the newest configuration that was asked for; whether it is in force now."""
        newest = self._leave_asked()
        if newest is None:
            return False
        config, taken = newest
        if not taken.set_running_or_notify_cancel():
            return False
        refusals, before = self._refusals, running.config
        try:
            running.apply(config)
        except EdgetallyError as error:
            if refusals == self._refusals:
                self._note_refusal(f"configuration: {error}")
                running.exchange.expect(config)
            taken.set_exception(error)
            return False
        if refusals == self._refusals:
            self._note_refusal(None)
        if config != before:
            _log.info("the configuration has changed")
        taken.set_result(None)
        return True

    def _leave_asked(self) -> tuple[Config, Future[None]] | None:
        """Return the newest configuration that was asked for; those before it are left out."""
        newest: tuple[Config, Future[None]] | None = None
        with suppress(Empty):
            while True:
                asked = self._asked.get_nowait()
                if newest is not None:
                    newest[1].cancel()
                newest = asked
        return newest

    def _revive(self, running: Running, now: float) -> None:
        """Try again what failed for good, where nobody starts the service again."""
        if not self._stays or not self._reviving.is_due(running.loops, now):
            return
        try:
            running.apply(running.config, anew=True)
        except EdgetallyError as error:
            _log.error("what failed can't be started again: %s", error)

    def _log_failures(self) -> None:
        # the last one's error ends the run, which tells it; or else it is the standing's reason
        if not any(loop.is_alive() for loop in self.loops):
            return
        for loop in self.loops:
            if loop.error is not None and loop not in self._told_failures:
                self._told_failures.append(loop)
                _log.error("%s; the other cameras go on", failure(loop))
        self._told_failures = [loop for loop in self._told_failures if loop in self.loops]

    def _left(self, kept: float) -> float:
        """Return the seconds left for ending, but for some that are kept; at least a moment."""
        if self._ends_at is None:
            asked = max(self._stopped_at, self._watched_at)
            self._ends_at = _END_SECONDS + (asked if self._stopping else time.monotonic())
        return max(_MOMENT, self._ends_at - kept - time.monotonic())


def _ignore(*_: object) -> None:
    """Stand in for an observer."""
