"""The JSON Schemas of the messages, made from the models."""

from __future__ import annotations

import re
from typing import Any

from edgetally.messaging.messages import (
    CountEventMessage,
    DetectionsMessage,
    HealthMessage,
    InferenceResultMessage,
    InventoryMessage,
    InventoryResponseMessage,
    Message,
    ModelResponseMessage,
    StockEventMessage,
    ZoneEventMessage,
)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MESSAGES: dict[str, type[Message]] = {
    "detections": DetectionsMessage,
    "count_event": CountEventMessage,
    "zone_event": ZoneEventMessage,
    "stock_event": StockEventMessage,
    "inventory": InventoryMessage,
    "health": HealthMessage,
    "inference_result": InferenceResultMessage,
    "inventory_response": InventoryResponseMessage,
    "model_response": ModelResponseMessage,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of each message, by the name of its file.

    They are open, so that who keeps one takes what a later edgetally adds within the version.
    """
    return {name: _schema_of(model) for name, model in _MESSAGES.items()}


def _schema_of(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        del part["additionalProperties"]
        for name, field in part["properties"].items():
            # pydantic gives most fields a title, but not all, and spells trackId Trackid.
            field["title"] = re.sub("([A-Z])", r" \1", name).capitalize()
            if "default" in field and field.pop("default") is None:
                part["required"].remove(name)  # added later, and not in every message
    return {"$schema": _DIALECT, **schema}
