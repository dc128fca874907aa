"""Counting again, from detections that were recorded: no camera, no model."""

from edgetally.replay.recording import Recording, read_recording
from edgetally.replay.replaying import CameraReplay, Replay, replay

__all__ = ["CameraReplay", "Recording", "Replay", "read_recording", "replay"]
