"""One client's connection: the handshake, its calls in their order, its streams."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.call import Call
from edgetally.nucleus.ipc.failure import Failure, service_error
from edgetally.nucleus.wire.frame import PRELUDE, WireError, decode, length_of
from edgetally.nucleus.wire.packet import MessageFlag, MessageType, Packet, read_packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.ipc.server import Host

_VERSION = "0.1.0"
_NAMESPACE = "aws.greengrass#"
_MAY_WAIT = {"SubscribeToIoTCore"}  # while others are answered
_SUBSCRIPTIONS = 90  # of a connection
_INTRODUCTION = 10.0  # seconds that a client has to say who it is
_LEAVING = 1.0  # seconds that a client has to go who was not let in
_HEADERS = 200  # bytes, or a little less
_UNREAD = 1 << 20  # bytes that wait for a client who does not read; what comes after is lost


class RefusedError(Exception):
    """The client did not introduce itself as it should have."""


class Connection:
    """Serves a client until it leaves, breaks the protocol, or is cut off."""

    def __init__(
        self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._streams: dict[int, OpenStream] = {}
        self._answers: set[asyncio.Future[None]] = set()
        self.component = ""

    async def serve(self) -> None:
        """Take messages until the connection ends."""
        try:
            await self._introduce()
            while True:
                await self._take(await self._understood(await self._read()))
        except (WireError, RefusedError) as error:
            self._host.tell(f"{self.component or 'a client'} is disconnected: {error}")
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # it went away, or was cut off
        finally:
            self.forget_streams()
            for answer in self._answers:
                answer.cancel()
            if not self._writer.is_closing():
                self._writer.transport.abort()

    async def _introduce(self) -> None:
        try:
            data = await asyncio.wait_for(self._read(), _INTRODUCTION)
            self._welcome(await self._understood(data))
        except asyncio.TimeoutError:
            raise RefusedError(f"it has not said who it is for {_INTRODUCTION:g} s") from None
        except RefusedError:
            if self._host.errors_have_text:  # lite closes the connection without an answer
                self._send(Packet(MessageType.CONNECT_ACK))
                with suppress(OSError, asyncio.TimeoutError):
                    await asyncio.wait_for(self._reader.read(), _LEAVING)
            raise

    async def _read(self) -> bytes:
        prelude = await self._reader.readexactly(PRELUDE)
        length = length_of(prelude)
        limit = self._host.frame_limit
        if length - PRELUDE > limit:
            raise WireError(f"a frame of {length} bytes, more than {limit}")
        return prelude + await self._reader.readexactly(length - PRELUDE)

    async def _understood(self, frame: bytes) -> Packet:
        await self._host.moving()
        return read_packet(decode(frame))

    def _welcome(self, packet: Packet) -> None:
        if packet.type is not MessageType.CONNECT or packet.stream or packet.flags:
            raise RefusedError("its first message is not CONNECT")
        if packet.version not in ("", _VERSION):
            raise RefusedError(f"it speaks version {packet.version}, not {_VERSION}")
        asked = _json(packet)
        token, name = asked.get("authToken"), asked.get("componentName")
        answer = ""
        if isinstance(token, str):
            self.component = self._host.component_of(token)
            if not self.component or name not in (None, self.component):
                raise RefusedError("its token is not, or no more, valid")
        elif isinstance(name, str):
            answer = self._host.token_of(name, _peer(self._writer))
            if not answer:
                raise RefusedError(f"it says that it is {name}, and is not")
            self.component = name
        else:
            raise RefusedError("it has neither token nor name")
        self._send(
            Packet(MessageType.CONNECT_ACK, flags=MessageFlag.CONNECTION_ACCEPTED, svcuid=answer)
        )

    async def _take(self, packet: Packet) -> None:
        if packet.type is MessageType.PING:
            self._send(Packet(MessageType.PING_RESPONSE, payload=packet.payload))
            return
        if packet.type is not MessageType.APPLICATION_MESSAGE or packet.stream <= 0:
            raise RefusedError(f"a {packet.type.name} on stream {packet.stream}")
        known = self._streams.get(packet.stream)
        if packet.ends_stream:
            if known is not None:
                known.end()
            return
        answer = asyncio.ensure_future(self._answer(packet, _json(packet)))
        if packet.operation.removeprefix(_NAMESPACE) not in _MAY_WAIT:
            await answer
            return
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _answer(self, packet: Packet, arguments: dict[str, Any]) -> None:
        name = packet.operation.removeprefix(_NAMESPACE)
        stream = OpenStream(packet.stream, self._send, self._streams.pop)
        self._streams[packet.stream] = stream
        try:
            body = await self._body(Call(self.component, name, arguments, stream))
        except Exception as error:  # noqa: BLE001 - one request's trouble is not the others'
            stream.end()
            self._refuse(name, packet.stream, error)
            return
        if not stream.is_open:  # it was closed while its answer was waited for
            return
        self._send(
            Packet(
                MessageType.APPLICATION_MESSAGE,
                packet.stream,
                model=f"{_NAMESPACE}{name}Response",
                payload=body,
            )
        )
        stream.start()
        if not stream.is_subscription:
            stream.end()

    async def _body(self, call: Call) -> bytes:
        if call.operation.startswith("SubscribeTo") and self._is_full():
            raise service_error("Exceeded maximum tracked subscriptions.")
        body = _dump(await self._host.answer(call))
        if len(body) + _HEADERS > self._host.frame_limit:
            raise service_error("The answer is larger than a frame.")
        return body

    def _refuse(self, operation: str, stream: int, error: Exception) -> None:
        if isinstance(error, Failure):
            failure = error
        else:  # of our own
            failure = service_error(f"{type(error).__name__}: {error}")
        why = f": {failure.text}" if failure.text else ""
        self._host.tell(f"{self.component}: {operation}: {failure.kind or 'not there'}{why}")
        self._send(
            Packet(
                MessageType.APPLICATION_ERROR,
                stream,
                MessageFlag.TERMINATE_STREAM,
                model=_NAMESPACE + failure.kind if failure.kind else "",
                payload=_dump(failure.to_body(has_text=self._host.errors_have_text)),
            )
        )

    def _is_full(self) -> bool:
        return sum(stream.is_subscription for stream in self._streams.values()) >= _SUBSCRIPTIONS

    def _send(self, packet: Packet) -> None:
        data = packet.to_bytes()
        unread = self._writer.transport.get_write_buffer_size()
        if len(data) > self._host.frame_limit:
            self._host.tell(f"{self.component}: a frame of {len(data)} bytes is not sent")
        elif unread > _UNREAD:
            self._host.tell(f"{self.component}: does not read; {len(data)} bytes are lost")
        else:
            self._writer.write(data)

    def forget_streams(self) -> None:
        """Let every subscription be dead, without a word."""
        for stream in list(self._streams.values()):
            stream.end()

    def cut(self) -> None:
        """End the connection at once."""
        self.forget_streams()
        if not self._writer.is_closing():
            self._writer.transport.abort()


class OpenStream:
    """A stream; events that happen before the call is answered come after the answer."""

    def __init__(
        self, number: int, send: Callable[[Packet], None], forget: Callable[[int, None], Any]
    ) -> None:
        self._number = number
        self._send = send
        self._forget = forget
        self._early: list[Packet] | None = []
        self._ended: list[Callable[[], object]] = []
        self.is_open = True

    def start(self) -> None:
        """The call is answered: what waited may go."""
        early, self._early = self._early or [], None
        for packet in early:
            self._send(packet)

    def send(self, model: str, body: dict[str, Any]) -> None:
        """Send an event."""
        if not self.is_open:
            return
        packet = Packet(
            MessageType.APPLICATION_MESSAGE,
            self._number,
            model=_NAMESPACE + model,
            payload=_dump(body),
        )
        if self._early is None:
            self._send(packet)
        else:
            self._early.append(packet)

    def end(self) -> None:
        """Close it on this side alone."""
        if self.is_open:
            self.is_open = False
            self._forget(self._number, None)
            for ended in self._ended:
                ended()

    def on_end(self, ended: Callable[[], object]) -> None:
        """Call this once, when the stream is closed."""
        self._ended.append(ended)

    @property
    def is_subscription(self) -> bool:
        """Whether it stays open once the call is answered."""
        return bool(self._ended)


def _peer(writer: asyncio.StreamWriter) -> int:
    """Return the process at the other end."""
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    return int(struct.unpack("3i", credentials)[0])


def _json(packet: Packet) -> dict[str, Any]:
    try:
        value = json.loads(packet.payload or b"{}")
    except (ValueError, RecursionError):
        raise WireError("a payload that is no JSON") from None
    if not isinstance(value, dict):
        raise WireError("a payload that is no JSON object")
    return value


def _dump(body: dict[str, Any]) -> bytes:
    # Neither nucleus keeps the order of keys.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
