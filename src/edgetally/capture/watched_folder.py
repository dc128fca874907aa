"""`WatchedFolder`: the images that are put into a folder, each when it is whole, for ever."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.arrivals import Arrivals
from edgetally.capture.image_file import LARGEST_FILE, decode_image
from edgetally.capture.listing import Listing
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source
from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary

if TYPE_CHECKING:
    from edgetally.capture.frame import Image
    from edgetally.capture.source import SourceSettings

_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 1.0
_SHARE = 10  # a look that takes a core for a second is followed by a pause of ten


class WatchedFolder(Source):
    """The images that are there, then each that is added or written anew.

    A file that holds no whole picture counts as broken when it stays so: it may be half written.
    A folder that is gone is waited for, then the source ends.
    """

    def __init__(self, arrivals: Arrivals, patience: float) -> None:
        super().__init__(is_live=True, fps=None, waits=True)
        self.arrivals = arrivals
        self._patience = patience
        self._ready: deque[str] = deque()
        self._image: Image | None = None
        self._woken = threading.Event()
        self._cost = 0.0
        self._gone_since: float | None = None

    def grab(self) -> bool:
        """Wait for the next whole picture; False once woken, or when the folder stays away."""
        while not self._woken.is_set():
            if self._ready:
                if self._takes(self._ready.popleft()):
                    self.index += 1
                    return True
            elif not self._looks():
                return False
            elif not self._ready:
                self._pause()
        return False

    def retrieve(self) -> Image | None:
        """Give the picture that `grab` found."""
        image, self._image = self._image, None
        return image

    def wake(self) -> None:
        """End the waiting."""
        self._woken.set()

    def _looks(self) -> bool:
        """Look for what is new; False when the folder has been away for too long."""
        began, worked = time.monotonic(), time.thread_time()
        try:
            self._ready.extend(self.arrivals.look(self.alive))
        except OSError as error:
            if self._gone_since is None:
                self._gone_since = began
            reason = (error.strerror or "can't be read").lower()
            self.complaint = f"is gone: {reason}; put the folder back"
            return time.monotonic() - self._gone_since < self._patience
        self._gone_since = self.complaint = None
        self.alive()
        self.skipped += self.arrivals.count_broken()
        work, wait = time.thread_time() - worked, time.monotonic() - began
        self._cost = max(work * _SHARE, wait)
        return True

    def _pause(self) -> None:
        end = time.monotonic() + max(_POLL_SECONDS, self._cost)
        slice_ = min(_POLL_SECONDS, self._patience / 4)
        while (left := end - time.monotonic()) > 0 and not self._woken.wait(min(left, slice_)):
            if self._gone_since is None:
                self.alive()

    def _takes(self, path: str) -> bool:
        """Read a file; tell whether it holds a whole picture that was not taken before."""
        try:
            with open_ordinary(Path(path), LARGEST_FILE) as stream:
                before = os.fstat(stream.fileno())
                content = stream.read(LARGEST_FILE)
                after = os.fstat(stream.fileno())
            image = decode_image(content, path)
        except (OSError, InputError):
            self.arrivals.note_broken(path)
            return False
        # Not the time of any change: it is another as soon as a new file takes the name.
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            self.arrivals.note_broken(path)
            return False
        is_known = self.arrivals.is_known(path, before, hash(content))
        self.arrivals.note_read(path, before, hash(content))
        self._image = None if is_known else image
        return not is_known


def answers(path: Path) -> bool:
    """Tell whether a path can be asked for within a second; that of a dead network mount hangs."""
    thread = threading.Thread(target=_ask, args=(path,), name=f"look at {path}", daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    return not thread.is_alive()


def _ask(path: Path) -> None:
    with suppress(OSError, ValueError):
        path.stat()


class FolderWatch:
    """Opens a watched folder, and opens it again with what is known of it."""

    def __init__(self, place: str, settings: SourceSettings) -> None:
        self._place, self._patience = place, settings.read_timeout
        self._latest: Arrivals | None = None

    def open(self) -> WatchedFolder:
        """Open it. InputError where the folder is not there, or can't be read."""
        try:
            listing = Listing(self._place)
        except FileNotFoundError as error:
            raise InputError(
                f"folder {redact(str(error.filename))} is not there; put it there, or give another "
                "folder of images to watch"
            ) from None
        except OSError as error:
            raise InputError(
                f"{redact(self._place)}: {(error.strerror or '').lower()}; give a folder of images "
                "to watch, or a glob"
            ) from None
        except ValueError:
            raise InputError(f"{redact(self._place)}: no path; give a folder of images") from None
        self._latest = Arrivals(listing, self._latest)
        return WatchedFolder(self._latest, self._patience)
