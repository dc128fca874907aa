"""`LastConfiguration`: the last good configuration, for a start at which there is a wrong one."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture import Frame
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.service.service import Service

_NAME = "configuration.json"
_LARGEST = 16 << 20  # bytes; more comes from no nucleus
_OURS = 0o600  # addresses of cameras may hold passwords
_log = logging.getLogger(__name__)


class LastConfiguration:
    """Kept in a folder, as the nucleus gave it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _NAME
        self._kept = self._read()

    @property
    def content(self) -> dict[str, Any] | None:
        """What was kept; None where nothing was, or it can't be read."""
        return self._kept

    def keep(self, content: dict[str, Any]) -> None:
        """Replace what was kept before; a kill at any instant leaves the one or the other."""
        if content == self._kept:
            return
        self._kept = content
        new = self._file.with_name(f"{_NAME}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)  # whoever could read that could read this
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OURS)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        except OSError as error:
            _log.warning(
                "%s can't be written (%s): a start with a wrong configuration counts nothing",
                self._file,
                error.strerror,
            )
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(read_ordinary(self._file, _LARGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or "it is no JSON"
        else:
            if isinstance(content, dict):
                return content
            reason = "it is no configuration"
        _log.warning("%s is left out: %s", self._file, reason)
        return None


@dataclass(frozen=True)
class Keeping:
    """Watches a service: keeps its configuration as soon as it has begun with it."""

    last: LastConfiguration
    content: dict[str, Any]

    def started(self, _: Service) -> None:
        """Keep it."""
        self.last.keep(self.content)

    def frame(self, _: Frame, __: CameraUpdate) -> None:
        """Take no notice."""

    def event(self, _: CountEvent) -> None:
        """Take no notice."""
