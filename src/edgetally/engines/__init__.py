"""Engines: one file a runtime, chosen by name, all giving the same boxes and scores."""

from edgetally.engines.decoding import decode_boxes
from edgetally.engines.engine import Engine, RawPredictions
from edgetally.engines.runtimes import available_engines, create_engine

__all__ = ["Engine", "RawPredictions", "available_engines", "create_engine", "decode_boxes"]
