"""`CameraLoop`: a thread that counts what the detector finds in one camera's frames."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from edgetally.counting.events import CountEvent, ZoneEvent
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.messages import CameraHealth
from edgetally.service.counting_time import CountingTime
from edgetally.service.engine_trouble import EngineTrouble
from edgetally.service.intake import Intake
from edgetally.service.pace import Pace, Progress
from edgetally.service.patience import OVERDUE, Patience, is_overdue
from edgetally.service.recorder import published
from edgetally.service.settling import Settling
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgetally.capture import Camera, CameraState, Frame
    from edgetally.config import CameraConfig
    from edgetally.counting.camera_counter import CameraCounter
    from edgetally.counting.events import CameraUpdate
    from edgetally.detections import Detections
    from edgetally.service.intake import Look
    from edgetally.service.model_in_use import LoadedModel, ModelInUse
    from edgetally.service.recorder import Recorder
    from edgetally.service.turns import Turns

_Event = TypeVar("_Event", CountEvent, ZoneEvent)
_log = logging.getLogger(__name__)
_BEHIND = "newer"  # why a frame is dropped when the device can't keep up
_FAILED = "engine"  # why one is dropped that the engine gives no result for
_GRACE = 2.0  # seconds until a loop that is stopped leaves what the engine still owes


class CameraLoop(threading.Thread):
    """Counts the results of its camera's frames, in order, while `Intake` brings the next.

    models: give weaker detections than those that count, too, for the tracker. clock: seconds since
    the Unix epoch. `on_frame` and `on_event` are called in this thread, after everything is
    written down.
    `error` is what ended the loop, if something did.
    """

    def __init__(
        self,
        config: CameraConfig,
        camera: Camera,
        models: ModelInUse,
        turns: Turns,
        counter: CameraCounter,
        recorder: Recorder,
        *,
        clock: Callable[[], float],
        on_frame: Callable[[Frame, CameraUpdate], None],
        on_event: Callable[[CountEvent], None],
        notify: Callable[[], None],
    ) -> None:
        super().__init__(name=f"count {camera.name}", daemon=True)
        self.camera = camera
        self.processed = 0
        self.error: Exception | None = None
        self.update: CameraUpdate | None = None
        self._counter, self._recorder = counter, recorder
        self._models = models
        self._model: LoadedModel | None = None
        self._clock = clock
        self._on_frame, self._on_event, self._notify = on_frame, on_event, notify
        self._intake = Intake(config, camera, models, turns, clock=clock)
        self._config = self._next_config = config
        self._trouble = EngineTrouble(camera.name)
        self._patience = Patience()
        self._overdue_told = False
        self._time = CountingTime()
        self._settling = Settling()
        self._pace = Pace()
        self._latest: Frame | None = None

    def run(self) -> None:
        """Work until the camera ends or is stopped."""
        self.measure()
        self._intake.start()
        try:
            try:
                for look in self._intake:
                    if (found := self._found(look)) is not None:
                        self._count(look, found)
                self._trouble.source_ended(self.processed, is_live=self.camera.is_live)
            finally:  # what a camera saw before it broke still counts
                self._finish()
        except Exception as error:  # noqa: BLE001 - the service tells it
            self.error = error
        finally:
            self._intake.close()
            self.camera.stop()
            self._intake.join()
            self.measure()

    def can_become(self, config: CameraConfig) -> bool:
        """Tell whether it can go on as configured otherwise; a stream that failed begins anew."""
        failed = self.error is not None and self.camera.planned().can_be_lost
        return not failed and self.camera.can_become(config)

    def become(self, config: CameraConfig) -> None:
        """Go on with other lines, zones, masks and the like: whatever `Camera.can_become` allows.

        It holds from the next frame that is counted.
        """
        self.camera.become(config)
        self._intake.become(config)
        self._next_config = config

    def stop(self) -> None:
        """End the camera; what it gave before is still counted, if the engine gives it soon."""
        self._patience.end(_GRACE)
        self._intake.close()
        self.camera.stop()

    @property
    def state(self) -> CameraState | Literal["failed"]:
        """The camera's state; failed where the loop broke, stalled where the engine hangs."""
        if self.error is not None:
            return "failed"
        return "stalled" if self.is_overdue else self.camera.state

    @property
    def condition(self) -> tuple[str, int]:
        """The state, and how often it was lost and came back: told at once when it changes."""
        return self.state, self.camera.counters.reconnects

    def measure(self) -> None:
        """Take a sample for the rates that `health` tells."""
        counters, is_streaming = self.camera.counters, self.camera.state == "streaming"
        self._pace.note(
            Progress(
                time.monotonic(),
                self.processed,
                self._intake.still,
                self._dropped()[_BEHIND],
                counters.reconnects if is_streaming and self._has_own_pace else None,
            )
        )
        self._tell_if_overdue()

    def health(self) -> CameraHealth:
        """How the camera is doing."""
        counters = self.camera.counters
        return CameraHealth(
            state=self.state,
            captured=counters.captured,
            processed=self.processed,
            skipped_still=self._intake.still,
            dropped=self._dropped(),
            reconnects=counters.reconnects,
            frame_age=counters.frame_age,
            fps_wanted=self.camera.fps,
            fps_processed=self._pace.processed(),
            shortfall=self._pace.shortfall(self.camera.fps),
            latency=self._pace.latency(),
            problem=self._problem(),
        )

    def _dropped(self) -> dict[str, int]:
        dropped = dict(self.camera.counters.dropped)
        dropped[_BEHIND] = dropped.get(_BEHIND, 0) + self._intake.outdated
        dropped[_FAILED] = self._trouble.dropped
        return dropped

    @property
    def _has_own_pace(self) -> bool:
        # An image of a watched folder, and a file's frame, waits for its turn.
        if self._config.buffer == "newest":
            return True
        return self.camera.is_live and not self._config.watch

    @property
    def is_overdue(self) -> bool:
        """Whether the engine has owed a result for so long that it may hang."""
        return is_overdue(self._patience.since) or is_overdue(self._intake.waits_since)

    def _tell_if_overdue(self) -> None:
        was_told, self._overdue_told = self._overdue_told, self.is_overdue
        if self._overdue_told and not was_told:
            _log.warning("camera %s waits: %s", self.camera.name, self._overdue())

    def _overdue(self) -> str:
        detector = (self._model or self._models.current).detector
        return (
            f"engine {detector.engine_name} at {detector.precision} gave no result for "
            f"{OVERDUE:.0f} s and may hang; start edgetally again, and choose another model.engine "
            "or model.precision if it does not help"
        )

    def _problem(self) -> str | None:
        problem = self._trouble.problem or self.camera.problem
        if self.error is not None:
            problem = str(self.error) or type(self.error).__name__
        elif self.is_overdue:
            problem = self._overdue()
        return problem if problem is None else shortened(problem)

    def _found(self, look: Look) -> Detections | None:
        """Wait for what was found; None where the engine failed, or is left."""
        if not self._patience.has_come(look.future):
            if self.is_overdue:
                raise EdgetallyError(f"camera {self.camera.name} was left: {self._overdue()}")
            return None
        try:
            found = look.detections()
        except InputError:  # it was asked for what it can't do, and will be again
            raise
        except EdgetallyError as error:
            self._intake.counted(is_settled=False)
            self._trouble.failed(error, time.monotonic())
            return None
        self._trouble.worked()
        return found

    def _count(self, look: Look, found: Detections) -> None:
        frame = look.frame
        self._change()
        self._seen_by(look.model)
        confident = look.model.is_confident(found)
        now = self._time.move(frame.media_time, look.idle)
        update = self._counter.update(found, now, confident, rested=look.idle)
        self._intake.counted(is_settled=self._settling.look(update, confident, now))
        update = replace(
            published(update, confident),
            events=self._on_wall_clock(update.events, frame),
            zone_events=self._on_wall_clock(update.zone_events, frame),
        )
        self._models.frames.offer(
            self.camera.name, look.image, frame.media_time, is_busy=bool(confident.any())
        )
        self.processed += 1
        self.update, self._latest = update, frame
        if self._recorder.frame(frame, update):
            self._notify()
        # A file's time tells when it was filmed; its frames come when they are read.
        begin = frame.time if self.camera.is_live else look.taken
        self._pace.took(self._clock() - begin)
        for event in update.events:
            self._told(event)
        self._on_frame(frame, update)

    def _change(self) -> None:
        if self._config is not self._next_config:
            self._config = self._next_config
            self._counter.become(self._config)

    def _seen_by(self, model: LoadedModel) -> None:
        """Count from now on what this model sees."""
        if model is not self._model:
            self._model = model
            self._counter.know(model.names)
            self._recorder.use(model, self.camera.name)

    def _finish(self) -> None:
        """Settle what was under way when the source ended."""
        if self._latest is None:
            return
        events = self._on_wall_clock(self._counter.finish(), self._latest)
        if events:
            self._recorder.events(events, self._latest.time)
            self._notify()
        for event in events:
            self._told(event)

    def _on_wall_clock(self, events: Iterable[_Event], frame: Frame) -> tuple[_Event, ...]:
        """Turn the times of events from counting time into seconds since the epoch."""
        start = frame.time - frame.media_time
        return tuple(
            replace(event, time=start + event.time + self._time.idle_before(event.time))
            for event in events
        )

    def _told(self, event: CountEvent) -> None:
        _log.info(
            "%s: %s %s over line %s", event.camera, event.class_name, event.direction, event.line
        )
        self._on_event(event)
