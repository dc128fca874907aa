"""Why a broker can't be reached: one line for the person who must act."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetally.messaging.transports.mqtt_identity import Identity

_PROBE_TIMEOUT = 10.0  # seconds
_ALERT_TIMEOUT = 2.0  # seconds; a refusal follows the handshake, where it is TLS 1.3
_ALPN_PORT, _ALPN = 443, "x-amzn-mqtt-ca"  # of AWS IoT
_CLOCK = "renew it, or set the device's clock"

# verify_code of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = (62, 64)  # host name, IP address

# names of AWS's common runtime; its numbers are not promised
_NETWORK = {
    "AWS_IO_DNS_INVALID_NAME": "host not found; check endpoint and the device's DNS",
    "AWS_IO_DNS_NO_ADDRESS_FOR_HOST": "host not found; check endpoint and the device's DNS",
    "AWS_IO_DNS_QUERY_FAILED": "host not found; check endpoint and the device's DNS",
    "AWS_IO_DNS_QUERY_AGAIN": "host not found; check the device's network and DNS",
    "AWS_IO_SOCKET_CONNECTION_REFUSED": "connection refused; check port, and that a broker runs",
    "AWS_IO_SOCKET_TIMEOUT": "no answer; check network and firewall",
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT": "no answer to the TLS handshake; check network and port",
    "AWS_ERROR_MQTT5_CONNACK_TIMEOUT": "no answer to CONNECT; check that an MQTT 5 broker runs",
    "AWS_ERROR_MQTT5_PING_RESPONSE_TIMEOUT": "no answer to a ping; the network is broken",
    "AWS_IO_SOCKET_NO_ROUTE_TO_HOST": "no route to the host; check the device's network",
    "AWS_IO_SOCKET_NETWORK_DOWN": "the network is down",
    "AWS_ERROR_MQTT5_DECODE_PROTOCOL_ERROR": "what answers there does not speak MQTT 5",
}
_HUNG_UP = ("AWS_IO_SOCKET_CLOSED", "AWS_ERROR_MQTT_UNEXPECTED_HANGUP")

_CLOSED = (
    "the broker closed the connection; if it goes on, check that certificate and client "
    "id are allowed, and that no other client has the id"
)

_ENDED_HANDSHAKE = (
    "what answers there does not speak TLS, or is not ready: it closed the connection within the "
    "handshake; check endpoint and port"
)

_REFUSALS = {
    "NOT_AUTHORIZED": "not authorized; allow this client id to connect, and its last will's topic",
    "CLIENT_IDENTIFIER_NOT_VALID": "the client id is not allowed; set clientId",
    "BAD_USERNAME_OR_PASSWORD": "it wants a password; let it trust certificates",
    "UNSUPPORTED_PROTOCOL_VERSION": "it does not speak MQTT 5",
    "BANNED": "this client is banned",
}
_ALERTS = {
    "UNKNOWN_CA": "its authority does not count there; register the certificate with the broker",
    "CERTIFICATE_EXPIRED": "it has expired; renew it",
    "CERTIFICATE_REVOKED": "it was revoked; issue another",
    "CERTIFICATE_REQUIRED": "none was accepted; check certificate and privateKey",
    "BAD_CERTIFICATE": "it is not accepted; check that it is of this broker",
    "CERTIFICATE_UNKNOWN": "it is not accepted; check that it is of this broker, and active",
    "UNSUPPORTED_CERTIFICATE": "its kind is not accepted; issue an RSA or P-256 one",
    "ACCESS_DENIED": "access denied; check that it is active",
    "DECRYPT_ERROR": "its signature is not accepted; check certificate and privateKey",
    "HANDSHAKE_FAILURE": "no common cipher, or no accepted certificate",
}


@dataclass(frozen=True)
class Failure:
    """Why, in a line; `lasting` where only a person mends it, and trying again soon is no use."""

    reason: str
    lasting: bool = False


def words(code: str) -> str:
    """Return a reason code's name as words.

    >>> words("NOT_AUTHORIZED")
    'not authorized'
    """
    return code.lower().replace("_", " ")


def network_failure(error: str) -> Failure | None:
    """Return what an error of the network's means, None for another; `error`: its name."""
    if error in _HUNG_UP:
        return Failure(_CLOSED)
    text = _NETWORK.get(error)
    return Failure(text) if text else None


def is_hang_up(error: str) -> bool:
    """Tell whether the other end closed the connection; `error`: the name of the network's."""
    return error in _HUNG_UP


def hang_up(often: str | None) -> Failure:
    """Return what it means that a broker ended a connection without a word.

    often: the client id, where it did so several times in a row soon after it accepted us.
    """
    if often is None:
        return Failure(f"connection lost: {_CLOSED}")
    return Failure(
        "connection lost: the broker closes each connection soon after it accepted it; perhaps "
        f"another client uses the same client id, {often}: give each its own"
    )


def refusal(code: str) -> Failure:
    """Return what a CONNACK's reason code means; `code`: its name in MQTT 5, table 3-1."""
    if text := _REFUSALS.get(code):
        return Failure(f"the broker refused the connection: {text}", lasting=True)
    return Failure(f"the broker refused the connection: {words(code)}")


def disconnection(code: str) -> Failure:
    """Return what a DISCONNECT's reason code means; `code`: its name in MQTT 5, table 3-10."""
    if code == "SESSION_TAKEN_OVER":
        return Failure("another client came with this client id; give each its own")
    return Failure(f"the broker disconnected: {words(code)}")


def probe(identity: Identity, host: str, port: int) -> Failure | None:
    """Shake hands with Python's own TLS, which tells why it fails.

    None only where both certificates were accepted; that no MQTT is spoken there may still be.
    """
    context = identity.context()
    if port == _ALPN_PORT:
        context.set_alpn_protocols([_ALPN])
    try:
        plain = socket.create_connection((host, port), _PROBE_TIMEOUT)
    except (OSError, ValueError) as error:  # ValueError: a host name that can't be one
        reason = getattr(error, "strerror", None) or error
        return Failure(f"can't be reached ({reason}); check endpoint, network and firewall")
    try:
        with plain, context.wrap_socket(plain, server_hostname=host) as secure:
            return _after_handshake(secure)
    except ssl.SSLCertVerificationError as error:
        return _distrust(error)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return Failure(_ENDED_HANDSHAKE)
    except ssl.SSLError as error:
        return _alert(error.reason or "")
    except TimeoutError:
        return network_failure("AWS_IO_TLS_NEGOTIATION_TIMEOUT")
    except OSError:
        return Failure(_ENDED_HANDSHAKE)


def _after_handshake(secure: ssl.SSLSocket) -> Failure | None:
    """See that the other end waits for us to speak.

    One of TLS 1.3 looks at our certificate when the handshake is over for us, and a broker never
    speaks first: silence is all that tells of acceptance.
    """
    secure.settimeout(_ALERT_TIMEOUT)
    try:
        heard = secure.recv(1)
    except TimeoutError:
        return None
    except ConnectionError:
        heard = b""
    if heard:
        return network_failure("AWS_ERROR_MQTT5_DECODE_PROTOCOL_ERROR")
    return Failure(
        "the broker closed the connection after the TLS handshake; check that our certificate is "
        "allowed there, and endpoint and port"
    )


def _distrust(error: ssl.SSLCertVerificationError) -> Failure:
    if error.verify_code == _EXPIRED:
        return Failure(f"the broker's certificate has expired; {_CLOCK}", lasting=True)
    if error.verify_code == _NOT_YET_VALID:
        return Failure("the broker's certificate is not valid yet; set the device's clock")
    if error.verify_code in _WRONG_NAME:
        return Failure("the broker's certificate is for another host; check endpoint", lasting=True)
    return Failure(
        f"the broker's certificate is not signed by rootCa ({error.verify_message}); "
        "give the authority that signed it",
        lasting=True,
    )


def _alert(reason: str) -> Failure:
    for name, text in _ALERTS.items():
        if reason.endswith(f"ALERT_{name}"):
            return Failure(f"the broker refused our certificate: {text}", lasting=True)
    if reason.endswith("NO_APPLICATION_PROTOCOL"):
        return Failure("port 443 of this broker does not speak AWS IoT's ALPN", lasting=True)
    if "ALERT" in reason:
        return Failure(f"the broker ended the TLS handshake: {reason}", lasting=True)
    # OpenSSL has no one name for what is no TLS, and from 3.2 on perhaps none that Python knows.
    told = f" ({words(reason)})" if reason else ""
    return Failure(
        f"what answers there does not speak TLS, or none that we do{told}; check endpoint and port"
    )
