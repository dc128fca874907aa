"""`ReferenceFrames`: what each camera showed lately, for models to be compared on."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetally.capture import Image

_APART = 1.0  # seconds between two that are kept: neighbours show the same
_LATER_APART = 10.0  # once there are enough
_LARGEST = 1024  # pixels on a side; no network looks at more than half of that
_QUALITY = 95
_EMPTY_SHARE = 4  # one of so many may show nothing, in case a model sees something there


@dataclass(eq=False)
class _Scene:
    """The pictures of one camera, as JPEG, oldest first, by whether something was found."""

    busy: deque[bytes]
    empty: deque[bytes]
    latest: dict[bool, float] = field(default_factory=dict)

    def of(self, *, is_busy: bool) -> deque[bytes]:
        return self.busy if is_busy else self.empty

    def wants(self, time: float, *, is_busy: bool) -> bool:
        pictures = self.of(is_busy=is_busy)
        apart = _LATER_APART if len(pictures) == pictures.maxlen else _APART
        # A source that starts anew is at another time.
        return is_busy not in self.latest or abs(time - self.latest[is_busy]) >= apart


class ReferenceFrames:
    """Keeps the latest frames of each camera, seconds apart and small. Any thread may call it.

    Frames in which the model in use found something come first, for the rest tell little.
    """

    def __init__(self, most: int) -> None:
        """Keep so many of each camera."""
        self._most = most
        self._scenes: dict[str, _Scene] = {}
        self._lock = threading.Lock()

    def offer(self, camera: str, image: Image, time: float, *, is_busy: bool) -> None:
        """Keep a copy of a frame, uint8 BGR [H, W, 3], if it is time. time: of the media, in s."""
        scene = self._scenes.get(camera)
        if not self._most or (scene is not None and not scene.wants(time, is_busy=is_busy)):
            return
        picture = _small(image)
        with self._lock:
            scene = self._scenes.setdefault(camera, self._scene())
            scene.latest[is_busy] = time
            scene.of(is_busy=is_busy).append(picture)

    def keep(self, most: int, cameras: Iterable[str]) -> None:
        """Keep so many from now on, and those of these cameras alone."""
        with self._lock:
            before, self._scenes, self._most = self._scenes, {}, most
            for name in before.keys() & set(cameras):
                scene = self._scenes[name] = self._scene()
                scene.busy.extend(before[name].busy)
                scene.empty.extend(before[name].empty)
                scene.latest.update(before[name].latest)

    @property
    def is_empty(self) -> bool:
        """Whether no camera has shown anything yet."""
        return not self._scenes

    def is_complete(self, cameras: Iterable[str]) -> bool:
        """Tell whether there are as many of each of these cameras as are kept, with objects."""
        return all(
            name in self._scenes and len(self._scenes[name].busy) == self._busy_most()
            for name in cameras
        )

    def pictures(self) -> dict[str, list[Image]]:
        """Return by camera what is kept, uint8 BGR [H, W, 3]."""
        with self._lock:
            kept = {name: (*one.busy, *one.empty) for name, one in self._scenes.items()}
        return {name: [_decoded(picture) for picture in some] for name, some in kept.items()}

    def _scene(self) -> _Scene:
        most = self._busy_most()
        return _Scene(deque(maxlen=most), deque(maxlen=self._most - most))

    def _busy_most(self) -> int:
        return self._most - self._most // _EMPTY_SHARE


def _small(image: Image) -> bytes:
    height, width = image.shape[:2]
    scale = _LARGEST / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()


def _decoded(picture: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), np.uint8)
