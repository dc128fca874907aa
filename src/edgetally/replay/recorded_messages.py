"""`MessageReader`: the detections messages that a transport of type jsonl wrote."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from edgetally.detections import Detections
from edgetally.errors import InputError
from edgetally.replay.class_ids import ClassIds
from edgetally.replay.moment import Moment

_SCHEMA = "edgetally.detections/"
_READ = _SCHEMA + "1"
_Share = Annotated[float, Field(ge=0, le=1)]


class _Box(BaseModel):
    xmin: _Share
    ymin: _Share
    xmax: _Share
    ymax: _Share


class _Object(BaseModel):
    name: str = Field(alias="class")
    score: _Share
    box: _Box


class _Part(BaseModel):
    number: int


class _Seen(BaseModel):
    camera: str
    time: AwareDatetime
    sequence: int
    detections: list[_Object]
    part: _Part | None = None


class MessageReader:
    """Collects what cameras saw; messages of other kinds are passed over.

    A message that came twice counts once, one that came in parts is put together.
    """

    def __init__(self) -> None:
        self._classes = ClassIds()
        self._cameras: dict[str, dict[tuple[float, int], dict[int, list[_Object]]]] = {}

    def line(self, entry: dict[str, Any], where: str) -> None:
        """Take one line. InputError where it is no message, or one that can't be read."""
        message = entry.get("message", entry)
        schema = message.get("schema") if isinstance(message, dict) else None
        if not isinstance(schema, str):
            raise InputError(
                f"{where} is no message of edgetally, nor a line of a Ground Truth manifest; "
                "give a file that a transport of type jsonl wrote, or a manifest"
            )
        if not schema.startswith(_SCHEMA):
            return
        if schema != _READ:
            raise InputError(f"{where} has schema {schema}, this edgetally reads {_READ}; update")
        try:
            seen = _Seen.model_validate(message)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise InputError(
                f"{where}: {place}: {problem['msg'].lower()}; record the messages again"
            ) from None
        moments = self._cameras.setdefault(seen.camera, {})
        parts = moments.setdefault((seen.time.timestamp(), seen.sequence), {})
        parts[seen.part.number if seen.part else 1] = seen.detections

    def recording(self) -> tuple[tuple[str, ...], dict[str, tuple[Moment, ...]]]:
        """Return the class names, and the moments of each camera in order of time."""
        cameras = {
            camera: tuple(
                Moment(time, self._detections(parts), is_certain=False)
                for (time, _), parts in sorted(moments.items())
            )
            for camera, moments in self._cameras.items()
        }
        return self._classes.names, cameras

    def _detections(self, parts: dict[int, list[_Object]]) -> Detections:
        objects = [one for number in sorted(parts) for one in parts[number]]
        boxes = [(one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax) for one in objects]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([one.score for one in objects], np.float32),
            np.array([self._classes[one.name] for one in objects], np.int64),
        )
