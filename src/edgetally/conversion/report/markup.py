"""HTML from nested calls: whatever is not `Markup` already is escaped, so nothing is forgotten."""

from __future__ import annotations

import html

from edgetally.conversion.report.facts import printable

_VOID = frozenset({"meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str | float) -> Markup:
    """Build an element. Text is escaped, `Markup` is taken as it is.

    In an attribute's name `_` stands for `-`, and one at the end is dropped (`class_`).
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for name, value in attributes.items()
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(*content)}</{tag}>")


def joined(*content: str) -> Markup:
    """Put pieces one after the other; text is escaped, `Markup` is taken as it is."""
    return Markup("".join(part if isinstance(part, Markup) else _escaped(part) for part in content))


def _escaped(text: str) -> str:
    return html.escape(printable(text))
