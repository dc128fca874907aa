"""Who we are to a broker, and whom we believe to be one: certificate, key, authority."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.config import MqttTransport as MqttConfig

_log = logging.getLogger(__name__)
# How each begins in PEM, whatever its kind: RFC 7468.
_CERTIFICATE, _KEY = b"CERTIFICATE-----", b"PRIVATE KEY-----"


@dataclass(frozen=True)
class Identity:
    """What a handshake needs, in PEM.

    certificate: the device's, then those between it and its authority.
    root_ca: authorities that may have signed the broker's; None: the system's.
    """

    certificate: bytes
    private_key: bytes = field(repr=False)
    root_ca: bytes | None

    def context(self) -> ssl.SSLContext:
        """Return a context of Python's own TLS. ssl.SSLError where the parts don't fit."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.root_ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=self.root_ca.decode("ascii", "replace"))
        with _in_memory(self.certificate + b"\n" + self.private_key) as path:
            # A password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(path, password="")
        return context


def read_identity(config: MqttConfig) -> Identity:
    """Read the files that a configuration names.

    InputError where one can't be read, or certificate and key don't belong together.
    """
    root_ca = None if config.root_ca is None else _read(config.root_ca, "root CA")
    if config.pkcs12 is not None:
        certificate, private_key = _read_pkcs12(config.pkcs12, config.pkcs12_password_file)
        source = f"PKCS#12 file {config.pkcs12}"
    elif config.certificate is None or config.private_key is None:
        raise InputError("mqtt transport: give certificate and privateKey, or pkcs12")
    else:
        certificate = _read(config.certificate, "certificate")
        private_key = _read(config.private_key, "private key")
        _tell_apart(certificate, private_key, config)
        source = f"certificate {config.certificate} and private key {config.private_key}"
    identity = Identity(certificate, private_key, root_ca)
    if root_ca is not None and b"-----BEGIN CERTIFICATE-----" not in root_ca:
        raise InputError(
            f"root CA {config.root_ca}: holds no PEM certificate; give the authority's"
        )
    try:
        identity.context()
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise InputError(f"{source}: the key is of another certificate") from None
        raise InputError(
            f"{source}: not a PEM certificate with a PEM key without password; check the files"
        ) from None
    return identity


def warn_of_open_secrets(config: MqttConfig) -> None:
    """Log a line for each file with a secret that others on the device may read."""
    for path in (config.private_key, config.pkcs12, config.pkcs12_password_file):
        with contextlib.suppress(OSError):
            if path is not None and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
                _log.warning("%s: others may read it (mode %o); chmod 600 it", path, mode)


def _tell_apart(certificate: bytes, private_key: bytes, config: MqttConfig) -> None:
    """See that each file holds what it is for: Python's TLS takes them the other way round too."""
    if _CERTIFICATE in certificate and _KEY in private_key:
        return
    if _KEY in certificate and _CERTIFICATE in private_key:
        raise InputError(
            f"certificate {config.certificate} holds a private key, and private key "
            f"{config.private_key} a certificate; swap the two"
        )
    if _CERTIFICATE not in certificate:
        raise InputError(
            f"certificate {config.certificate}: holds no PEM certificate; give the device's"
        )
    raise InputError(
        f"private key {config.private_key}: holds no PEM private key; give the certificate's"
    )


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} {path}: {error.strerror}; give a file that can be read") from None


def _read_pkcs12(path: Path, password_file: Path | None) -> tuple[bytes, bytes]:
    # awscrt takes PKCS#12 on Apple's systems alone: awscrt.io, create_client_with_mtls_pkcs12.
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - an extra
            Encoding,
            NoEncryption,
            PrivateFormat,
            pkcs12,
        )
    except ImportError:
        raise InputError(
            f"PKCS#12 file {path}: needs the package cryptography; install edgetally[pkcs12], "
            "or give certificate and privateKey in its place"
        ) from None
    password = None
    if password_file is not None:
        lines = _read(password_file, "PKCS#12 password file").splitlines()
        password = lines[0] if lines else b""
    content = _read(path, "PKCS#12 file")
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, password)
    except ValueError:
        wrong = (
            "or it has a password; give pkcs12PasswordFile"
            if password is None
            else "or not of this password; check pkcs12PasswordFile"
        )
        raise InputError(f"PKCS#12 file {path}: not PKCS#12, {wrong}") from None
    if key is None or certificate is None:
        raise InputError(f"PKCS#12 file {path}: lacks a certificate or its key")
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (certificate, *others))
    return chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Give a path to content that must not touch a disk; Python's TLS reads from paths only."""
    descriptor = os.memfd_create("identity")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
