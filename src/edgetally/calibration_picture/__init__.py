"""A camera's scene with a grid in 0-1, its zones, lines and IN arrows, to place them by."""

from edgetally.calibration_picture.drawing import calibration_picture, shown_name

__all__ = ["calibration_picture", "shown_name"]
