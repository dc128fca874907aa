"""From `Detections` to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.messaging.messages import (
    Box,
    DetectedObject,
    DetectionsMessage,
    FrameReference,
    InferenceResultMessage,
    ModelReference,
    PixelBox,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.detections import Detections


def detections_message(
    detections: Detections,
    *,
    classes: Sequence[str],
    frame: FrameReference,
    time: float,
    thing: str,
    camera: str,
    sequence: int,
    model: ModelReference,
) -> DetectionsMessage:
    """Tell what was seen in a frame, at `time` in seconds since the Unix epoch.

    Boxes are clipped to the frame. ValueError for numbers that are not finite.
    """
    return DetectionsMessage(
        time=utc(time),
        thing=thing,
        camera=camera,
        sequence=sequence,
        model=model,
        frame=frame,
        detections=_objects(detections, classes, frame),
    )


def inference_result_message(
    detections: Detections,
    *,
    request_id: str,
    classes: Sequence[str],
    frame: FrameReference,
    time: float,
    thing: str,
    camera: str | None,
    sequence: int,
    model: ModelReference,
) -> InferenceResultMessage:
    """Answer a request, as `detections_message` would tell it; camera: None: a picture's."""
    return InferenceResultMessage(
        time=utc(time),
        thing=thing,
        camera=camera,
        sequence=sequence,
        model=model,
        request_id=request_id,
        frame=frame,
        detections=_objects(detections, classes, frame),
    )


def _objects(
    detections: Detections, classes: Sequence[str], frame: FrameReference
) -> tuple[DetectedObject, ...]:
    if not np.isfinite(detections.boxes).all():
        raise ValueError("boxes hold numbers that are not finite")
    boxes = np.clip(detections.boxes.astype(float), 0, 1)
    size = (frame.width, frame.height, frame.width, frame.height)
    corners = np.rint(boxes * size).astype(int)
    tracks = detections.track_ids
    return tuple(
        DetectedObject(
            class_=classes[detections.class_ids[row]],
            score=float(detections.scores[row]),
            box=Box(xmin=box[0], ymin=box[1], xmax=box[2], ymax=box[3]),
            pixels=PixelBox(left=left, top=top, width=right - left, height=bottom - top),
            track_id=None if tracks is None or tracks[row] < 0 else int(tracks[row]),
        )
        for row, (box, (left, top, right, bottom)) in enumerate(
            zip(boxes.tolist(), corners.tolist(), strict=True)
        )
    )
