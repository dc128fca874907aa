"""Engines: one file a runtime, chosen by name, all giving the same boxes and scores."""

from edgetally.engines.decoding import decode_boxes
from edgetally.engines.engine import Engine, RawPredictions
from edgetally.engines.runtimes import available_engines, create_engine, default_precision
from edgetally.engines.settings import EngineSettings

__all__ = [
    "Engine",
    "EngineSettings",
    "RawPredictions",
    "available_engines",
    "create_engine",
    "decode_boxes",
    "default_precision",
]
