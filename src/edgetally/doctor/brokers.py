"""The transports: files that can be written, brokers that can be reached and that trust us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetally.config import JsonlTransport, MqttTransport
from edgetally.doctor.finding import note, ok, wrong
from edgetally.doctor.places import nearest, remedy, why_not_appended
from edgetally.messaging.transports.mqtt_failure import probe
from edgetally.messaging.transports.mqtt_identity import read_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.config import Transport
    from edgetally.doctor.finding import Finding

_SOON = 30 * 86400.0


def transport(config: Transport) -> Iterator[Finding]:
    """Look at one transport, without sending anything by it."""
    if isinstance(config, JsonlTransport):
        yield from _file(config)
    elif isinstance(config, MqttTransport):
        yield from _broker(config)


def _file(config: JsonlTransport) -> Iterator[Finding]:
    subject, file = f"transport {config.path}", config.path.absolute()
    error = why_not_appended(file)
    if error is None:
        yield ok(subject, "can be written")
    else:
        reason = f"can't be written ({error.strerror})"
        yield wrong(subject, reason, remedy(error, nearest(file)))


def _broker(config: MqttTransport) -> Iterator[Finding]:
    subject = f"broker {config.endpoint}:{config.port}"
    identity = read_identity(config)
    yield from _validity(subject, identity.certificate)
    failure = probe(identity, config.endpoint, config.port)
    if failure is not None:
        yield wrong(subject, failure.reason)
    else:
        yield ok(subject, "reached, and both certificates are accepted")


def _validity(subject: str, pem: bytes) -> Iterator[Finding]:
    """Tell how long the device's certificate is valid, where something here can read it."""
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
    except ImportError:
        return
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    first = pem[pem.index(begin) : pem.index(end) + len(end)]
    ends = x509.load_pem_x509_certificate(first).not_valid_after_utc.timestamp()
    left = ends - time.time()
    shown = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if left < 0:
        yield wrong(subject, f"our certificate has expired ({shown})", "renew it")
    elif left < _SOON:
        yield note(subject, f"our certificate expires on {shown}", "renew it")
