"""`Intake`: a thread that brings one camera's frames to the detector, in turn with the others."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from edgetally.service.motion_gate import MotionGate
from edgetally.service.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from edgetally.capture import Camera, Frame, Image
    from edgetally.config import CameraConfig
    from edgetally.detections import Detections
    from edgetally.service.model_in_use import LoadedModel, ModelInUse
    from edgetally.service.turns import Turns

_COUNTED_LATER = 2  # frames of a camera that may be done and not yet counted
_PATIENCE = 0.5  # seconds between looks at a camera that gives nothing
_UNSETTLED = 4.0  # seconds: longer than a track waits that is not seen, and a zone after it


@dataclass(frozen=True, eq=False)
class Look:
    """A frame that was given to a model.

    idle: seconds of the media time so far in which the camera was still and not looked at.
    taken: when the frame was taken from the camera, by `clock`, in seconds.
    """

    frame: Frame
    idle: float
    taken: float
    model: LoadedModel
    future: Future[Detections]
    region: Region | None

    @property
    def image(self) -> Image:
        """What the model saw of the frame."""
        return self.frame.image if self.region is None else self.region.crop(self.frame.image)

    def detections(self) -> Detections:
        """Wait for what was found, in 0-1 of the whole frame, by the service's class ids.

        Raises what the detector does.
        """
        found = self.model.renamed(self.future.result())
        return found if self.region is None else self.region.in_frame(found, self.frame.image)


class Intake(threading.Thread):
    """Iterate over it for the looks, in the order of capture, until the camera ends.

    It runs ahead by a few frames, so that the next is decoded and resized while one is inferred;
    `counted` tells it when a look is done with. While the motion gate rests, a frame is looked at
    only if the look before left something open, for some seconds.

    still: frames that were not looked at, because nothing moved. outdated: frames of a live
    camera that a newer one replaced while they waited for their turn. waits_since: on
    `time.monotonic`, when a frame began to wait for its turn, while one does.
    """

    def __init__(
        self,
        config: CameraConfig,
        camera: Camera,
        models: ModelInUse,
        turns: Turns,
        *,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name=f"look {camera.name}", daemon=True)
        self.still = 0
        self.outdated = 0
        self.waits_since: float | None = None
        self._camera, self._models, self._turns, self._clock = camera, models, turns, clock
        self._config = self._next_config = config
        self._gate = _gate_of(config)
        self._region = Region(*config.region) if config.region else None
        self._looks: SimpleQueue[Look | Exception | None] = SimpleQueue()
        self._uncounted = 0
        self._is_settled = False
        self._changed = threading.Condition()
        self._closed = False
        self._idle = 0.0
        self._time = 0.0
        self._begun = 0.0  # when the gate last asked for a look
        self._patience = _UNSETTLED
        self._rests = False

    def __iter__(self) -> Iterator[Look]:
        """Yield each look. Raises what went wrong in taking or submitting, after those before."""
        while (look := self._looks.get()) is not None:
            if isinstance(look, Exception):
                raise look
            yield look

    def counted(self, *, is_settled: bool) -> None:
        """A look was counted; is_settled: whether it left nothing open."""
        with self._changed:
            self._uncounted -= 1
            self._is_settled = is_settled
            self._changed.notify()

    def become(self, config: CameraConfig) -> None:
        """Go on with another motion gate and region, from the next frame that is taken."""
        self._next_config = config

    def close(self) -> None:
        """Take no more frames; those that are under way still come."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Work until the camera ends or `close` is called."""
        try:
            while not self._closed and (frame := self._next()) is not None:
                self._change()
                if self._is_worth_a_look(frame):
                    self._look(frame)
        except Exception as error:  # noqa: BLE001 - it is raised to whom iterates
            self._looks.put(error)
        else:
            self._looks.put(None)

    def _change(self) -> None:
        before, self._config = self._config, self._next_config
        if before is self._config:
            return
        self._region = Region(*self._config.region) if self._config.region else None
        if (before.motion_gate, before.region) != (self._config.motion_gate, self._config.region):
            self._gate, self._rests = _gate_of(self._config), False

    def _next(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._uncounted < self._most or self._closed)
        while not self._closed:
            frame = self._camera.take(_PATIENCE)
            if frame is not None or self._camera.ended:
                return frame
        return None

    @property
    def _most(self) -> int:
        """Frames that may be under way at once."""
        return self._models.current.detector.in_flight + _COUNTED_LATER

    def _is_worth_a_look(self, frame: Frame) -> bool:
        # a live camera's time follows the wall clock, which may be set back
        before, self._time = self._time, max(self._time, frame.media_time)
        if self._gate is None or self._gate.moved(self._seen(frame), self._time):
            self._begun = self._time
            if self._gate is None or self._gate.is_moving:
                self._patience = _UNSETTLED
            self._rests = False
            return True
        with self._changed:  # what is still has time; and so it is the same in each run of a file
            self._changed.wait_for(lambda: not self._uncounted or self._closed)
            is_open = not self._is_settled
        if is_open and self._time - self._begun < self._patience:
            return True
        if is_open and not self._rests:
            # what flickers at the edge of being seen never settles: wait less for it each time
            self._patience /= 2
        self._rests = True
        self._idle += self._time - before
        self.still += 1
        return False

    def _look(self, frame: Frame) -> None:
        taken = self._clock()
        self.waits_since = time.monotonic()
        has_turn = self._turns.take(self._camera.name)
        self.waits_since = None
        if not has_turn:
            self.close()
            return
        try:
            while self._wants_newest and (newer := self._camera.take(0)) is not None:
                frame, taken = newer, self._clock()
                self.outdated += 1
                self._time = max(self._time, frame.media_time)
                if self._gate is not None:
                    self._gate.moved(self._seen(frame), self._time)
            model, future = self._models.submit(self._seen(frame))
        except BaseException:
            self._turns.leave()
            raise
        future.add_done_callback(lambda _: self._turns.leave())
        with self._changed:
            self._uncounted += 1
        self._looks.put(Look(frame, self._idle, taken, model, future, self._region))

    @property
    def _wants_newest(self) -> bool:
        # every image of a watched folder counts, though it is live
        is_stream = self._camera.is_live and not self._config.watch
        return self._config.buffer == "newest" or (self._config.buffer == "auto" and is_stream)

    def _seen(self, frame: Frame) -> Image:
        return frame.image if self._region is None else self._region.crop(frame.image)


def _gate_of(config: CameraConfig) -> MotionGate | None:
    return MotionGate(config.motion_gate) if config.motion_gate.enabled else None
