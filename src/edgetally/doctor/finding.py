"""`Finding`: what was found of one thing, a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was found of `subject`.

    state: ok; note, where it works but could be better; wrong, where counting would fail.
    remedy: what to do, where it is not ok.
    """

    subject: str
    state: State
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<5}  {self.subject}: {self.text}"
        return f"{line}; {self.remedy}" if self.remedy else line


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, "ok", text)


def note(subject: str, text: str, remedy: str) -> Finding:
    """It works, but someone should know."""
    return Finding(subject, "note", text, remedy)


def wrong(subject: str, text: str, remedy: str = "") -> Finding:
    """It would fail. remedy may be part of the text, as it is of an error's."""
    return Finding(subject, "wrong", text, remedy)
