"""A device that counts and publishes over MQTT, for tests against a broker."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosquitto_broker import WAIT, Witness, wait_until

from crossing import crossing
from edgetally.config import MqttTransport as MqttConfig
from edgetally.counting.ledger import Ledger
from edgetally.errors import EdgetallyError
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports.mqtt_client import Patience

if TYPE_CHECKING:
    from mosquitto_broker import Certificate

    from edgetally.messaging.transports import Transport
    from edgetally.messaging.transports.mqtt import MqttTransport

TOPIC = "edgetally/dock-1/door/events"
HASTY = Patience(silence=0.5, acknowledgement=1.0, longest_retry=2.0, refused=2.0)
_OUTAGE = 60.0 if os.environ.get("EDGETALLY_SOAK") == "1" else 3.0  # seconds


def settings(
    port: int, certificate: Certificate, root_ca: Path, *, host: str = "localhost", **others: Any
) -> MqttConfig:
    return MqttConfig(
        type="mqtt",
        endpoint=host,
        port=port,
        certificate=certificate.certificate,
        private_key=certificate.private_key,
        root_ca=root_ca,
        keep_alive=5,
        **others,
    )


class Counting:
    """A device's ledger and publisher: counts crossings, and lets their messages leave."""

    def __init__(self, folder: Path, transport: Transport) -> None:
        state = folder / "state"
        state.mkdir()
        self.ledger = Ledger(state)
        self.bodies: set[str] = set()
        self.publisher = Publisher(self.ledger, [transport], rate=2000.0, retry=0.2)

    def count(self, crossings: int) -> None:
        """Count so many at once."""
        with self.ledger.transaction() as entry:
            for _ in range(crossings):
                entry.add(crossing())
                number = entry.next_sequence("dock")
                body = f'{{"sequence":{number},"note":"{"x" * 300}"}}'
                entry.enqueue(TOPIC, body, "count_event")
                self.bodies.add(body)
        self.publisher.notify()

    def check(self, witness: Witness) -> None:
        """See that everything arrived, left the outbox, and that the totals are right."""
        witness.wait_for(self.bodies)
        wait_until(lambda: self.ledger.waiting() == 0, "the outbox is not empty")
        assert self.ledger.totals()["dock"]["door"]["blue box"]["in"] == len(self.bodies)
        sequences = {json.loads(text)["sequence"] for _, text in witness.heard}
        assert sequences == set(range(min(sequences), min(sequences) + len(self.bodies)))


def failure_of(transport: MqttTransport) -> str:
    """Return why a message is not delivered."""
    try:
        error = transport.send(TOPIC, "1").exception(WAIT)
    except EdgetallyError as raised:
        error = raised
    assert isinstance(error, EdgetallyError)
    return str(error)


def outage(ledger: Ledger) -> None:
    """Let the outage last while the ledger goes on."""
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + _OUTAGE, "time stood still", _OUTAGE + WAIT)
    assert ledger.waiting() > 0


def memory() -> int:
    """Return the bytes of memory that this process has in use."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * resource.getpagesize()
