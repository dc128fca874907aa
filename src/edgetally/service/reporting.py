"""`Reporting`: what the nucleus itself is told, beside all messages: a shadow and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.config import GreengrassTransport
from edgetally.messaging.shadow import shadow_of
from edgetally.service.component_metrics import ComponentMetrics

if TYPE_CHECKING:
    from edgetally.config.publish import PublishConfig
    from edgetally.greengrass import NucleusLink
    from edgetally.messaging.messages import HealthMessage, InventoryMessage
    from edgetally.messaging.shadow import Shadow
    from edgetally.service.device_shadow import DeviceShadow


class Reporting:
    """Reports what the newest messages say, as configured. One thread calls it.

    Nothing waits for a nucleus that is slow, and what it lacks is missed in silence. link: to the
    nucleus that started us; None: none did, and nothing is reported.
    """

    def __init__(self, link: NucleusLink | None) -> None:
        self._link = link
        self._shadow: DeviceShadow | None = None
        self._metrics: ComponentMetrics | None = None
        self._newest: tuple[HealthMessage, InventoryMessage | None, Shadow] | None = None
        if link is not None:
            from edgetally.service.device_shadow import DeviceShadow  # noqa: PLC0415 - heavy

            self._shadow, self._metrics = DeviceShadow(link), ComponentMetrics(link)

    def tell(
        self,
        publish: PublishConfig,
        health: HealthMessage | None,
        inventory: InventoryMessage | None,
    ) -> None:
        """Report with a health message."""
        through = _through(publish)
        if self._metrics is None or health is None:
            return
        if through is not None and through.metrics:
            self._metrics.put(health, inventory)
        else:
            self._metrics.leave_out(health, inventory)
        self.tend(publish, health, inventory)

    def tend(
        self,
        publish: PublishConfig,
        health: HealthMessage | None,
        inventory: InventoryMessage | None,
    ) -> None:
        """Let the shadow follow, each second or so; the last word at once."""
        through = _through(publish)
        if self._shadow is None or self._link is None or health is None:
            return
        if through is not None and through.shadow:
            thing = self._link.thing or publish.thing
            is_last = health.state == "stopping"
            self._shadow.want(thing, self._shadow_of(health, inventory), at_once=is_last)
        else:
            self._shadow.leave()

    def close(self, timeout: float) -> None:
        """Wait so long at most for what is on its way; harmless when repeated."""
        if self._shadow is not None:
            self._shadow.close(timeout)

    def _shadow_of(self, health: HealthMessage, inventory: InventoryMessage | None) -> Shadow:
        newest = self._newest
        if newest is None or newest[0] is not health or newest[1] is not inventory:
            newest = self._newest = health, inventory, shadow_of(health, inventory)
        return newest[2]


def _through(publish: PublishConfig) -> GreengrassTransport | None:
    return next((one for one in publish.transports if isinstance(one, GreengrassTransport)), None)
