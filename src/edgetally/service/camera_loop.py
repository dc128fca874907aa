"""`CameraLoop`: a thread that counts what the detector finds in one camera's frames."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from edgetally.messaging.messages import CameraHealth
from edgetally.service.counting_time import CountingTime
from edgetally.service.intake import Intake
from edgetally.service.pace import Pace, Progress
from edgetally.service.recorder import published
from edgetally.service.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.capture import Camera, CameraState, Frame
    from edgetally.config import CameraConfig
    from edgetally.counting.camera_counter import CameraCounter
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.detector import Detector
    from edgetally.service.intake import Look
    from edgetally.service.recorder import Recorder
    from edgetally.service.turns import Turns

_log = logging.getLogger(__name__)
_BEHIND = "newer"  # why a frame is dropped when the device can't keep up


class CameraLoop(threading.Thread):
    """Counts the results of its camera's frames, in order, while `Intake` brings the next.

    thresholds: float32 [C], from which score on a class's detections count; the detector gives
    weaker ones, too, for the tracker. ahead: frames that may be under way at once. clock: seconds
    since the Unix epoch. `on_frame` and `on_event` are called in this thread, after everything is
    written down.
    `error` is what ended the loop, if something did.
    """

    def __init__(
        self,
        config: CameraConfig,
        camera: Camera,
        detector: Detector,
        turns: Turns,
        counter: CameraCounter,
        recorder: Recorder,
        *,
        thresholds: NDArray[np.float32],
        ahead: int,
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
        self._thresholds = thresholds
        self._clock = clock
        self._on_frame, self._on_event, self._notify = on_frame, on_event, notify
        self._intake = Intake(config, camera, detector, turns, ahead=ahead, clock=clock)
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
                    self._count(look)
            finally:  # what a camera saw before it broke still counts
                self._finish()
        except Exception as error:  # noqa: BLE001 - the service tells it
            self.error = error
        finally:
            self._intake.close()
            self.camera.stop()
            self._intake.join()
            self.measure()

    def stop(self) -> None:
        """End the camera; what it gave before is still counted."""
        self._intake.close()
        self.camera.stop()

    @property
    def state(self) -> CameraState | Literal["failed"]:
        """The camera's state, or failed where the loop broke."""
        return "failed" if self.error is not None else self.camera.state

    @property
    def condition(self) -> tuple[str, int]:
        """The state, and how often it was lost and came back: told at once when it changes."""
        return self.state, self.camera.counters.reconnects

    def measure(self) -> None:
        """Take a sample for the rates that `health` tells."""
        self._pace.note(Progress(time.monotonic(), self.processed, self._dropped()[_BEHIND]))

    def health(self) -> CameraHealth:
        """How the camera is doing."""
        counters = self.camera.counters
        fps_processed, shortfall = self._pace.rates()
        return CameraHealth(
            state=self.state,
            captured=counters.captured,
            processed=self.processed,
            skipped_still=self._intake.still,
            dropped=self._dropped(),
            reconnects=counters.reconnects,
            frame_age=counters.frame_age,
            fps_wanted=self.camera.fps,
            fps_processed=fps_processed,
            shortfall=shortfall,
            latency=self._pace.latency(),
        )

    def _dropped(self) -> dict[str, int]:
        dropped = dict(self.camera.counters.dropped)
        dropped[_BEHIND] = dropped.get(_BEHIND, 0) + self._intake.outdated
        return dropped

    def _count(self, look: Look) -> None:
        found, frame = look.detections(), look.frame
        confident = found.scores >= self._thresholds[found.class_ids]
        now = self._time.move(frame.media_time, look.idle)
        update = self._counter.update(found, now, confident)
        self._intake.counted(is_settled=self._settling.look(update, confident, now))
        update = replace(
            published(update, confident), events=self._on_wall_clock(update.events, frame)
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

    def _on_wall_clock(self, events: Iterable[CountEvent], frame: Frame) -> tuple[CountEvent, ...]:
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
