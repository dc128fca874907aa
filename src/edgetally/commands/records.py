"""How `edgetally inventory` shows what the ledger keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetally.counting.ledger import Correction, RecordedCrossing, RecordedZoneEvent
from edgetally.messaging.messages import utc

if TYPE_CHECKING:
    from edgetally.counting.ledger import Record


def record_as_dict(record: Record) -> dict[str, Any]:
    """Return what the ledger has of something, for JSON."""
    shown: dict[str, Any] = {"time": shown_time(record.time), "site": record.site}
    match record:
        case Correction():
            return shown | {
                "kind": "correction",
                "class": record.class_name,
                "count": record.count,
                "before": record.before,
                "author": record.author,
                "note": record.note,
                "requestId": record.request_id,
            }
        case RecordedCrossing(event=event):
            return shown | {
                "kind": event.direction,
                "class": event.class_name,
                "camera": event.camera,
                "line": event.line,
                "trackId": event.track_id,
                "score": round(event.score, 4),
            }
        case RecordedZoneEvent(event=happened):
            return shown | {
                "kind": happened.kind,
                "class": happened.class_name,
                "camera": happened.camera,
                "zone": happened.zone,
                "trackId": happened.track_id,
                "seconds": round(happened.seconds, 3),
            }


def record_as_line(record: Record) -> str:
    """Return the same in a line, for people."""
    begin = f"{shown_time(record.time)}  {record.site}, "
    match record:
        case Correction():
            note = f": {record.note}" if record.note else ""
            return (
                f"{begin}{record.class_name}: {record.count}, was {record.before}, "
                f"by {record.author}{note}"
            )
        case RecordedCrossing(event=event):
            return f"{begin}{event.class_name}: {event.direction} at {event.camera}, {event.line}"
        case RecordedZoneEvent(event=happened):
            return (
                f"{begin}{happened.class_name}: {happened.kind} at {happened.camera}, "
                f"{happened.zone}"
            )


def shown_time(seconds: float | None) -> str | None:
    """Return a time as messages tell it; seconds since the Unix epoch, None: never."""
    if seconds is None:
        return None
    return utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
