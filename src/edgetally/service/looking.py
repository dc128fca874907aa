"""`Looking`: one look at a picture or at a camera, in turn with the cameras."""

from __future__ import annotations

from concurrent.futures import TimeoutError as LateError
from typing import TYPE_CHECKING

from edgetally.capture.frame import Frame
from edgetally.errors import EdgetallyError
from edgetally.requests import RefusedRequestError, decode_picture, read_picture
from edgetally.service.region import Region
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.capture import Camera
    from edgetally.config import Config
    from edgetally.detections import Detections
    from edgetally.detector import Detector
    from edgetally.requests import InferenceRequest
    from edgetally.service.turns import Turns

_WHO = "/requests"  # no camera's name holds a /
_PATIENCE = 30.0  # seconds for a turn's result


class Looking:
    """Answers requests from files, pictures and cameras' newest frames.

    thresholds: float32 [C], the lowest score of each class that is told unless a request says
    otherwise. clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        config: Config,
        detector: Detector,
        turns: Turns,
        cameras: Mapping[str, Camera],
        *,
        thresholds: NDArray[np.float32],
        clock: Callable[[], float],
    ) -> None:
        self._folders = config.requests.folders
        self._regions = {
            camera.name: Region(*camera.region) for camera in config.cameras if camera.region
        }
        self._detector, self._turns, self._cameras = detector, turns, cameras
        self._thresholds = thresholds
        self._clock = clock

    def look(self, request: InferenceRequest) -> tuple[Frame, Detections]:
        """Return what was looked at, and what is in it, in 0-1 of the whole frame.

        The frame's camera is empty where a picture was given. RefusedRequestError says what was
        wrong.
        """
        frame = self._frame(request)
        region = self._regions.get(frame.camera)
        image = frame.image if region is None else region.crop(frame.image)
        if not self._turns.take(_WHO):
            raise RefusedRequestError("busy", "edgetally is stopping; ask again later")
        try:
            future = self._detector.submit(image, score_threshold=request.score_threshold)
        except BaseException:
            self._turns.leave()
            raise
        future.add_done_callback(lambda _: self._turns.leave())
        try:
            found = future.result(_PATIENCE)
        except LateError:
            raise RefusedRequestError(
                "failed", f"the engine gave no result for {_PATIENCE:.0f} s"
            ) from None
        except EdgetallyError as error:
            raise RefusedRequestError("failed", str(error)) from None
        if request.score_threshold is None:
            found = found.select(found.scores >= self._thresholds[found.class_ids])
        return frame, found if region is None else region.in_frame(found, frame.image)

    def _frame(self, request: InferenceRequest) -> Frame:
        if request.camera is not None:
            return self._newest(request.camera)
        content = request.image
        if content is None:
            content = read_picture(request.file_path or "", self._folders)
        return Frame("", 0, self._clock(), 0.0, decode_picture(content))

    def _newest(self, name: str) -> Frame:
        camera = self._cameras.get(name)
        if camera is None:
            raise RefusedRequestError(
                "notFound",
                f"there is no camera {shortened(name, 80)!r}; there are {listed(self._cameras)}",
            )
        frame = camera.latest
        if frame is None:
            raise RefusedRequestError(
                "noPicture", f"camera {name} gave no picture yet; it is {camera.state}"
            )
        return frame
