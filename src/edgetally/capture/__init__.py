"""Capture: a camera, a video file or a folder of images becomes `Frame`s."""

from edgetally.capture.camera import Camera
from edgetally.capture.frame import Frame, Image
from edgetally.capture.image_file import read_image
from edgetally.capture.sources import Source, open_source, redact

__all__ = ["Camera", "Frame", "Image", "Source", "open_source", "read_image", "redact"]
