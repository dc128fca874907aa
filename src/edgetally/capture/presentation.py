"""`PresentationTime`: seconds to a video's image, by the timestamps that it has, if it has any."""

from __future__ import annotations


class PresentationTime:
    """Follows a video from image to image.

    seconds: from the first image to the present one, never falling. Where the timestamps don't
    rise, as in a raw H.264 stream or where recordings were put together, an image lasts 1/fps.
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
        if timestamp is None:
            self.seconds += images / self._fps
            return
        if not self.is_told:
            self.seconds += images / self._fps
            self._offset = self.seconds - timestamp
        self.seconds = timestamp + self._offset
        self._latest = timestamp
