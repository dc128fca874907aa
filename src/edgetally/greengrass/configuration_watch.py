"""`ConfigurationWatch`: whether the configuration has changed, by word or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.greengrass.patience import Patience


class ConfigurationWatch:
    """Says when to read the configuration and when to tell of a change.

    The nucleus has a word for each leaf that changed, so one waits until it is quiet; and a part
    of it that was started anew has none at all, so one looks now and then.
    Times are seconds that never go back, given by the caller.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._known: Mapping[str, Any] | None = None  # as it was read last
        self._word_at: float | None = None
        self._look_at = 0.0

    def word(self, now: float) -> None:
        """Note that something changed."""
        self._word_at = now

    def has_changed(self, now: float) -> bool:
        """Whether there was a word, and it is quiet since; once."""
        if self._word_at is None or now < self._word_at + self._patience.quiet:
            return False
        self._word_at = None
        return True

    def should_look(self, now: float) -> bool:
        """Whether to read the configuration now, to see whether it changed without a word."""
        if now < self._look_at:
            return False
        self._look_at = now + self._patience.configuration
        return self._known is not None and self._word_at is None

    def look_soon(self) -> None:
        """Let it be read: words may have been missed."""
        self._look_at = 0.0

    def read(self, found: Mapping[str, Any]) -> bool:
        """Note what was read; whether it is other than before."""
        is_other = self._known is not None and found != self._known
        self._known = found
        return is_other
