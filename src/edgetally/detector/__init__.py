"""The detector: a frame in, detections out, whichever engine runs the network."""

from edgetally.detector.detector import Detector

__all__ = ["Detector"]
