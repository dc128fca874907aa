"""Shadows of things, as strict as aws.greengrass.ShadowManager is about them."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import Failure, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.ipc import Call

_LARGEST = 8192  # bytes of what is desired and reported
_DEEPEST = 6  # levels of the state
_LONGEST_THING, _LONGEST_NAME = 128, 64  # characters
_NAME = re.compile("[a-zA-Z0-9:_-]+")


class Shadows:
    """Shadows by thing and name, kept in memory. tell: gets a line for each that changes."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        self._tell = tell

    async def read(self, call: Call) -> dict[str, Any]:
        """GetThingShadow."""
        name = _names(call)
        if name not in self.known:
            raise Failure("ResourceNotFoundError", f"no shadow {'/'.join(name)}")
        return {"payload": _encoded(self.known[name])}

    async def update(self, call: Call) -> dict[str, Any]:
        """UpdateThingShadow."""
        name = _names(call)
        document = _document(call)
        known = self.known.get(name, {"state": {}, "version": 0})
        expected = document.get("version")
        if expected not in (None, known["version"] or 1):
            if name not in self.known:
                raise refused("Invalid version")
            raise Failure("ConflictError", "Version conflict")
        merged = _merged(known["state"], document["state"])
        if sum(len(_compact(merged[part])) for part in _parts(merged)) > _LARGEST:
            raise refused("The payload exceeds the maximum size allowed")
        version = known["version"] + 1
        self.known[name] = {"state": merged, "version": version, "timestamp": int(time.time())}
        self._tell(f"{call.component}: shadow {'/'.join(name)}: version {version}")
        return {"payload": _encoded({**self.known[name], "state": document["state"]})}


def shadow_resource(call: Call) -> str:
    """Return the shadow that a request names, as policies do."""
    thing, name = call.arguments.get("thingName"), call.arguments.get("shadowName")
    return f"$aws/things/{thing}/shadow" + (f"/name/{name}" if name else "")


def _names(call: Call) -> tuple[str, str]:
    thing, name = call.arguments.get("thingName"), call.arguments.get("shadowName") or ""
    for what, value, longest in (("Thing", thing, _LONGEST_THING), ("Shadow", name, _LONGEST_NAME)):
        if what == "Shadow" and not value:
            continue  # the classic shadow
        if not isinstance(value, str) or len(value) > longest or not _NAME.fullmatch(value):
            raise refused(f"{what}Name is missing, too long or has other characters")
    return str(thing), str(name)


def _document(call: Call) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(call.text("payload")))
    except ValueError:
        document = None
    if not isinstance(document, dict) or "state" not in document:
        raise refused("Missing required node: state")
    state = {} if document["state"] is None else document["state"]
    if not isinstance(state, dict) or (state and not _parts(state)):
        raise refused("Invalid JSON: state has neither reported nor desired")
    if not all(isinstance(state[part], (dict, type(None))) for part in _parts(state)):
        raise refused("Invalid JSON: reported and desired are objects")
    if _depth(state) > _DEEPEST:
        raise refused("JSON contains too many levels of nesting; maximum is 6")
    return {**document, "state": state}


def _parts(state: dict[str, Any]) -> list[str]:
    return [part for part in ("desired", "reported") if part in state]


def _depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, children), default=0)


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _encoded(document: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def _merged(known: Any, new: Any) -> Any:
    """Merge as shadows do: null takes a key away, a list takes the place of another."""
    if not isinstance(new, dict):
        return new
    merged = dict(known) if isinstance(known, dict) else {}
    for key, value in new.items():
        merged[key] = _merged(merged.get(key), value)
    return {key: value for key, value in merged.items() if value is not None}
