"""What a frame says in event stream RPC: its type, its flags, its stream, its operation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edgetally.nucleus.wire.frame import Frame, Header, HeaderType, WireError, encode

JSON = "application/json"
_TYPE = ":message-type"
_FLAGS = ":message-flags"
_STREAM = ":stream-id"
_CONTENT = ":content-type"
_OPERATION = "operation"
_MODEL = "service-model-type"


class MessageType(IntEnum):
    """Types by the number that stands for them."""

    APPLICATION_MESSAGE = 0
    APPLICATION_ERROR = 1
    PING = 2
    PING_RESPONSE = 3
    CONNECT = 4
    CONNECT_ACK = 5
    PROTOCOL_ERROR = 6
    INTERNAL_ERROR = 7


class MessageFlag:
    """Bits of a packet's flags."""

    NONE = 0
    CONNECTION_ACCEPTED = 1
    TERMINATE_STREAM = 2


@dataclass(frozen=True)
class Packet:
    """One message. Stream 0 is the connection itself.

    operation: what a client asks for, such as `aws.greengrass#PublishToTopic`. model: the shape
    of the payload, such as `aws.greengrass#PublishToTopicResponse`. version: of CONNECT.
    """

    type: MessageType
    stream: int = 0
    flags: int = MessageFlag.NONE
    operation: str = ""
    model: str = ""
    payload: bytes = b""
    version: str = ""
    svcuid: str = ""

    @property
    def ends_stream(self) -> bool:
        """Whether nothing more comes on this stream."""
        return bool(self.flags & MessageFlag.TERMINATE_STREAM)

    def to_bytes(self) -> bytes:
        """Return the frame that says it."""
        headers = [
            Header(_TYPE, HeaderType.INT32, int(self.type)),
            Header(_FLAGS, HeaderType.INT32, self.flags),
            Header(_STREAM, HeaderType.INT32, self.stream),
        ]
        texts = {
            ":version": self.version,
            _OPERATION: self.operation,
            _CONTENT: JSON if self.model else "",
            _MODEL: self.model,
            "svcuid": self.svcuid,
        }
        headers += [Header(name, HeaderType.STRING, text) for name, text in texts.items() if text]
        return encode(Frame(tuple(headers), self.payload))


def read_packet(frame: Frame) -> Packet:
    """Return what a frame says. WireError where it says nothing."""
    number = _number(frame, _TYPE)
    try:
        kind = MessageType(number)
    except ValueError:
        raise WireError(f"a message of the unknown type {number}") from None
    return Packet(
        kind,
        stream=_number(frame, _STREAM),
        flags=_number(frame, _FLAGS),
        operation=_text(frame, _OPERATION),
        model=_text(frame, _MODEL),
        payload=frame.payload,
        version=_text(frame, ":version"),
        svcuid=_text(frame, "svcuid"),
    )


def _number(frame: Frame, name: str) -> int:
    for header in frame.headers:
        if header.name == name and header.type is HeaderType.INT32:
            return int(header.value)
    raise WireError(f"a message without {name}")


def _text(frame: Frame, name: str) -> str:
    for header in frame.headers:
        if header.name == name and header.type is HeaderType.STRING:
            return str(header.value)
    return ""
