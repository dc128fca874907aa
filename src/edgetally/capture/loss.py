"""Why a camera is lost, for the log: in one line and without anything that may be a secret."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.redaction import redact_message
from edgetally.errors import InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from edgetally.capture.connection import Connection
    from edgetally.capture.sources import PlannedSource


def reason_of_loss(plan: PlannedSource, connection: Connection, state: str, source: str) -> str:
    """Say in one line why a connection is over; state: the camera's before, source: as given."""
    failure = connection.failure
    if failure is None:
        return f"{plan.shown} {_complaint(connection, state)}"
    if isinstance(failure, InputError):
        return str(failure)
    place = traceback.extract_tb(failure.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    text = f"{type(failure).__name__} in {where}: {failure}"
    return f"{plan.shown} fails: {shortened(redact_message(text, source))}"


def _complaint(connection: Connection, state: str) -> str:
    if connection.source is None:
        return "does not answer; check the camera and its network"
    if connection.given_up:
        return "hangs; check the camera and its network"
    if connection.source.complaint is not None:
        return connection.source.complaint
    what = "delivers no more pictures" if state == "streaming" else "opens but delivers no picture"
    return f"{what}; check the camera"
