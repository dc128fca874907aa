"""`NucleusClient`: one connection to the nucleus, good until it is lost."""

from __future__ import annotations

import contextlib
import json
import logging
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Literal

from awscrt import io  # type: ignore[import-untyped]
from awsiot import eventstreamrpc as rpc  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc import model  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.client import (  # type: ignore[import-untyped]
    GreengrassCoreIPCClient,
)
from awsiot.greengrasscoreipc.clientv2 import (  # type: ignore[import-untyped]
    GreengrassCoreIPCClientV2,
)

from edgetally.errors import EdgetallyError
from edgetally.greengrass.failure import not_connected
from edgetally.greengrass.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

# It writes down what goes over the wire, secrets included, and each failure once more.
logging.getLogger("awsiot.eventstreamrpc").setLevel(logging.CRITICAL)

_CLOSING = 1.0  # seconds


class NucleusClient:
    """One connection. Each call returns at once, and its future may never end.

    handshake: what the nucleus knows us by. lost: called once, on the connection's thread, when a
    connection that stood has ended.
    """

    def __init__(self, socket: Path, bootstrap: Any, lost: Callable[[NucleusClient], None]) -> None:
        self._socket = socket
        self._bootstrap = bootstrap
        self._lost = lost

    def connect(self, handshake: Mapping[str, str], timeout: float) -> None:
        """Connect. UnknownHereError where the nucleus does not take us, EdgetallyError else."""
        options = io.SocketOptions()
        options.domain = io.SocketDomain.Local
        payload = json.dumps(handshake).encode()
        self._connection = rpc.Connection(
            host_name=str(self._socket),
            port=0,
            bootstrap=self._bootstrap,
            socket_options=options,
            connect_message_amender=lambda: rpc.MessageAmendment(payload=payload),
        )
        try:
            self._connection.connect(_Lifecycle(lambda: self._lost(self))).result(timeout)
        except FutureTimeoutError:
            self._connection.close()
            raise EdgetallyError(
                f"greengrass: no connection: no answer from {self._socket} in {timeout:g} s"
            ) from None
        except Exception as error:  # noqa: BLE001 - of many classes, some of them bare
            self._connection.close()
            raise not_connected(error, self._socket) from None
        # Without an executor: one that is shut down complains of the streams that end later.
        self._client = GreengrassCoreIPCClientV2(
            client=GreengrassCoreIPCClient(self._connection), executor=None
        )

    def publish_local(self, topic: str, body: bytes) -> Future[Any]:
        """Publish a binary message to other components."""
        message = model.PublishMessage(binary_message=model.BinaryMessage(message=body))
        return _answer(
            self._client.client.new_publish_to_topic(),
            model.PublishToTopicRequest(topic=topic, publish_message=message),
        )

    def publish_cloud(self, topic: str, body: bytes) -> Future[Any]:
        """Publish to AWS IoT Core with QoS 1."""
        return _answer(
            self._client.client.new_publish_to_iot_core(),
            model.PublishToIoTCoreRequest(
                topic_name=topic, qos=model.QOS.AT_LEAST_ONCE, payload=body
            ),
        )

    def configuration(self, *keys: str) -> Future[Any]:
        """Read our configuration, whole or what is below some keys: `value` of what comes."""
        return _answer(
            self._client.client.new_get_configuration(),
            model.GetConfigurationRequest(key_path=list(keys)),
        )

    def update_state(self, state: Literal["RUNNING", "ERRORED"]) -> Future[Any]:
        """Tell how we are."""
        return _answer(
            self._client.client.new_update_state(), model.UpdateStateRequest(state=state)
        )

    def secret(self, arn: str) -> Future[Any]:
        """Read a secret: `secret_value` of what comes."""
        return _answer(
            self._client.client.new_get_secret_value(), model.GetSecretValueRequest(secret_id=arn)
        )

    def update_shadow(self, thing: str, name: str, document: bytes) -> Future[Any]:
        """Merge a document into a thing's named shadow."""
        return _answer(
            self._client.client.new_update_thing_shadow(),
            model.UpdateThingShadowRequest(thing_name=thing, shadow_name=name, payload=document),
        )

    def put_metrics(self, counts: Mapping[str, int]) -> Future[Any]:
        """Put metrics by their names; what comes for a name is added up."""
        unit = model.MetricUnitType.COUNT
        metrics = [
            model.Metric(name=name, unit=unit, value=float(count)) for name, count in counts.items()
        ]
        return _answer(
            self._client.client.new_put_component_metric(),
            model.PutComponentMetricRequest(metrics=metrics),
        )

    def report_validity(self, deployment: str, problem: str | None) -> Future[Any]:
        """Answer whether a configuration that is about to be deployed is valid."""
        status = model.ConfigurationValidityStatus
        report = model.ConfigurationValidityReport(
            status=status.ACCEPTED if problem is None else status.REJECTED,
            deployment_id=deployment,
            message=problem,
        )
        return _answer(
            self._client.client.new_send_configuration_validity_report(),
            model.SendConfigurationValidityReportRequest(configuration_validity_report=report),
        )

    def subscribe(
        self,
        operation: Operation,
        topic: str,
        heard: Callable[[Any], None],
        closed: Callable[[], None],
    ) -> tuple[Future[Any], Any]:
        """Ask for events; returns what ends once they come, and what `close` ends.

        heard gets each as the client gives it; closed is called when there will be no more. Both
        are called on the connection's thread and must return at once.
        """
        handlers: dict[str, Any] = {"on_stream_event": heard, "on_stream_closed": closed}
        match operation:
            case Operation.SUBSCRIBE_LOCAL:
                made = self._client.subscribe_to_topic_async(topic=topic, **handlers)
            case Operation.SUBSCRIBE_CLOUD:
                made = self._client.subscribe_to_iot_core_async(
                    topic_name=topic, qos=model.QOS.AT_LEAST_ONCE, **handlers
                )
            case Operation.WATCH_CONFIGURATION:
                made = self._client.subscribe_to_configuration_update_async(key_path=[], **handlers)
            case Operation.VALIDATE:
                made = self._client.subscribe_to_validate_configuration_updates_async(**handlers)
            case _:
                raise AssertionError(f"{operation} is no subscription")
        future, stream = made
        return future, stream

    def close(self, timeout: float = _CLOSING) -> None:
        """End the connection and what goes over it."""
        with contextlib.suppress(Exception):  # it has ended, or will with the process
            self._client.close().result(timeout)


class _Lifecycle(rpc.LifecycleHandler):  # type: ignore[misc]
    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost

    def on_disconnect(self, reason: Exception | None) -> None:  # noqa: ARG002
        self._lost()


def _answer(operation: Any, request: Any) -> Future[Any]:
    """Ask, and end the stream with the answer.

    A nucleus lite leaves that to us, and the client's own calls leave it to the nucleus: each
    keeps some 8 KB for as long as the connection stands.
    """
    operation.activate(request)
    answer: Future[Any] = operation.get_response()
    answer.add_done_callback(lambda _: operation.close())
    return answer
