"""Getting at a ledger beside the service that has it, if one runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from edgetally.counting.ledger.ledger import Ledger, LedgerError
from edgetally.counting.ledger.ways import ways_to_open

if TYPE_CHECKING:
    from edgetally.counting.ledger.folder import Folder


def opened_to_read(folder: Folder) -> Ledger:
    """Open the ledger of a folder, which need not be writable. Errors as `Ledger`."""
    try:
        return Ledger(folder.path, beside=True)
    except LedgerError as error:
        if not error.damaged:
            for way in ways_to_open(folder.file):
                with suppress(LedgerError):
                    return Ledger(folder.path, beside=True, way=way)
        raise
