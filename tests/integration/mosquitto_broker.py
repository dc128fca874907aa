"""A real broker, mosquitto with mutual TLS, that can be killed and brought back."""

from __future__ import annotations

import datetime as dt
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 30.0
_MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"  # not in every user's PATH
_SUBSCRIBER = "mosquitto_sub"
_DAY = dt.timedelta(days=1)
_PASSWORD = b"a secret"


def need_mosquitto() -> None:
    """Skip the test where the broker or its client is not installed."""
    if not Path(_MOSQUITTO).exists() or not shutil.which(_SUBSCRIBER):
        pytest.skip("needs Debian's mosquitto and mosquitto-clients")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files, and both as a PKCS#12 file."""

    certificate: Path
    private_key: Path
    pkcs12: Path
    password_file: Path


class Authority:
    """Signs certificates into a folder; `root` is the file of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            _describe(self._name, self._name, self._key.public_key(), expired=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.root = folder / f"{name}.pem"
        self.root.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, *addresses: str, expired: bool = False) -> Certificate:
        """Sign a certificate; `addresses`: hosts or IP addresses that a server's is for."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        described = _describe(subject, self._name, key.public_key(), expired=expired)
        if addresses:
            names = [_general_name(address) for address in addresses]
            described = described.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = described.sign(self._key, hashes.SHA256())
        made = Certificate(
            self._folder / f"{name}.pem",
            self._folder / f"{name}.key",
            self._folder / f"{name}.p12",
            self._folder / f"{name}.password",
        )
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        _write_secret(
            made.private_key,
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        _write_secret(
            made.pkcs12,
            pkcs12.serialize_key_and_certificates(
                name.encode(), key, certificate, None, BestAvailableEncryption(_PASSWORD)
            ),
        )
        _write_secret(made.password_file, _PASSWORD + b"\n")
        return made


def _describe(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now - _DAY if expired else now + _DAY)
    )


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


class MosquittoBroker:
    """mosquitto that wants a certificate of `authority`, and an open door for witnesses.

    It keeps sessions over a SIGKILL once `save` was called. `inside`: the command that runs it
    somewhere else, such as `ip netns exec NAME`; then `address` is its address there. `allowed`:
    the topics that devices may publish to.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        server: Certificate,
        *,
        address: str = "127.0.0.1",
        inside: tuple[str, ...] = (),
        allowed: tuple[str, ...] = ("#",),
    ) -> None:
        need_mosquitto()
        self.address = address
        self.port, self.open_port = _free_ports(2)
        self._log = folder / "mosquitto.log"
        self._inside = inside
        self._settings = folder / "mosquitto.conf"
        rights = folder / "rights"
        rights.write_text("".join(f"pattern readwrite {topic}\n" for topic in allowed))
        rights.chmod(0o600)
        self._settings.write_text(
            f"""per_listener_settings true
user root
log_dest file {self._log}
log_type all
persistence true
persistence_location {folder}/
autosave_interval 0
max_inflight_messages 0
max_queued_messages 0
listener {self.port} {address}
cafile {authority.root}
certfile {server.certificate}
keyfile {server.private_key}
require_certificate true
use_identity_as_username true
acl_file {rights}
listener {self.open_port} {address}
allow_anonymous true
"""
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        said = self._count("running")
        self._process = subprocess.Popen(
            [*self._inside, _MOSQUITTO, "-c", str(self._settings)], stderr=subprocess.DEVNULL
        )
        wait_until(lambda: self._count("running") > said, "mosquitto did not start")

    def kill(self) -> None:
        """End it as a power cut does."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def save(self) -> None:
        """Write sessions and subscriptions to its disk."""
        saved = self._count("Saving in-memory database")
        self._signal(signal.SIGUSR1)
        wait_until(lambda: self._count("Saving in-memory database") > saved, "nothing was saved")

    def connections(self) -> int:
        """Return how often someone came to the door that wants a certificate."""
        return self._count(f"on port {self.port}")

    def disconnections(self) -> int:
        """Return how often a client took its leave."""
        return self._count("Received DISCONNECT from dock-1")

    def _count(self, words: str) -> int:
        return self._log.read_text().count(words) if self._log.exists() else 0

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Witness:
    """Another client's view: `mosquitto_sub` with a session that outlives connections.

    heard: what came, as (topic, text), oldest first.
    """

    def __init__(self, broker: MosquittoBroker, topic: str, inside: tuple[str, ...] = ()) -> None:
        self.heard: list[tuple[str, str]] = []
        self._process = subprocess.Popen(
            [
                *inside,
                *("stdbuf", "-oL"),  # it would keep lines back from a pipe
                *(_SUBSCRIBER, "-h", broker.address, "-p", str(broker.open_port)),
                *("-V", "mqttv311", "-c", "-i", "witness", "-q", "1", "-k", "5"),
                *("-t", topic, "-F", "%t %p", "-d"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self._subscribed = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        if not self._subscribed.wait(WAIT):
            self.close()
            pytest.fail("the witness did not subscribe")
        broker.save()

    def wait_for(self, texts: set[str]) -> None:
        """Wait until each of them was heard."""
        wait_until(lambda: texts <= {text for _, text in list(self.heard)}, "messages are missing")

    def close(self) -> None:
        """Stop listening."""
        self._process.kill()
        self._process.wait()
        self._thread.join(WAIT)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("Subscribed"):
                self._subscribed.set()
            elif not line.startswith("Client "):
                topic, _, text = line.rstrip("\n").partition(" ")
                self.heard.append((topic, text))


def wait_until(happened: Callable[[], bool], otherwise: str, timeout: float = WAIT) -> None:
    """Wait for what no event tells of: another process's doing."""
    tick = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if happened():
            return
        tick.wait(0.02)
    pytest.fail(f"{otherwise} within {timeout:g} s")


def _free_ports(count: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in listening]
    for server in listening:
        server.close()
    return ports
