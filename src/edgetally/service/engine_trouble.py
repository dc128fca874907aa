"""`EngineTrouble`: the frames of one camera at which the engine failed, and when that is enough."""

from __future__ import annotations

import logging

from edgetally.errors import EdgetallyError

_MOST = 30  # frames in a row; a camera of few frames a second need not have a broken engine
_LONGEST = 30.0  # seconds in a row; a driver may take some to come to itself
_TOLD_FOR = 600.0  # seconds: an engine that fails now and then does not fill the log
_log = logging.getLogger(__name__)


class EngineTrouble:
    """Counts failures; the first is logged, and those that end the camera are raised.

    dropped: frames so far without a result. problem: what fails, while it does. Times are seconds
    that never go back.
    """

    def __init__(self, camera: str) -> None:
        self.dropped = 0
        self.problem: str | None = None
        self._camera = camera
        self._in_a_row = 0
        self._since = 0.0
        self._told: float | None = None

    def worked(self) -> None:
        """Note a result."""
        self._in_a_row, self.problem = 0, None

    def failed(self, error: EdgetallyError, now: float) -> None:
        """Note a frame without one. EdgetallyError after 30 of them and 30 seconds in a row."""
        if not self._in_a_row:
            self._since = now
        self.dropped += 1
        self._in_a_row += 1
        self.problem = str(error)
        if self._in_a_row >= _MOST and now - self._since >= _LONGEST:
            raise EdgetallyError(
                f"camera {self._camera} ends, {self._in_a_row} frames in a row came to nothing: "
                f"{error}"
            ) from error
        if self._told is None or now - self._told >= _TOLD_FOR:
            self._told = now
            _log.warning("camera %s lost a frame and goes on: %s", self._camera, error)

    def source_ended(self, processed: int, *, is_live: bool) -> None:
        """Note that no more frames come. EdgetallyError where that is no success.

        processed: frames with a result. A file is read within seconds, so that its end may come
        to nothing before the engine was given up.
        """
        if self.problem is None:
            return
        if not processed:
            raise EdgetallyError(f"camera {self._camera} counted no frame: {self.problem}")
        if not is_live and self._in_a_row >= _MOST:
            raise EdgetallyError(
                f"camera {self._camera} ended, its last {self._in_a_row} frames came to nothing: "
                f"{self.problem}"
            )
