"""Where results go: found to be writable before anything is measured."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to, or find it so. InputError where it can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; give another folder") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} can't be written to; give another folder")


def refuse_unwritable(page: Path) -> None:
    """InputError where a page could not be written, or is no text that could be kept."""
    make_folder(page.parent)
    try:
        if page.exists():
            page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise InputError(f"{page}: {reason}; give another page") from None


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: KeyboardInterrupt, so that workers are ended."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    if sys.platform == "win32":
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
