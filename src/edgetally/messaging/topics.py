"""`Topics`: where each message goes, the same on local IPC and in AWS IoT."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgetally.errors import InputError


@dataclass(frozen=True)
class Topics:
    """The topic names of one device.

    prefix: first part, may have levels of its own ("site/edgetally").
    thing: the device's name.
    InputError where either would make a topic that MQTT can't carry or that means another.

    >>> Topics("edgetally", "dock-1").detections("door")
    'edgetally/dock-1/door/detections'
    """

    prefix: str
    thing: str

    def __post_init__(self) -> None:
        # A wildcard, an empty level or a leading $ means something else to a broker:
        # MQTT 3.1.1, section 4.7.
        if not re.fullmatch(r"[^$+#/\0][^+#/\0]*(/[^+#/\0]+)*", self.prefix):
            raise InputError(
                f"topic prefix {self.prefix!r} is no topic; use names joined by /, without + # $"
            )
        if not re.fullmatch(r"[^+#/\0]+", self.thing):
            raise InputError(f"thing {self.thing!r} can't stand in a topic; avoid / + and #")

    def has(self, topic: str) -> bool:
        """Tell whether a topic is one of these.

        >>> Topics("edgetally", "dock-1").has("edgetally/dock-9/health")
        False
        """
        return topic.startswith(f"{self.prefix}/{self.thing}/")

    def detections(self, camera: str) -> str:
        """Topic of a camera's `edgetally.detections/1`."""
        return f"{self.prefix}/{self.thing}/{camera}/detections"

    def events(self, camera: str) -> str:
        """Topic of a camera's `edgetally.count_event/1` and `edgetally.zone_event/1`."""
        return f"{self.prefix}/{self.thing}/{camera}/events"

    @property
    def inventory(self) -> str:
        """Topic of `edgetally.inventory/1`."""
        return f"{self.prefix}/{self.thing}/inventory"

    @property
    def stock_events(self) -> str:
        """Topic of `edgetally.stock_event/1`."""
        return f"{self.prefix}/{self.thing}/inventory/events"

    @property
    def inventory_set(self) -> str:
        """Topic that corrections of the stock arrive on."""
        return f"{self.prefix}/{self.thing}/inventory/set"

    @property
    def inventory_response(self) -> str:
        """Topic of `edgetally.inventory_response/1`."""
        return f"{self.prefix}/{self.thing}/inventory/response"

    @property
    def model_set(self) -> str:
        """Topic that requests for another model arrive on."""
        return f"{self.prefix}/{self.thing}/model/set"

    @property
    def model_response(self) -> str:
        """Topic of `edgetally.model_response/1`."""
        return f"{self.prefix}/{self.thing}/model/response"

    @property
    def health(self) -> str:
        """Topic of `edgetally.health/1`."""
        return f"{self.prefix}/{self.thing}/health"

    @property
    def loopback(self) -> str:
        """Topic on which the device speaks to itself, to hear whether it still hears."""
        return f"{self.prefix}/{self.thing}/loopback"

    @property
    def inference_request(self) -> str:
        """Topic that requests on demand arrive on."""
        return f"{self.prefix}/{self.thing}/inference/request"

    @property
    def inference_response(self) -> str:
        """Topic of `edgetally.inference_result/1`."""
        return f"{self.prefix}/{self.thing}/inference/response"
