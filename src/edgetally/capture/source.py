"""`Source`: images from one place, one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from edgetally.capture.frame import Image
    from edgetally.config import CameraConfig


@dataclass(frozen=True)
class SourceSettings:
    """How a source is opened; what does not concern a kind of source is ignored.

    fps: images a second, asked of a local camera, and the rate of a folder or test pattern.
    width, height: pixels asked of a local camera.
    rtsp_transport: how RTSP carries its video.
    open_timeout, read_timeout: seconds after which opening, or waiting for an image, fails.
    watch: whether a folder waits for new images when it has given those it holds.
    """

    fps: float | None = None
    width: int | None = None
    height: int | None = None
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 10.0
    read_timeout: float = 10.0
    watch: bool = False

    @classmethod
    def of(cls, config: CameraConfig) -> SourceSettings:
        """Take them from a camera's configuration."""
        return cls(
            fps=config.fps,
            width=config.width,
            height=config.height,
            rtsp_transport=config.rtsp_transport,
            open_timeout=config.open_timeout,
            read_timeout=config.read_timeout,
            watch=config.watch,
        )


class Source(ABC):
    """Images, one after the other.

    is_live: images come at their own pace, and their time is that of their arrival.
    waits: nothing is lost while nobody reads.
    fps: images a second; None where a live source does not tell.
    frame_count: how many images it says it holds; None where unknown.
    index: the number of the image that `grab` moved to, from 0; -1 before the first.
    skipped: images so far that could not be decoded.
    missed: images so far whose time passed while nobody read; where the source can tell.
    complaint: why it ended, where it tells; follows its name in a sentence.
    alive: called by a source that waits on purpose, as a sign of life.
    """

    def __init__(
        self,
        *,
        is_live: bool,
        fps: float | None,
        frame_count: int | None = None,
        waits: bool | None = None,
    ) -> None:
        self.is_live = is_live
        self.waits = not is_live if waits is None else waits
        self.fps = fps
        self.frame_count = frame_count
        self.index = -1
        self.skipped = 0
        self.missed = 0
        self.complaint: str | None = None
        self.alive: Callable[[], None] = lambda: None

    @property
    def position(self) -> float:
        """Seconds from the start to the image of `index`, by the source's own time or rate."""
        return max(self.index, 0) / self.fps if self.fps else 0.0

    @property
    def timestamp(self) -> float | None:
        """When a live source says that the image of `index` was taken, in seconds since any time.

        None where it does not tell.
        """
        return None

    @property
    def may_be_silent(self) -> bool:
        """Whether it may give no image for any time: a watched folder."""
        return self.is_live and self.waits

    @abstractmethod
    def grab(self) -> bool:
        """Move on to the next image without decoding it in full; False at the end."""

    @abstractmethod
    def retrieve(self) -> Image | None:
        """Decode the grabbed image; None, and counted as skipped, where it is broken."""

    def close(self) -> None:  # noqa: B027 - many sources hold nothing
        """Let go of the device or file."""

    def wake(self) -> None:  # noqa: B027 - many sources never wait on purpose
        """End a `grab` that waits for its time or for a new file; from any thread."""

    def read(self) -> Image | None:
        """Return the next image that can be decoded, uint8 BGR [H, W, 3]; None at the end."""
        while self.grab():
            image = self.retrieve()
            if image is not None:
                return image
        return None

    def __iter__(self) -> Iterator[Image]:
        while (image := self.read()) is not None:
            yield image

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
