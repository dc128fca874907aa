"""`Camera`: a thread that turns a source into frames, and finds it again when it is lost."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal

from edgetally.capture.connection import Connection
from edgetally.capture.frame import Frame
from edgetally.capture.loss import reason_of_loss
from edgetally.capture.planned_camera import plan_camera
from edgetally.capture.reconnecting import reconnect_delay
from edgetally.capture.sampling import EveryFrame, PacingTime, Sampler, sampler
from edgetally.capture.state import CameraCounters, CameraState
from edgetally.capture.view import viewed
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from edgetally.capture.source import Source
    from edgetally.capture.sources import PlannedSource
    from edgetally.config import CameraConfig

_log = logging.getLogger(__name__)

_WAITING_FRAMES = 4  # of a file: enough to decode ahead, little memory
_STOP_SECONDS = 1.0  # who ends the program does not wait for a camera that hangs
# What may change while the source is open; the rest of it concerns counting alone.
_LIVE = frozenset({"site", "fps", "max_frames", "region", "motion_gate", "masks", "zones", "lines"})
_MOST_HANGING = 2  # connections of a camera that were given up and still hold a thread


class Camera:
    """A configured camera: opens its source, samples, turns and masks it, hands over frames.

    A live source keeps only its newest frame, the one before is dropped and counted; a file or
    folder waits for its reader and hands over every frame; `buffer` in the configuration says
    otherwise. With `fps`, so many frames a second are taken, by the time in a file and by `clock`
    (seconds since the Unix epoch) when live.

    A camera that is away, breaks off or falls silent is tried again for ever; delay gives the
    seconds before each attempt, by the number of failures in a row. A file or folder ends.
    secret: gives the text of a secret of AWS Secrets Manager, as `find_login` wants it.
    """

    def __init__(
        self,
        config: CameraConfig,
        *,
        clock: Callable[[], float] = time.time,
        delay: Callable[[int], float] = reconnect_delay,
        secret: Callable[[str], str] | None = None,
    ) -> None:
        self._config = config
        self._secret = secret
        self._full_source = config.source
        self._clock = clock
        self._delay = delay
        self._thread: threading.Thread | None = None
        self._frames: deque[Frame] = deque()
        self._latest: Frame | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._finished = True
        self._error: Exception | None = None
        self._error_told = True
        self._state: Literal["connecting", "streaming", "lost", "ended"] = "connecting"
        self._loss: str | None = None
        self._connection: Connection | None = None
        self._hanging: list[Connection] = []
        self._source: Source | None = None
        self._plan: PlannedSource | None = None
        self._images_before = 0  # of the connections before this one
        self._broken_before = self._missed_before = 0
        self._is_back = False
        self._captured = self._newer = self._late = self._reconnects = 0
        self._newest: float | None = None
        self._started = self._started_at = self._last_clock = self._media_time = 0.0
        self._keeps_every = False
        self._sampler: Sampler = EveryFrame()
        self._pacing = PacingTime()
        self._sampled_at = 0.0

    @property
    def name(self) -> str:
        """The camera's name in the configuration."""
        return self._config.name

    @property
    def config(self) -> CameraConfig:
        """What it does."""
        return self._config

    def can_become(self, config: CameraConfig) -> bool:
        """Tell whether it can go on as configured otherwise, with the source that is open."""
        changed = {
            name
            for name in type(config).model_fields
            if getattr(config, name) != getattr(self._config, name)
        }
        if "fps" in changed and (self._plan is None or self._plan.is_paced):
            return False
        return changed <= _LIVE

    def become(self, config: CameraConfig) -> None:
        """Go on as configured otherwise, from the next image; only where it can."""
        with self._changed:
            is_repaced, self._config = config.fps != self._config.fps, config
            if is_repaced and self._source is not None and not self._source.may_be_silent:
                self._sampler = sampler(config.fps, is_live=self._source.is_live)
            self._changed.notify_all()

    @property
    def is_live(self) -> bool:
        """Whether frames come at their own pace; False until the source is open."""
        return self._source is not None and self._source.is_live

    @property
    def fps(self) -> float | None:
        """Frames a second that it hands over; None where a live source does not tell."""
        rates = (self._config.fps, self._source.fps if self._source else None)
        return min((rate for rate in rates if rate), default=None)

    @property
    def frame_count(self) -> int | None:
        """How many frames a file or folder is about to hand over; None for a live source."""
        source, limit = self._source, self._config.max_frames
        if source is None or source.frame_count is None or source.fps is None:
            return limit
        share = min((self._config.fps or source.fps) / source.fps, 1)
        count = math.ceil(source.frame_count * share)
        return count if limit is None else min(count, limit)

    @property
    def latest(self) -> Frame | None:
        """The newest frame that it handed over, whoever took it; None before the first."""
        return self._latest

    @property
    def state(self) -> CameraState:
        """What it is doing now."""
        with self._changed:
            return "stalled" if self._is_stalled else self._state

    @property
    def problem(self) -> str | None:
        """Why it is lost, or what its source complains of; None while it is well."""
        with self._changed:
            if self._state == "lost":
                return self._loss
            if self._state == "streaming" and self._source is not None and self._source.complaint:
                return f"{self.planned().shown} {self._source.complaint}"
            return None

    @property
    def counters(self) -> CameraCounters:
        """What it has done so far."""
        with self._changed:
            return CameraCounters(
                captured=self._captured,
                dropped={
                    "newer": self._newer,
                    "broken": self.skipped,
                    "late": self._late,
                    "missed": self._missed_before + (self._source.missed if self._source else 0),
                },
                reconnects=self._reconnects,
                frame_age=None if self._newest is None else time.monotonic() - self._newest,
            )

    @property
    def captured(self) -> int:
        """Frames handed over so far, with those dropped since."""
        return self._captured

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were taken."""
        return self._newer

    @property
    def skipped(self) -> int:
        """Frames that could not be decoded."""
        return self._broken_before + (self._source.skipped if self._source else 0)

    @property
    def ended(self) -> bool:
        """Whether `take` has nothing more to give: neither a frame nor an error."""
        with self._changed:
            return self._finished and not self._frames and self._error_told

    def planned(self) -> PlannedSource:
        """Return what the source asks for, without opening it; InputError as in `start`."""
        try:
            self._plan = self._plan or plan_camera(self._config, self._secret, self._note_full)
        except InputError as error:
            raise InputError(f"camera {self.name}: {error}") from None
        return self._plan

    def _note_full(self, source: str) -> None:
        self._full_source = source

    def start(self) -> None:
        """Begin; whether a camera is there shows later, in `state`.

        InputError, naming the camera, for a source that can never work and for a file or folder
        that does not open.
        """
        plan = self.planned()
        try:
            source = None if plan.can_be_lost else plan.open()
        except InputError as error:
            raise InputError(f"camera {self.name}: {error}") from None
        self._finished = False
        self._thread = threading.Thread(
            target=self._run, args=(plan, source), name=f"camera {self.name}", daemon=True
        )
        if source is not None:
            self._begin(source)
            self._note_streaming()
        self._thread.start()

    def take(self, timeout: float | None = None) -> Frame | None:
        """Return the next frame, waiting up to `timeout` seconds (None: without end).

        None when the time is over or the camera has `ended`. Raises what went wrong in the
        camera's thread, once the frames before it are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._finished, timeout)
            if self._frames:
                self._changed.notify_all()
                return self._frames.popleft()
            if self._error is not None:
                self._error_told = True
                raise self._error
            return None

    def stop(self) -> None:
        """End the threads and drop the frames that wait; harmless when repeated."""
        with self._changed:
            self._stopping = True
            thread, self._thread = self._thread, None  # only the first waits for it
            sources = [self._source]
            if self._connection is not None:
                sources.append(self._connection.source)
                self._connection.given_up |= self._connection.source is None
            self._changed.notify_all()
        for source in sources:
            if source is not None:
                source.wake()
        if thread is not None:
            deadline = time.monotonic() + _STOP_SECONDS
            thread.join(_STOP_SECONDS)
            connections = [*self._hanging, *([self._connection] if self._connection else [])]
            ended = [each.join(max(0.0, deadline - time.monotonic())) for each in connections]
            if thread.is_alive() or not all(ended):
                self._tell_left_behind()
        with self._changed:
            self._frames.clear()
            self._finished = self._error_told = True
            self._state = "ended"
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.take()) is not None:
            yield frame

    def __enter__(self) -> Camera:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, plan: PlannedSource, source: Source | None) -> None:
        failure: Exception | None = None
        try:
            self._started = self._last_clock = self._clock()
            self._started_at = time.monotonic()
            if source is None:
                self._keep_connected(plan)
            else:
                with source:
                    while not self._is_enough and source.grab() and self._take_in(source):
                        pass
                self._tell_end(plan, source)
        except Exception as error:  # noqa: BLE001 - whatever it is, take() raises it
            failure = error
        with self._changed:
            if failure is not None and not self._stopping:
                self._error, self._error_told = failure, False
            self._finished = True
            self._state = "ended"
            self._changed.notify_all()

    def _keep_connected(self, plan: PlannedSource) -> None:
        failures = 0
        pause = 0.0
        while not self._is_enough:
            began = time.monotonic()
            connection = self._connected(plan)
            if self._is_enough:
                return
            with self._changed:
                before, self._state = self._state, "lost"
            lasted = time.monotonic() - began
            # Who streamed for longer than it had been away does not fail in a row.
            failures = 0 if before == "streaming" and lasted >= pause else failures + 1
            pause = self._delay(failures)
            loss = reason_of_loss(plan, connection, before, self._full_source)
            _log.log(
                logging.DEBUG if before == "lost" else logging.WARNING,
                "camera %s is lost, and tried again for ever: %s",
                self.name,
                loss,
            )
            with self._changed:
                self._loss = loss
                self._changed.wait_for(lambda: self._stopping, pause)
                self._changed.wait_for(self._may_try)

    def _connected(self, plan: PlannedSource) -> Connection:
        """Connect, and return once that is over or hangs."""
        connection = Connection(
            plan,
            self._changed,
            self._take_in,
            name=f"camera {self.name} source",
            open_timeout=self._config.open_timeout,
            read_timeout=self._config.read_timeout,
        )
        with self._changed:
            if self._stopping:
                return connection
            self._connection = connection
            connection.start()
            while not (connection.over or self._stopping):
                self._begin_silently(connection)
                left = connection.until_it_hangs
                if left <= 0:
                    connection.given_up = True
                    self._hanging.append(connection)
                    break
                self._changed.wait(left)
        return connection

    def _tell_left_behind(self) -> None:
        with self._changed:
            connection = self._connection
            hangs = connection is None or connection.is_stalled or bool(self._hanging)
        if connection is None or hangs:
            _log.warning("camera %s hangs; it is left behind", self.name)
            return
        what = "for an answer" if connection.source is None else "for its next picture"
        _log.info("camera %s still waits %s, then it ends", self.name, what)

    def _may_try(self) -> bool:
        self._hanging = [connection for connection in self._hanging if not connection.over]
        return self._stopping or len(self._hanging) < _MOST_HANGING

    @property
    def _is_stalled(self) -> bool:
        connection = self._connection
        return self._state == "streaming" and connection is not None and connection.is_stalled

    @property
    def _is_enough(self) -> bool:
        return self._stopping or self._captured - self._newer == self._config.max_frames

    def _begin(self, source: Source) -> None:
        """Go on with a source that has just opened."""
        if self._source is None:
            # Each image of a watched folder counts, however fast they are put there.
            fps = None if source.may_be_silent else self._config.fps
            self._sampler = sampler(fps, is_live=source.is_live)
            buffer = self._config.buffer
            self._keeps_every = source.waits if buffer == "auto" else buffer == "every"
        else:
            self._images_before += self._source.index + 1
            self._broken_before += self._source.skipped
            self._missed_before += self._source.missed
            self._is_back = True
            self._pacing.reconnect()
        self._source = source

    def _begin_silently(self, connection: Connection) -> None:
        """Go on with a source that is well before it has given an image."""
        source = connection.source
        if source is not None and source is not self._source and source.may_be_silent:
            self._begin(source)
            self._note_streaming()

    def _note_streaming(self) -> None:
        """Note that the source gives pictures, not broken ones alone."""
        self._state = "streaming"
        if self._is_back:
            self._is_back = False
            self._reconnects += 1
            _log.info("camera %s is back", self.name)

    def _take_in(self, source: Source, connection: Connection | None = None) -> bool:
        """Take the image that the source is at, where it is wanted; False: no more of it."""
        now = self._clock() if source.is_live else self._started + source.position
        with self._changed:
            if connection is not None and connection.given_up:
                self._late += 1
                return False
            if self._is_enough:
                return False
            if source is not self._source:
                self._begin(source)
            media_time = self._media_time_at(now) if source.is_live else source.position
            self._sampled_at = media_time
            if source.is_live:
                self._sampled_at = self._pacing.at(media_time, source.timestamp)
            if not self._sampler.wants(self._sampled_at):
                self._note_streaming()
                return True
            if not (source.is_live or self._keeps_every):  # a file, played as if it were live
                due = self._started_at + media_time - time.monotonic()
                self._changed.wait_for(lambda: self._stopping, due)
        image = source.retrieve()
        if image is None:
            return True
        frame = Frame(
            self.name,
            self._images_before + source.index,
            now,
            media_time,
            viewed(image, self._config),
        )
        return self._hand_over(frame, connection)

    def _media_time_at(self, now: float) -> float:
        """Return seconds since the start, which never fall, though a wall clock be set back."""
        self._media_time += max(0.0, now - self._last_clock)
        self._last_clock = now
        return self._media_time

    def _hand_over(self, frame: Frame, connection: Connection | None) -> bool:
        with self._changed:
            if self._keeps_every:
                if connection is not None:
                    connection.reader_is_slow = True
                self._changed.wait_for(
                    lambda: len(self._frames) < _WAITING_FRAMES or self._stopping
                )
                if connection is not None:
                    connection.heard()
                    connection.reader_is_slow = False
            if self._stopping:
                return False
            if connection is not None and connection.given_up:
                self._late += 1
                return False
            if not self._keeps_every:
                self._newer += len(self._frames)
                self._frames.clear()
            self._sampler.took(self._sampled_at)
            self._note_streaming()
            self._captured += 1
            self._newest = time.monotonic()
            self._frames.append(frame)
            self._latest = frame
            self._changed.notify_all()
            return not self._is_enough

    def _tell_end(self, plan: PlannedSource, source: Source) -> None:
        if self._is_enough:
            return
        if source.skipped:
            _log.warning("camera %s: skipped %d broken frames", self.name, source.skipped)
        # What a file tells of itself may be off by one or two images. Where their rate varies, the
        # number may be a guess that is made of the length, which then tells more.
        fps, told = source.fps or 1.0, source.frame_count or 0
        ends = source.position * fps + 1
        if told - max(source.index + 1, ends) > max(2, 0.02 * told):
            _log.warning(
                "camera %s: %s ends after %.1f of %.1f s; is the file cut off?",
                self.name,
                plan.shown,
                ends / fps,
                told / fps,
            )
