"""Text from elsewhere, cut so that a message or a table stays readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def shortened(text: object, most: int = 200) -> str:
    """Return the text; of one longer than `most` characters the beginning, and how long it is."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[:most]}… ({len(whole)} characters)"


def listed(names: Collection[str], most: int = 10) -> str:
    """Name the first `most` with commas between them, and how many there are where more."""
    shown = ", ".join(shortened(name, 100) for name in list(names)[:most])
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown
