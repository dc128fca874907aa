"""Which operations there are, and who does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import service_error, unsupported
from edgetally.nucleus.operations.iot_core import IotCore
from edgetally.nucleus.operations.metrics import Metrics
from edgetally.nucleus.operations.pubsub import LocalBus
from edgetally.nucleus.operations.secrets import Secrets
from edgetally.nucleus.operations.settings import Settings
from edgetally.nucleus.operations.shadows import Shadows

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.cloud import Cloud, CloudMessage
    from edgetally.nucleus.ipc import Call, Handler
    from edgetally.nucleus.kind import Kind
    from edgetally.nucleus.operations.pubsub import LocalMessage

_STATES = ("RUNNING", "ERRORED")


class Operations:
    """What a nucleus of a kind does for its components."""

    def __init__(
        self,
        kind: Kind,
        cloud: Cloud,
        *,
        published: Callable[[LocalMessage], None],
        sent: Callable[[str, CloudMessage], None],
        stated: Callable[[str, str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._kind = kind
        self.local = LocalBus(kind, published)
        self.iot_core = IotCore(kind, cloud, sent)
        self.settings = Settings(keeps_kinds=kind.keeps_kinds)
        self.secrets = Secrets()
        self.metrics = Metrics(kind, tell)
        self.shadows = Shadows(tell)
        self._stated = stated
        self._handlers: dict[str, Handler] = {
            "PublishToTopic": self.local.publish,
            "SubscribeToTopic": self.local.subscribe,
            "PublishToIoTCore": self.iot_core.publish,
            "SubscribeToIoTCore": self.iot_core.subscribe,
            "GetConfiguration": self.settings.read,
            "UpdateConfiguration": self.settings.update,
            "SubscribeToConfigurationUpdate": self.settings.watch,
            "UpdateState": self._update_state,
        }
        if kind.has_optional:
            self._handlers |= {
                "SubscribeToValidateConfigurationUpdates": self.settings.validate,
                "SendConfigurationValidityReport": self.settings.report,
                "GetSecretValue": self.secrets.read,
                "PutComponentMetric": self.metrics.put,
            }
        if kind.has_shadows:
            self._handlers |= {
                "GetThingShadow": self.shadows.read,
                "UpdateThingShadow": self.shadows.update,
            }

    def handler(self, operation: str) -> Handler:
        """Return who does an operation. Failure where nobody does."""
        handler = self._handlers.get(operation)
        if handler is None:
            raise unsupported(operation) if self._kind.name == "java" else service_error("")
        return handler

    async def _update_state(self, call: Call) -> dict[str, Any]:
        state = call.text("state")
        if state not in _STATES:
            raise service_error("Failed to update the lifecycle state.")
        self._stated(call.component, state)
        return {}
