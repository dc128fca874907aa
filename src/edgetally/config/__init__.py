"""The configuration: one pydantic model, read from YAML or from Greengrass."""

from edgetally.config.model import (
    CameraConfig,
    Config,
    ConsoleTransport,
    EngineName,
    JsonlTransport,
    LineConfig,
    Precision,
    Transport,
    ZoneConfig,
)
from edgetally.config.reading import load_config, parse_config

__all__ = [
    "CameraConfig",
    "Config",
    "ConsoleTransport",
    "EngineName",
    "JsonlTransport",
    "LineConfig",
    "Precision",
    "Transport",
    "ZoneConfig",
    "load_config",
    "parse_config",
]
