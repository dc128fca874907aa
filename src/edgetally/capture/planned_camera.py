"""`plan_camera`: a configured camera's source, with its login where it has one, not yet opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.capture.login import find_login
from edgetally.capture.source import SourceSettings
from edgetally.capture.sources import PlannedSource, plan_source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture.source import Source
    from edgetally.config import CameraConfig


def plan_camera(
    config: CameraConfig,
    secret: Callable[[str], str] | None = None,
    full: Callable[[str], object] = lambda _: None,
) -> PlannedSource:
    """Understand a camera's source without opening it. InputError for one that can never work.

    secret: as `find_login` wants it. full: gets the source as it is opened, with its password.
    """
    settings = SourceSettings.of(config)
    plan = plan_source(config.source, settings)
    if config.secret_arn is None and config.credentials_file is None:
        return plan

    def log_in() -> Source:
        """Open a URL with its user and password, as they are now."""
        try:
            login = find_login(config, secret)
        except InputError as error:
            raise InputError(f"{plan.shown}: {error}") from None
        source = login.put_into(config.source.strip())
        full(source)
        return plan_source(source, settings).open()

    return PlannedSource(plan.shown, plan.can_be_lost, log_in)
