"""`Connection`: one attempt at a source that may hang, in a thread that can be left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture.source import Source
    from edgetally.capture.sources import PlannedSource

_PATIENCE = 1.25  # OpenCV's own timeouts come first, and leave no thread behind
_STALLED_SECONDS = 2.0
_STALLED_GAPS = 3.0  # so many times as long as between two pictures before
_STALLED_SHARE = 0.9  # of the read timeout, at the latest
_LATE = 1.2  # times as long as usual, of a camera whose pictures come that far apart anyway
_FORGETTING = 0.8  # each gap: one long one does not count for long
_KNOWN_IMAGES = 10  # from which on the gaps tell: those read while it opened come without any


class Connection:
    """Opens a source and passes each image on, until either is over.

    OpenCV's calls can't be interrupted: a driver or a name server that hangs keeps its thread.
    Who waits looks at `hangs`, and gives the connection up; the thread then ends by itself, and
    lets go of the source, whenever the call comes back.

    changed: held wherever the fields are read or written, and notified when the connection is over.
    passed_on: called with the source and the connection after each grabbed image; False ends it.
    source: what was opened, once it is.
    over: whether the thread has done its work. failure: what ended it: an InputError where the
    source did not open, anything where it broke; None where it ended.
    """

    def __init__(
        self,
        plan: PlannedSource,
        changed: threading.Condition,
        passed_on: Callable[[Source, Connection], bool],
        *,
        name: str,
        open_timeout: float,
        read_timeout: float,
    ) -> None:
        self.source: Source | None = None
        self.over = False
        self.given_up = False
        self.failure: Exception | None = None
        self.reader_is_slow = False
        self._plan = plan
        self._changed = changed
        self._passed_on = passed_on
        self._open_timeout, self._read_timeout = open_timeout, read_timeout
        self._heard = self._opened = time.monotonic()
        self._images = 0
        self._gap = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._heard = time.monotonic()
        try:
            self._thread.start()
        except RuntimeError as error:  # the system gives no more threads for now
            self.failure, self.over = error, True

    def join(self, timeout: float) -> bool:
        """Wait for the thread; tell whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def silence(self) -> float:
        """Seconds since the source opened or gave an image; 0 while it waits for its reader."""
        return 0.0 if self.reader_is_slow else time.monotonic() - self._heard

    @property
    def is_stalled(self) -> bool:
        """Whether it is open and has been silent for far longer than between images before."""
        if self.source is None:
            return False
        latest = max(self._read_timeout * _STALLED_SHARE, _LATE * self._gap)
        is_known = self._images >= _KNOWN_IMAGES or self._heard - self._opened > self._read_timeout
        usual = max(_STALLED_SECONDS, _STALLED_GAPS * self._gap) if is_known else latest
        return self.silence > min(usual, latest)

    @property
    def until_it_hangs(self) -> float:
        """Seconds of silence that are left before it is to be given up."""
        limit = self._open_timeout if self.source is None else self._read_timeout
        return limit * _PATIENCE - self.silence

    def heard(self) -> None:
        """Note a sign of life."""
        now = time.monotonic()
        self._gap = max(now - self._heard, self._gap * _FORGETTING)
        self._heard = now

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            with self._plan.open() as source:
                self._read(source)
        except Exception as error:  # noqa: BLE001 - who waits tells it
            failure = error
        with self._changed:
            self.failure = failure
            self.over = True
            self._changed.notify_all()

    def _read(self, source: Source) -> None:
        with self._changed:
            self._heard = self._opened = time.monotonic()
            self.source = source
            self._changed.notify_all()  # from now on, another timeout counts
            if self.given_up:
                return
        source.alive = self.heard
        while source.grab():
            self.heard()
            self._images += 1
            if not self._passed_on(source, self):
                return
