"""`take_still`: one picture of a source, to look at."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from edgetally.capture.connection import Connection
from edgetally.capture.planned_camera import plan_camera
from edgetally.capture.view import viewed
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture.frame import Image
    from edgetally.capture.source import Source
    from edgetally.config import CameraConfig

_FLAT = 3.0  # standard deviation of a picture in which there is nothing to see
_MOST_LOOKED_AT = 100  # images of a file that begins with a black title
_WARMING_UP = 1.0  # seconds in which a camera finds its exposure


def take_still(config: CameraConfig, secret: Callable[[str], str] | None = None) -> Image:
    """Return the first picture of a camera in which something is to be seen, turned and masked.

    A live one gets a second to find its exposure. Where all is flat, the latest picture is taken.
    InputError where the source does not open or gives no picture in time.
    secret: as `find_login` wants it.
    """
    # A folder is looked at as it is now; with `watch` an empty one would be waited for.
    plan = plan_camera(config.model_copy(update={"watch": False}), secret)
    still = _Still()
    changed = threading.Condition()
    connection = Connection(
        plan,
        changed,
        still.take,
        name=f"still of {config.name}",
        open_timeout=config.open_timeout,
        read_timeout=config.read_timeout,
    )
    with changed:
        connection.start()
        while not connection.over and (left := connection.until_it_hangs) > 0:
            changed.wait(left)
        connection.given_up = True
    if still.image is not None:
        return viewed(still.image, config)
    if connection.failure is not None:
        raise connection.failure
    seconds = config.open_timeout if connection.source is None else config.read_timeout
    why = "ended" if connection.over else f"was silent for {seconds:g} s"
    raise InputError(f"{plan.shown} {why} before it gave a picture; is it the right source?")


class _Still:
    """Takes images until one is good enough; image: the latest."""

    def __init__(self) -> None:
        self.image: Image | None = None
        self._began: float | None = None
        self._looked = 0

    def take(self, source: Source, connection: Connection) -> bool:
        """Look at the image that the source is at; False: no more are wanted."""
        if connection.given_up:
            return False
        now = time.monotonic()
        if self._began is None:
            self._began = now
        image = source.retrieve()
        if image is None:
            return True
        self.image = image
        if source.is_live and not source.waits and now - self._began < _WARMING_UP:
            return True
        self._looked += 1
        return float(image.std()) < _FLAT and self._looked < _MOST_LOOKED_AT
