"""The cameras: does each give a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.capture.still import take_still
from edgetally.doctor.finding import note, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.config import CameraConfig
    from edgetally.doctor.finding import Finding


def camera(config: CameraConfig, secret: Callable[[str], str] | None) -> Iterator[Finding]:
    """Take a picture of the source; InputError, with the reason, where there is none.

    secret: as `find_login` wants it.
    """
    subject = f"camera {config.name}"
    if config.secret_arn is not None and config.credentials_file is None and secret is None:
        yield note(
            subject,
            "is not tried: only a nucleus has its secret",
            "let the nucleus run doctor as the component's run step, or give credentialsFile",
        )
        return
    height, width = take_still(config, secret).shape[:2]
    yield ok(subject, f"gives pictures, {width} x {height}")
    if not config.lines and not config.zones:
        yield note(
            subject, "has neither lines nor zones", "place them: edgetally calibrate shows where"
        )
