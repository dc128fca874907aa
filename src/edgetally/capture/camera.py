"""`Camera`: one thread that turns a source into frames, as fast as they are wanted."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from edgetally.capture.frame import Frame
from edgetally.capture.masks import black_out
from edgetally.capture.sources import Source, open_source, redact
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from edgetally.config import CameraConfig

_log = logging.getLogger(__name__)

_WAITING_FRAMES = 4  # of a file: enough to decode ahead, little memory
_STOP_SECONDS = 1.0  # who ends the program does not wait for a camera that hangs


class Camera:
    """A configured camera: opens its source, samples it, masks it, hands over frames.

    A live source keeps only its newest frame, the one before is dropped and counted; a file or
    folder waits for its reader and hands over every frame. With `fps` in the configuration, so
    many frames a second are taken, by the time in a file and by `clock` (seconds since the Unix
    epoch) when live.

    captured: frames handed over so far, dropped ones included.
    dropped: frames of a live source that a newer one replaced before they were taken.
    """

    def __init__(self, config: CameraConfig, *, clock: Callable[[], float] = time.time) -> None:
        self.captured = 0
        self.dropped = 0
        self._config = config
        self._clock = clock
        self._source: Source | None = None
        self._thread: threading.Thread | None = None
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._finished = True
        self._error: Exception | None = None
        self._error_told = True

    @property
    def name(self) -> str:
        """The camera's name in the configuration."""
        return self._config.name

    @property
    def is_live(self) -> bool:
        """Whether frames are lost when nobody takes them; False before `start`."""
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
    def skipped(self) -> int:
        """Frames that could not be decoded."""
        return self._source.skipped if self._source else 0

    @property
    def ended(self) -> bool:
        """Whether `take` has nothing more to give: neither a frame nor an error."""
        with self._changed:
            return self._finished and not self._frames and self._error_told

    def start(self) -> None:
        """Open the source and begin. InputError, naming the camera, where it does not open."""
        try:
            source = open_source(self._config.source, self._config.fps)
        except InputError as error:
            raise InputError(f"camera {self.name}: {error}") from None
        self._source = source
        self._finished = False
        self._thread = threading.Thread(
            target=self._run, args=(source,), name=f"camera {self.name}", daemon=True
        )
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
        """End the thread and drop the frames that wait; harmless when repeated."""
        with self._changed:
            self._stopping = True
            thread, self._thread = self._thread, None  # only the first waits for it
            self._changed.notify_all()
        if thread is not None:
            thread.join(_STOP_SECONDS)
            if thread.is_alive():
                _log.warning("camera %s hangs; it is left behind", self.name)
        with self._changed:
            self._frames.clear()
            self._finished = self._error_told = True
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

    def _run(self, source: Source) -> None:
        failure: Exception | None = None
        try:
            with source:
                self._capture(source)
        except Exception as error:  # noqa: BLE001 - whatever it is, take() raises it
            failure = error
        with self._changed:
            if failure is not None and not self._stopping:
                self._error, self._error_told = failure, False
            self._finished = True
            self._changed.notify_all()

    def _capture(self, source: Source) -> None:
        wanted = self._config.fps
        started = self._clock()
        sampled = -1
        while not self._stopping:
            if self.captured - self.dropped == self._config.max_frames:
                return
            if not source.grab():
                if not self._stopping:
                    self._tell_end(source)
                return
            now = self._clock() if source.is_live else started + source.position
            media_time = now - started if source.is_live else source.position
            slot = source.index if wanted is None else math.floor(media_time * wanted + 1e-3)
            # Not "later than the last": a wall clock that is set back must not stop us.
            if slot == sampled:
                continue
            image = source.retrieve()
            if image is None:
                continue
            sampled = slot
            black_out(image, self._config.masks)
            self._hand_over(Frame(self.name, source.index, now, media_time, image), source)

    def _hand_over(self, frame: Frame, source: Source) -> None:
        with self._changed:
            if source.is_live:
                self.dropped += len(self._frames)
                self._frames.clear()
            else:
                self._changed.wait_for(
                    lambda: len(self._frames) < _WAITING_FRAMES or self._stopping
                )
            if self._stopping:
                return
            self.captured += 1
            self._frames.append(frame)
            self._changed.notify_all()

    def _tell_end(self, source: Source) -> None:
        if source.skipped:
            _log.warning("camera %s: skipped %d broken frames", self.name, source.skipped)
        shown = redact(self._config.source)
        if source.is_live:
            what = "delivers no more pictures" if self.captured else "opens but delivers no picture"
            raise EdgetallyError(f"camera {self.name}: {shown} {what}; check the camera")
        read, told = source.index + 1, source.frame_count or 0
        # What a file tells of itself may be off by one or two.
        if told - read > max(2, 0.02 * told):
            _log.warning(
                "camera %s: %s ends after %d of %d frames; is the file cut off?",
                self.name,
                shown,
                read,
                told,
            )
