"""Sections on a terminal as tables, and in a pipe as plain aligned text."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from edgetally.conversion.report.facts import printable
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.conversion.report.facts import Section, Table

_BAR = 24
_NO_TERMINAL = 10_000  # wider than any
_USUAL_WORD = 12
_LONGEST_TEXT = 1000  # a hundred class names still fit


def show(title: str, sections: Sequence[Section], stream: TextIO) -> None:
    """Print sections under a title. What would steer the terminal is replaced."""
    if not stream.isatty():
        stream.write(plain_text(title, sections))
        return
    console = Console(file=stream, highlight=False)
    console.print(Text(_shown(title), style="bold"))
    for section in sections:
        console.print()
        console.print(Text(section.title, style="bold cyan"))
        for line in _lines(section):
            console.print(Text(line))
        for table in section.tables:
            console.print()
            console.print(_fitting(table, console))


def _shown(text: str) -> str:
    return printable(shortened(text, _LONGEST_TEXT))


def _fitting(table: Table, console: Console) -> RichTable | Text:
    """Lay a table out so that nothing is cut off on the right, which rich would do."""
    unbounded = console.options.update(max_width=_NO_TERMINAL)
    made = _rich(table, tight=False)
    if Measurement.get(console, unbounded, made).maximum > console.width:
        made = _rich(table, tight=True)
    if Measurement.get(console, unbounded, made).minimum > console.width:
        return Text("\n".join([f"{table.caption}:", *_aligned(table)]))
    return made


def plain_text(title: str, sections: Sequence[Section]) -> str:
    """Lay sections out as text, each table's columns aligned by spaces."""
    lines = [_shown(title)]
    for section in sections:
        lines += ["", section.title]
        lines += [f"  {line}" for line in _lines(section)]
        for table in section.tables:
            lines += [f"  {table.caption}:", *_aligned(table)]
    return "\n".join(lines) + "\n"


def _lines(section: Section) -> list[str]:
    told = [section.summary] if section.summary else []
    return [_shown(line) for line in (*told, *(f"- {remark}" for remark in section.remarks))]


def _rich(table: Table, *, tight: bool) -> RichTable:
    made = RichTable(
        title=Text(table.caption),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=any(column.title for column in table.columns),
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, column in enumerate(table.columns):
        made.add_column(
            Text(column.title),
            justify="right" if column.figures else "left",
            overflow="fold",
            min_width=_narrowest(table, place),
            width=_narrowest(table, place) if tight and column.figures else None,
        )
    if table.shares:
        made.add_column(Text(""))
    for index, row in enumerate(table.rows):
        bars = [Text("━" * round(table.shares[index] * _BAR), style="cyan")] if table.shares else []
        made.add_row(*(Text(_shown(cell)) for cell in row), *bars)
    return made


def _narrowest(table: Table, place: int) -> int:
    """Give the width that a column needs so that no figure and no usual word is broken."""
    column = table.columns[place]
    cells = [row[place] for row in table.rows]
    words = [word for text in (column.title, *cells) for word in text.split()]
    longest = max(map(len, words), default=0)
    return longest if column.figures else min(longest, _USUAL_WORD)


def _aligned(table: Table) -> list[str]:
    titles = tuple(column.title for column in table.columns)
    rows = [titles, *table.rows] if any(titles) else list(table.rows)
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = (
        [max(len(row[place]) for row in cells) for place in range(len(titles))] if cells else []
    )
    lines = []
    for row in cells:
        padded = (
            cell.rjust(width) if column.figures else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        )
        lines.append(f"    {'  '.join(padded)}".rstrip())
    return lines
