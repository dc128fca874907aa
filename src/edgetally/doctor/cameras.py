"""The cameras: does each give a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.capture.still import take_still
from edgetally.doctor.finding import note, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.config import CameraConfig
    from edgetally.doctor.finding import Finding


def camera(config: CameraConfig) -> Iterator[Finding]:
    """Take a picture of the source; InputError, with the reason, where there is none."""
    subject = f"camera {config.name}"
    height, width = take_still(config).shape[:2]
    yield ok(subject, f"gives pictures, {width} x {height}")
    if not config.lines and not config.zones:
        yield note(
            subject, "has neither lines nor zones", "place them: edgetally calibrate shows where"
        )
