"""The messages: frozen models, snake_case in Python, camelCase in JSON, `schema` first.

Nothing here knows a clock: times are arguments. `docs/schemas` holds the JSON Schema of each.
"""

from edgetally.messaging.messages.answers import (
    InferenceError,
    InferenceResultMessage,
    InventoryResponseMessage,
    ModelResponseMessage,
)
from edgetally.messaging.messages.counted import (
    CameraInventory,
    CountEventMessage,
    InventoryMessage,
    Point,
    SiteStock,
    StockEventMessage,
    Totals,
    ZoneEventMessage,
    event_id,
)
from edgetally.messaging.messages.health import (
    CameraHealth,
    HealthMessage,
    Latency,
    ModelCandidate,
    OutboxHealth,
    StorageHealth,
    TransportHealth,
)
from edgetally.messaging.messages.message import Message, ModelReference, Part, utc
from edgetally.messaging.messages.seen import (
    Box,
    DetectedObject,
    DetectionsMessage,
    FrameReference,
    PixelBox,
)

__all__ = [
    "Box",
    "CameraHealth",
    "CameraInventory",
    "CountEventMessage",
    "DetectedObject",
    "DetectionsMessage",
    "FrameReference",
    "HealthMessage",
    "InferenceError",
    "InferenceResultMessage",
    "InventoryMessage",
    "InventoryResponseMessage",
    "Latency",
    "Message",
    "ModelCandidate",
    "ModelReference",
    "ModelResponseMessage",
    "OutboxHealth",
    "Part",
    "PixelBox",
    "Point",
    "SiteStock",
    "StockEventMessage",
    "StorageHealth",
    "Totals",
    "TransportHealth",
    "ZoneEventMessage",
    "event_id",
    "utc",
]
