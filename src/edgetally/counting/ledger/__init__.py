"""The ledger: counts that survive, and the messages that tell of them."""

from edgetally.counting.ledger.entry import Entry
from edgetally.counting.ledger.ledger import Ledger, LedgerError
from edgetally.counting.ledger.schema import FILE_NAME
from edgetally.counting.ledger.storage import Storage
from edgetally.counting.ledger.values import (
    Correction,
    MessageKind,
    OutboxBounds,
    OutboxMessage,
    OutboxStatus,
    Record,
    RecordedCrossing,
    RecordedZoneEvent,
    SeenStock,
    Stock,
    StorageState,
    Totals,
)

__all__ = [
    "FILE_NAME",
    "Correction",
    "Entry",
    "Ledger",
    "LedgerError",
    "MessageKind",
    "OutboxBounds",
    "OutboxMessage",
    "OutboxStatus",
    "Record",
    "RecordedCrossing",
    "RecordedZoneEvent",
    "SeenStock",
    "Stock",
    "Storage",
    "StorageState",
    "Totals",
]
