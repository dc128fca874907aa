"""`CameraLoop`: a thread that takes one camera's frames through detector, counter, recorder."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Literal

from edgetally.messaging.messages import CameraHealth
from edgetally.service.recorder import on_wall_clock, published, shifted

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.capture import Camera, Frame
    from edgetally.counting.camera_counter import CameraCounter
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.detections import Detections
    from edgetally.detector import Detector
    from edgetally.service.recorder import Recorder

_log = logging.getLogger(__name__)
_IN_FLIGHT = 3
_IDLE_SECONDS = 0.5


class CameraLoop(threading.Thread):
    """Keeps a few frames of its camera in flight; their results are counted in order.

    thresholds: float32 [C], from which score on a class's detections count; the detector gives
    weaker ones, too, for the tracker. `on_frame` and `on_event` are called in this thread, after
    everything is written down.
    `error` is what ended the loop, if something did.
    """

    def __init__(
        self,
        camera: Camera,
        detector: Detector,
        counter: CameraCounter,
        recorder: Recorder,
        *,
        thresholds: NDArray[np.float32],
        on_frame: Callable[[Frame, CameraUpdate], None],
        on_event: Callable[[CountEvent], None],
        notify: Callable[[], None],
    ) -> None:
        super().__init__(name=f"count {camera.name}", daemon=True)
        self.camera = camera
        self.processed = 0
        self.error: Exception | None = None
        self.update: CameraUpdate | None = None
        self._detector, self._counter, self._recorder = detector, counter, recorder
        self._thresholds = thresholds
        self._time = 0.0
        self._on_frame, self._on_event, self._notify = on_frame, on_event, notify
        self._pending: deque[tuple[Frame, Future[Detections]]] = deque()
        self._latest: Frame | None = None

    def run(self) -> None:
        """Work until the camera ends or is stopped."""
        try:
            try:
                self._work()
            finally:  # what a camera saw before it broke still counts
                while self._pending:
                    self._count(*self._pending.popleft())
                self._finish()
        except Exception as error:  # noqa: BLE001 - the service tells it
            self.error = error
        finally:
            self.camera.stop()

    def _work(self) -> None:
        while True:
            frame = self.camera.take(0 if self._pending else _IDLE_SECONDS)
            if frame is not None:
                self._pending.append((frame, self._detector.submit(frame.image)))
                if len(self._pending) < _IN_FLIGHT:
                    continue
            if self._pending:
                self._count(*self._pending.popleft())
            elif frame is None and self.camera.ended:
                return

    def health(self) -> CameraHealth:
        """How the camera is doing."""
        state: Literal["starting", "running", "ended", "failed"] = "running"
        if self.error is not None:
            state = "failed"
        elif self.ident is not None and not self.is_alive():
            state = "ended"
        elif not self.processed:
            state = "starting"
        return CameraHealth(
            captured=self.camera.captured,
            processed=self.processed,
            dropped=self.camera.dropped,
            state=state,
        )

    def _count(self, frame: Frame, future: Future[Detections]) -> None:
        found = future.result()
        confident = found.scores >= self._thresholds[found.class_ids]
        # a live camera's time follows the wall clock, which may be set back
        self._time = max(self._time, frame.media_time)
        update = self._counter.update(found, self._time, confident)
        update = on_wall_clock(published(update, confident), frame)
        self.processed += 1
        self.update, self._latest = update, frame
        if self._recorder.frame(frame, update):
            self._notify()
        for event in update.events:
            self._told(event)
        self._on_frame(frame, update)

    def _finish(self) -> None:
        """Settle what was under way when the source ended."""
        if self._latest is None:
            return
        frame = self._latest
        events = shifted(self._counter.finish(), frame.time - frame.media_time)
        if events:
            self._recorder.events(events, frame.time)
            self._notify()
        for event in events:
            self._told(event)

    def _told(self, event: CountEvent) -> None:
        _log.info(
            "%s: %s %s over line %s", event.camera, event.class_name, event.direction, event.line
        )
        self._on_event(event)
