"""A broker of MQTT 5 over mutual TLS that does what no real one can be told to."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mosquitto_broker import Certificate

_WAIT = 30.0
# Packet types and answers: MQTT 5, 2.1.2, 3.2, 3.4, 3.13 and 3.14.
_CONNECT, _PUBLISH, _PINGREQ = 1, 3, 12
_PINGRESP = b"\xd0\x00"


class SwallowingBroker:
    """Takes every message and acknowledges none.

    connack, puback: reason codes with which it refuses connections, or answers messages.
    connections: how many CONNECTs it answered; published: how many PUBLISHes it took.
    protocols: what ALPN agreed on, for each connection.
    """

    def __init__(
        self,
        server: Certificate,
        authority: Path,
        *,
        connack: int = 0,
        puback: int | None = None,
        port: int = 0,
    ) -> None:
        self._connack = b"\x20\x03\x00%c\x00" % connack
        self._puback = puback
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.certificate, server.private_key)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["x-amzn-mqtt-ca", "mqtt"])
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self.published = 0
        self.protocols: list[str | None] = []
        self._changed = threading.Condition()
        self._open: list[ssl.SSLSocket] = []
        self._threads = [threading.Thread(target=self._listen)]

    def __enter__(self) -> SwallowingBroker:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):  # its other end was faster
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(_WAIT)

    def wait_for_connections(self, count: int) -> None:
        """Wait until so many clients, or one so often, have connected."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= count, _WAIT)

    def disconnect(self, code: int) -> None:
        """Send everyone away, with a reason code."""
        for secure in self._open:
            secure.sendall(b"\xe0\x02%c\x00" % code)

    def _listen(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as secure:
                self._open.append(secure)
                self.protocols.append(secure.selected_alpn_protocol())
                while self._take(secure):
                    pass
        except OSError:
            return  # the client left, or never said anything

    def _take(self, secure: ssl.SSLSocket) -> bool:
        first = secure.recv(1)
        if not first:
            return False
        kind = first[0] >> 4
        body = _receive(secure, _receive_length(secure))
        if kind == _CONNECT:
            secure.sendall(self._connack)
        elif kind == _PUBLISH and self._puback is not None:
            identifier = body[2 + int.from_bytes(body[:2], "big") :][:2]  # after the topic
            secure.sendall(b"\x40\x03%b%c" % (identifier, self._puback))
        elif kind == _PINGREQ:
            secure.sendall(_PINGRESP)
        with self._changed:
            self.connections += kind == _CONNECT
            self.published += kind == _PUBLISH
            self._changed.notify_all()
        return True


def _receive_length(secure: ssl.SSLSocket) -> int:
    """Read a packet's remaining length: MQTT 5, 1.5.5."""
    length = shift = 0
    while True:
        byte = _receive(secure, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return length


def _receive(secure: ssl.SSLSocket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        part = secure.recv(length - len(content))
        if not part:
            raise ConnectionError("the client left within a packet")
        content += part
    return content
