"""`Looking`: one look at a picture or at a camera, in turn with the cameras."""

from __future__ import annotations

from concurrent.futures import TimeoutError as LateError
from typing import TYPE_CHECKING, NamedTuple

from edgetally.capture.frame import Frame
from edgetally.errors import EdgetallyError
from edgetally.requests import RefusedRequestError, decode_picture, read_picture
from edgetally.service.region import Region
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgetally.capture import Camera
    from edgetally.config import Config
    from edgetally.detections import Detections
    from edgetally.requests import InferenceRequest
    from edgetally.service.model_in_use import LoadedModel, ModelInUse
    from edgetally.service.turns import Turns

_WHO = "/requests"  # no camera's name holds a /
_PATIENCE = 30.0  # seconds for a turn's result


class Seen(NamedTuple):
    """What was looked at, what is in it, in 0-1 of the whole frame, and which model saw it.

    The frame's camera is empty where a picture was given; model: None: the one in use.
    """

    frame: Frame
    found: Detections
    model: LoadedModel | None = None


class Looking:
    """Answers requests from files, pictures and cameras' newest frames.

    clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        config: Config,
        models: ModelInUse,
        turns: Turns,
        cameras: Mapping[str, Camera],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._folders = config.requests.folders
        self._regions = {
            camera.name: Region(*camera.region) for camera in config.cameras if camera.region
        }
        self._models, self._turns, self._cameras = models, turns, cameras
        self._clock = clock

    def look(self, request: InferenceRequest) -> Seen:
        """Look at what a request names, or brings. RefusedRequestError says what was wrong.

        Where it does not say from which score on, what counts is told.
        """
        frame = self._frame(request)
        region = self._regions.get(frame.camera)
        image = frame.image if region is None else region.crop(frame.image)
        if not self._turns.take(_WHO):
            raise RefusedRequestError("busy", "edgetally is stopping; ask again later")
        try:
            model, future = self._models.submit(image, score_threshold=request.score_threshold)
        except BaseException:
            self._turns.leave()
            raise
        future.add_done_callback(lambda _: self._turns.leave())
        try:
            found = model.renamed(future.result(_PATIENCE))
        except LateError:
            raise RefusedRequestError(
                "failed", f"the engine gave no result for {_PATIENCE:.0f} s"
            ) from None
        except EdgetallyError as error:
            raise RefusedRequestError("failed", str(error)) from None
        if request.score_threshold is None:
            found = found.select(model.is_confident(found))
        if region is not None:
            found = region.in_frame(found, frame.image)
        return Seen(frame, found, model)

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
