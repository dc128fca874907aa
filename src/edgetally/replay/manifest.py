"""`ManifestReader`: boxes that people drew on a video's frames, as SageMaker Ground Truth has them.

The format is that of "Output Data" of bounding box jobs in the Amazon SageMaker AI Developer Guide:
a JSON object a line, with `source-ref`, the label attribute and its `-metadata`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from edgetally.detections import Detections
from edgetally.errors import InputError
from edgetally.replay.class_ids import ClassIds
from edgetally.replay.moment import Moment
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

_METADATA = "-metadata"
_NUMBERED = re.compile(r"(?P<video>.*?)[\s._-]*(?P<number>\d{1,15})", re.ASCII | re.DOTALL)
_Pixels = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


class _Box(BaseModel):
    class_id: int
    left: _Pixels
    top: _Pixels
    width: Annotated[_Pixels, Field(ge=0)]
    height: Annotated[_Pixels, Field(ge=0)]


class _Size(BaseModel):
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class _Label(BaseModel):
    annotations: list[_Box]
    image_size: Annotated[list[_Size], Field(min_length=1)]


class _Object(BaseModel):
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class _Metadata(BaseModel):
    class_map: dict[int, str] = Field(default={}, alias="class-map")
    objects: list[_Object] = []


class _Frame(NamedTuple):
    source: str
    detections: Detections


class ManifestReader:
    """Collects the lines of a manifest; each video is a camera, named as its files are.

    fps and label are those of `read_recording`. Of several lines on one frame the last is right:
    it is what a later labelling job made of it.
    """

    def __init__(self, fps: Mapping[str, float | None] | float | None, label: str | None) -> None:
        self._fps, self._label = fps, label
        self._classes = ClassIds()
        self._videos: dict[str, dict[int, _Frame]] = {}

    def line(self, entry: dict[str, Any], where: str) -> None:
        """Take one line. InputError where it is not what Ground Truth writes."""
        source = entry.get("source-ref")
        if not isinstance(source, str):
            raise InputError(f"{where} has no source-ref; give a Ground Truth output manifest")
        camera, number = _video_of(source, where)
        if any(isinstance(value, dict) and "failure-reason" in value for value in entry.values()):
            return  # nobody labelled it
        label = self._label_of(entry, where)
        try:
            found = _Label.model_validate(entry.get(label))
            about = _Metadata.model_validate(entry.get(label + _METADATA, {}))
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise InputError(
                f"{where}: {shortened(label)}.{place}: {problem['msg'].lower()}; "
                "take the manifest from the labelling job again"
            ) from None
        frames = self._videos.setdefault(camera, {})
        known = frames.get(number)
        if known is not None and known.source != source:
            raise InputError(
                f"{where}: {shortened(source)} and {shortened(known.source)} are both frame "
                f"{number} of {shortened(camera)!r}; keep one video of that name in the manifest"
            )
        frames[number] = _Frame(source, self._detections(found, about, where))

    def recording(self) -> tuple[tuple[str, ...], dict[str, tuple[Moment, ...]]]:
        """Return the class names, and the moments of each camera in order of time."""
        cameras = {}
        for camera, frames in self._videos.items():
            fps = self._fps_of(camera)
            cameras[camera] = tuple(
                Moment(number / fps, frames[number].detections, is_certain=True)
                for number in sorted(frames)
            )
        return self._classes.names, cameras

    def _fps_of(self, camera: str) -> float:
        fps = self._fps
        if fps is not None and not isinstance(fps, int | float):
            fps = fps.get(camera, fps.get("*"))
        if fps is None:
            raise InputError(
                f"a manifest does not tell how many frames a second {shortened(camera)!r} has; "
                "give --fps, or fps of the camera in the configuration"
            )
        return fps

    def _label_of(self, entry: dict[str, Any], where: str) -> str:
        if self._label is not None:
            if self._label not in entry:
                raise InputError(
                    f"{where} has no label attribute {shortened(self._label)!r}; "
                    "give --label-attribute one that it has"
                )
            return self._label
        labels = [
            key
            for key, value in entry.items()
            if isinstance(value, dict) and isinstance(value.get("annotations"), list)
        ]
        if not labels:
            raise InputError(
                f"{where} has no bounding boxes; give the output manifest of a bounding box job"
            )
        if len(labels) > 1:
            raise InputError(
                f"{where} has several label attributes ({listed(labels)}); "
                "give --label-attribute one of them"
            )
        return labels[0]

    def _detections(self, found: _Label, about: _Metadata, where: str) -> Detections:
        width, height = found.image_size[0].width, found.image_size[0].height
        boxes, scores, class_ids = [], [], []
        for index, box in enumerate(found.annotations):
            if box.class_id not in about.class_map:
                raise InputError(
                    f"{where}: class {box.class_id} is not in the class-map; "
                    "take the manifest from the labelling job again"
                )
            right, bottom = box.left + box.width, box.top + box.height
            boxes.append((box.left / width, box.top / height, right / width, bottom / height))
            scores.append(about.objects[index].confidence if index < len(about.objects) else 1.0)
            class_ids.append(self._classes[about.class_map[box.class_id]])
        return Detections(
            np.clip(np.array(boxes, np.float32).reshape(-1, 4), 0, 1),
            np.array(scores, np.float32),
            np.array(class_ids, np.int64),
        )


def _video_of(source: str, where: str) -> tuple[str, int]:
    """Split an image's address into its video's name and the frame's number.

    A file whose name is nothing but a number is named by its folder.
    """
    *folders, file = source.replace("\\", "/").split("/")
    stem = file.rpartition(".")[0] or file
    match = _NUMBERED.fullmatch(stem)
    if match is None:
        raise InputError(
            f"{where}: {shortened(file)!r} does not end in a frame's number, which gives its "
            "time; name the images video_000001.jpg and so on"
        )
    return match["video"] or (folders[-1] if folders else "") or "video", int(match["number"])
