"""`Pipeline`: the pictures of a GStreamer pipeline, which runs in a process of its own."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

from edgetally.capture.gst_launch import PROGRAM, GstLaunch
from edgetally.capture.launch_line import read_pipeline
from edgetally.capture.raw_pictures import RawPictures
from edgetally.capture.redaction import redact, redact_message
from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.capture.frame import Image
    from edgetally.capture.launch_line import LaunchLine
    from edgetally.capture.source import SourceSettings

_PACKAGES = "gstreamer1.0-tools, gstreamer1.0-plugins-base and gstreamer1.0-plugins-good"
_LONGEST = 200  # of a message; GStreamer may list every format there is
_OURS = frozenset({"identity", "queue", "videoconvert", "rtpgstpay", "fdsink"})


class Pipeline(Source):
    """A pipeline that runs; live, whatever it reads, as it keeps its own pace."""

    def __init__(self, pipeline: str, line: LaunchLine, settings: SourceSettings) -> None:
        super().__init__(is_live=True, fps=None)
        self._pipeline = pipeline
        self._read_timeout = settings.read_timeout
        self._deadline = time.monotonic() + settings.open_timeout
        try:
            self._launched = GstLaunch(line)
        except OSError as error:
            raise InputError(f"{redact(pipeline)} does not start: {error.strerror}") from None
        self._pictures = RawPictures(lambda view: self._launched.fill(view, self._deadline))
        self._is_ahead = self._advances()
        if not self._is_ahead:
            self.close()
            reason = self.complaint or f"gives no picture within {settings.open_timeout:g} s"
            raise InputError(f"{redact(pipeline)} {reason}; try it with {PROGRAM}")

    def grab(self) -> bool:
        """Read the next picture; False when there is none within the timeout."""
        if not self._is_ahead:
            self._deadline = time.monotonic() + self._read_timeout
            if not self._advances():
                return False
        self._is_ahead = False
        self.index += 1
        return True

    def retrieve(self) -> Image:
        """Return the grabbed picture."""
        return self._pictures.image()

    def wake(self) -> None:
        """End a `grab` that waits."""
        self._launched.wake()

    def close(self) -> None:
        """End the process."""
        self._launched.close()

    def _advances(self) -> bool:
        try:
            self._pictures.advance()
        except TimeoutError:
            return False
        except EOFError:
            self.complaint = _complaint(self._launched.last_words(), self._pipeline)
            return False
        except ValueError as error:
            self.complaint = f"can't be read: {error}"
            return False
        self.fps = self._pictures.fps
        return True


def plan_pipeline(pipeline: str) -> LaunchLine:
    """Understand a pipeline. InputError for one that can't run here."""
    try:
        line = read_pipeline(pipeline)
    except ValueError as error:
        raise InputError(f"{redact(pipeline)}: {error}") from None
    if shutil.which(PROGRAM) is None:
        raise InputError(
            f"{redact(pipeline)}: pipelines need {PROGRAM}; install Debian's {_PACKAGES}"
        )
    return line


def _complaint(lines: list[str], pipeline: str) -> str:
    """Say in one line, without secrets, why a pipeline ended, from what gst-launch-1.0 said."""
    if not lines:
        return "has ended"
    said = re.sub(
        r"^\w+: (erroneous pipeline: |pipeline could not be constructed: )?", "", lines[0]
    )
    said = re.sub(r"^from element (?:/\S*[:/])?([^\s:/]+): ", r"\1: ", said)
    # The function where it happened stands in one line, and in the next what that knows.
    if len(lines) > 3 and lines[1].startswith("Additional debug info"):
        said = f"{said.rstrip('.')} ({lines[3].rstrip('.')})"
    said = redact_message(said, pipeline).rstrip(".")
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]}…"
    missing = re.search(r'no element "(\w+)"', said)
    if missing is None:
        return f"fails: {said}"
    package = f"Debian's {_PACKAGES}" if missing[1] in _OURS else "the package that has it"
    return f"fails: {said}; install {package}"
