"""`Opening`: how a service gets at the ledger's file, whatever state that is in."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.counting.ledger.folder import BUILDING_NAME, Folder
from edgetally.counting.ledger.ledger import Ledger, LedgerError
from edgetally.counting.ledger.salvaging import salvaged
from edgetally.counting.ledger.schema import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgetally.counting.ledger.carrying import Carried
    from edgetally.counting.ledger.values import OutboxBounds

_log = logging.getLogger(__name__)
_DAMAGED = "damaged"  # in the name of a file that was set aside


@dataclass(frozen=True)
class Opened:
    """A ledger that can be used.

    reason: what was wrong; None: nothing. is_new: its histories have just begun.
    """

    ledger: Ledger
    reason: str | None = None
    is_new: bool = False


class Opening:
    """Opens the ledger of a folder, for a service that may know more than the file does."""

    def __init__(
        self,
        folder: Path,
        sites: Mapping[str, str] | None,
        bounds: OutboxBounds,
        clock: Callable[[], float],
    ) -> None:
        self.folder = Folder(folder)
        self._sites, self._bounds, self._clock = sites, bounds, clock

    @property
    def file(self) -> Path:
        """Where the ledger is."""
        return self.folder.file

    def limit(self, bounds: OutboxBounds) -> None:
        """Bound the outbox of what is opened from now on."""
        self._bounds = bounds

    def open(self, known: Carried) -> Opened:
        """Open the file; set a damaged one aside, and go on in a new one.

        LedgerError and OSError where the disk does not let it, InputError as `Storage`.
        """
        self.folder.take()
        aside = self.folder.finish(self._clock(), _DAMAGED)
        try:
            ledger = self._opened()
            if aside is None:
                self._make_sure_of_age(ledger, known)
        except LedgerError as error:
            if not error.damaged:
                raise
            return self._begin_anew(error, known)
        if aside is not None:
            reason = f"an earlier start was cut short; the damaged file is {aside.name}"
            return Opened(ledger, reason, is_new=True)
        if ledger.carried.is_empty:  # not the file that was left, which may be gone
            ledger.go_on_with(known)
            return Opened(ledger, is_new=True)
        return Opened(ledger)

    def write_anew(self, whole: Ledger, gone: LedgerError) -> Opened:
        """Write a ledger that is in memory as a whole; what took the file's place makes room."""
        self.folder.take()
        whole.write_to(self.folder.begin_building())
        aside = self.folder.replace(self._clock(), "other")
        there = "" if aside is None else f", what was in its place is set aside as {aside.name}"
        reason = f"{told(gone)}; it is written anew{there}"
        _log.error("%s", reason)
        return Opened(self._opened(), reason)

    def _make_sure_of_age(self, ledger: Ledger, known: Carried) -> None:
        events = ledger.carried.last_event or 0
        if ledger.carried.is_empty or events >= (known.last_event or 0):
            return
        ledger.close()
        raise LedgerError(
            f"ledger {self.file} was replaced by an older one, of {events} events; "
            f"{known.last_event} are known",
            damaged=True,
        )

    def _begin_anew(self, error: LedgerError, known: Carried) -> Opened:
        found = salvaged(self.file, known, self._clock())
        self.folder.begin_building()
        building = self._opened(BUILDING_NAME)
        try:
            building.go_on_with(found)
            building.salvage_messages(self.file)
            lost = building.count_lost(found)
        finally:
            building.close()
        aside = self.folder.replace(self._clock(), _DAMAGED)
        kept = "its totals go on" if "totals" in found.rows else "its totals are lost"
        name = aside.name if aside is not None else "nothing"
        reason = (
            f"{told(error)}; it is set aside as {name}, {kept}"
            + (f", {lost} messages that waited are lost" if lost else "")
            + unknown(found)
        )
        _log.error("%s", reason)
        return Opened(self._opened(), reason, is_new=True)

    def _opened(self, file_name: str = FILE_NAME) -> Ledger:
        return Ledger(
            self.folder.path,
            sites=self._sites,
            bounds=self._bounds,
            clock=self._clock,
            file_name=file_name,
        )


def unknown(carried: Carried) -> str:
    """Say which numbers nothing is known of, and what they go on from."""
    if carried.numbers_from is None:
        return ""
    return f"; its sequence numbers can't be read, they go on from {carried.numbers_from + 1}"


def told(error: Exception) -> str:
    """Say in one line what is wrong with the disk."""
    if isinstance(error, OSError):
        return f"storage folder {error.filename}: {error.strerror}"
    return str(error).splitlines()[0]
