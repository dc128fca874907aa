"""Values of a recipe, each with its place, so that what is wrong can be found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgetally.errors import InputError
from edgetally.shortened import shortened


@dataclass(frozen=True)
class Value:
    """What a recipe holds at a key, such as `Manifests/0/Lifecycle`; None: nothing.

    Its methods raise InputError, with file and key, where it is of another kind.
    """

    given: Any
    file: str
    key: str = ""

    def at(self, name: str | int, given: Any) -> Value:
        """Return a value below this one."""
        return Value(given, self.file, f"{self.key}/{name}" if self.key else str(name))

    def below(self, name: str) -> Value:
        """Return what a map holds by a name; a value of None where there is nothing."""
        return self.map().get(name, self.at(name, None))

    def wrong(self, what: str) -> InputError:
        """Return what to raise."""
        return InputError(f"{self.file}: {self.key}: {what}")

    def map(self) -> dict[str, Value]:
        """Return a map's values by their keys, none where there is nothing."""
        if self.given is None:
            return {}
        if not isinstance(self.given, dict):
            raise self.wrong(f"{self} is no map")
        return {str(key): self.at(str(key), below) for key, below in self.given.items()}

    def list(self) -> list[Value]:
        """Return a list's values, none where there is nothing."""
        if self.given is None:
            return []
        if not isinstance(self.given, list):
            raise self.wrong(f"{self} is no list")
        return [self.at(number, below) for number, below in enumerate(self.given)]

    def text(self) -> str:
        """Return text that a process can be given."""
        if self.given is None:
            raise self.wrong("it is missing")
        if not isinstance(self.given, str):
            raise self.wrong(f"{self} is no text; put it in quotes")
        try:
            self.given.encode()
        except UnicodeEncodeError:
            raise self.wrong("it holds half of a character") from None
        if "\0" in self.given:
            raise self.wrong("it holds a NUL character, which no process can be given")
        return self.given

    def word(self) -> str:
        """Return text, or what a nucleus makes of a number, true or false."""
        if isinstance(self.given, bool):
            return str(self.given).lower()
        return str(self.given) if isinstance(self.given, int | float) else self.text()

    def seconds(self) -> float:
        """Return a time; both nuclei take a number that is written as text."""
        try:
            seconds = math.nan if isinstance(self.given, bool) else float(self.given)
        except (TypeError, ValueError, OverflowError):
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise self.wrong(f"{self} is no number of seconds above 0")
        return seconds

    def __str__(self) -> str:
        return shortened(repr(self.given))
