"""Tuning: which engine, precision, threads and streams run a bundle best on this device."""

from edgetally.tuning.outcome import Tuning
from edgetally.tuning.pictures import PictureFolder
from edgetally.tuning.tuner import tune

__all__ = ["PictureFolder", "Tuning", "tune"]
