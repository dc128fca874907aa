"""The wire of Greengrass IPC: event stream frames, and the remote procedure calls in them."""

from edgetally.nucleus.wire.frame import Frame, Header, HeaderType, WireError, decode, encode
from edgetally.nucleus.wire.packet import MessageFlag, MessageType, Packet, read_packet

__all__ = [
    "Frame",
    "Header",
    "HeaderType",
    "MessageFlag",
    "MessageType",
    "Packet",
    "WireError",
    "decode",
    "encode",
    "read_packet",
]
