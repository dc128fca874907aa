"""`ClassIds`: class names become numbers in the order in which they come."""

from __future__ import annotations


class ClassIds:
    """Numbers each name once.

    >>> ids = ClassIds()
    >>> ids["box"], ids["bag"], ids["box"], ids.names
    (0, 1, 0, ('box', 'bag'))
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self._ids.setdefault(name, len(self._ids))

    @property
    def names(self) -> tuple[str, ...]:
        """All names so far, each at its number."""
        return tuple(self._ids)
