"""`PresentationTime`: seconds to a video's image, by the timestamps that it has, if it has any."""

from __future__ import annotations

_DISORDER = 0.5  # seconds by which images may come out of order


class PresentationTime:
    """Follows a video from image to image.

    seconds: from the first image to the present one, never falling. Where the timestamps don't
    rise, as in a raw H.264 stream or where recordings were put together, an image lasts 1/fps.
    An image that repeats a timestamp, or comes a little out of order, moves none after it.
    is_told: whether the last step was told by timestamps.
    """

    def __init__(self, fps: float) -> None:
        self.seconds = -1 / fps
        self.is_told = False
        self._fps = fps
        self._latest: float | None = None
        self._offset = 0.0

    def move(self, timestamp: float | None, images: int) -> None:
        """Go on by a number of images, to one of that timestamp, in seconds."""
        latest = self._latest
        self.is_told = timestamp is not None and latest is not None and timestamp > latest
        if timestamp is not None and self.is_told:
            self.seconds = max(self.seconds, timestamp + self._offset)
            self._latest = timestamp
            return
        self.seconds += images / self._fps
        if timestamp is not None and (latest is None or timestamp < latest - _DISORDER):
            self._offset = self.seconds - timestamp
            self._latest = timestamp
