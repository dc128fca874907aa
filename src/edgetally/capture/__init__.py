"""Capture: a camera, a video file or a folder of images becomes `Frame`s."""

from edgetally.capture.camera import Camera
from edgetally.capture.frame import Frame, Image
from edgetally.capture.image_file import read_image
from edgetally.capture.reconnecting import reconnect_delay
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source, SourceSettings
from edgetally.capture.sources import open_source, plan_source
from edgetally.capture.state import CameraCounters, CameraState

__all__ = [
    "Camera",
    "CameraCounters",
    "CameraState",
    "Frame",
    "Image",
    "Source",
    "SourceSettings",
    "open_source",
    "plan_source",
    "read_image",
    "reconnect_delay",
    "redact",
]
