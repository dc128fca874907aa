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
    Message,
)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MESSAGES: dict[str, type[Message]] = {
    "detections": DetectionsMessage,
    "count_event": CountEventMessage,
    "inventory": InventoryMessage,
    "health": HealthMessage,
    "inference_result": InferenceResultMessage,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of each message, by the name of its file."""
    return {name: _schema_of(model) for name, model in _MESSAGES.items()}


def _schema_of(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    for part in [schema, *schema["$defs"].values()]:
        for name, field in part["properties"].items():
            # pydantic gives most fields a title, but not all, and spells trackId Trackid.
            field["title"] = re.sub("([A-Z])", r" \1", name).capitalize()
    return {"$schema": _DIALECT, **schema}
