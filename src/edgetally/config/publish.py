"""The part of the configuration that is about messages: which, when and where to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgetally.config.fields import (
    PREFIX_PATTERN,
    Name,
    NoSwitch,
    Section,
    UsablePath,
)


class DetectionsConfig(Section):
    """When detections are published."""

    mode: Literal["every", "onChange", "never"] = Field(
        "onChange",
        description="every: of each frame; onChange: when the set of tracked objects changes.",
    )
    min_interval: Annotated[float, Field(ge=0), NoSwitch] = Field(
        1.0, description="Seconds between two detections messages of a camera, at least."
    )


class InventoryConfig(Section):
    """When the totals are published."""

    heartbeat: Annotated[float, Field(gt=0), NoSwitch] = Field(
        60.0, description="Seconds between two inventory messages when nothing changes."
    )


class HealthConfig(Section):
    """When health is published, beside each change of state."""

    heartbeat: Annotated[float, Field(gt=0), NoSwitch] = Field(
        60.0, description="Seconds between two health messages when nothing changes."
    )


class OutboxConfig(Section):
    """How much may wait while transports fail, and how fast it leaves afterwards."""

    max_bytes: Annotated[int, Field(ge=65536), NoSwitch] = Field(
        100_000_000,
        description="Bytes of messages that wait at most. Where it is more, these are dropped, "
        "the oldest of each kind first: detections, health, answers about inference, answers "
        "about corrections, answers about models, all totals but the newest, zone events, count "
        "events, and the events of corrected stock last.",
    )
    max_age: Annotated[float, Field(gt=0), NoSwitch] = Field(
        604_800.0,
        description="Seconds that detections, health, answers and older totals wait at most.",
    )
    max_publish_rate: Annotated[float, Field(gt=0), NoSwitch] = Field(
        50.0, description="Messages a second that leave, at most, of those that had to wait."
    )


class JsonlTransport(Section):
    """Appends each message to a file, a line each."""

    type: Literal["jsonl"]
    path: UsablePath = Field(description="The file; it is made where missing.")


class ConsoleTransport(Section):
    """Prints each message as a line."""

    type: Literal["console"]


class MqttTransport(Section):
    """Publishes over MQTT 5 with mutual TLS, to AWS IoT Core or another broker."""

    type: Literal["mqtt"]
    endpoint: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Host of the broker; of AWS IoT Core, what `aws iot describe-endpoint "
        "--endpoint-type iot:Data-ATS` prints."
    )
    port: Annotated[int, Field(gt=0, le=65535), NoSwitch] = Field(
        8883, description="TCP port; 443 speaks AWS IoT's ALPN."
    )
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="MQTT client id; absent: the thing's name."
    )
    certificate: UsablePath | None = Field(
        None, description="The device's certificate, a PEM file."
    )
    private_key: UsablePath | None = Field(None, description="Its private key, a PEM file.")
    pkcs12: UsablePath | None = Field(
        None, description="Certificate and key in one PKCS#12 file, in place of the two."
    )
    pkcs12_password_file: UsablePath | None = Field(
        None, description="File whose first line is the PKCS#12 file's password."
    )
    root_ca: UsablePath | None = Field(
        None,
        description="Authority that signed the broker's certificate, a PEM file; absent: "
        "the system's.",
    )
    keep_alive: Annotated[int, Field(ge=5, le=65535), NoSwitch] = Field(
        30, description="Seconds between pings; a broker that does not answer is left."
    )

    @model_validator(mode="after")
    def _has_identity(self) -> MqttTransport:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and privateKey go together; give both")
        if (self.certificate is None) == (self.pkcs12 is None):
            raise ValueError("give either certificate and privateKey, or pkcs12")
        return self


class GreengrassTransport(Section):
    """Publishes through the Greengrass nucleus that runs edgetally as its component."""

    type: Literal["greengrass"]
    local: bool = Field(True, description="To the other components of the device.")
    iot_core: bool = Field(True, description="To AWS IoT Core.")
    delivery: Literal["accepted", "echoed"] = Field(
        "echoed",
        description="When an event has reached AWS IoT Core. accepted: the nucleus took it, which "
        "may lose it; echoed: it was heard back.",
    )
    shadow: bool = Field(
        True,
        description="Keep the named shadow `edgetally` of the thing up to date, where the nucleus "
        "has shadows.",
    )
    metrics: bool = Field(
        True,
        description="Put metrics of the component, where the nucleus has them and takes them.",
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> GreengrassTransport:
        if not (self.local or self.iot_core):
            raise ValueError("local and iotCore are both off; turn one on or leave it out")
        return self


Transport = Annotated[
    JsonlTransport | ConsoleTransport | MqttTransport | GreengrassTransport,
    Field(discriminator="type"),
]


TRANSPORTS: dict[str, type[Section]] = {
    "jsonl": JsonlTransport,
    "console": ConsoleTransport,
    "mqtt": MqttTransport,
    "greengrass": GreengrassTransport,
}
"""Section of each type."""


class PublishConfig(Section):
    """What is published, and where to."""

    topic_prefix: str = Field(
        "edgetally", pattern=PREFIX_PATTERN, description="First part of each topic."
    )
    thing: Name = Field("local", description="The device's name in topics and messages.")
    detections: DetectionsConfig = DetectionsConfig()
    inventory: InventoryConfig = InventoryConfig()
    health: HealthConfig = HealthConfig()
    outbox: OutboxConfig = OutboxConfig()
    transports: tuple[Transport, ...] = Field(
        (ConsoleTransport(type="console"),), description="Where each message goes."
    )
