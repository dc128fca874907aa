"""The configuration: one pydantic model, read from YAML or from Greengrass."""

from edgetally.config.camera import CameraConfig, LineConfig, ZoneConfig
from edgetally.config.fields import EngineName, Precision
from edgetally.config.model import Config
from edgetally.config.publish import (
    ConsoleTransport,
    GreengrassTransport,
    JsonlTransport,
    MqttTransport,
    Transport,
)
from edgetally.config.reading import ANY_CAMERA, load_config, load_replay_config, parse_config

__all__ = [
    "ANY_CAMERA",
    "CameraConfig",
    "Config",
    "ConsoleTransport",
    "EngineName",
    "GreengrassTransport",
    "JsonlTransport",
    "LineConfig",
    "MqttTransport",
    "Precision",
    "Transport",
    "ZoneConfig",
    "load_config",
    "load_replay_config",
    "parse_config",
]
