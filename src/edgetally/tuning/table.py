"""A table: ruled on a terminal, columns aligned by spaces in a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Column:
    """A heading; figures stand to the right."""

    title: str
    figures: bool = False


def show_table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], stream: TextIO
) -> None:
    """Print a table; plain, too, where a terminal is too narrow for it."""
    widths = [
        max(len(column.title), *(len(row[place]) for row in rows))
        for place, column in enumerate(columns)
    ]
    console = Console(file=stream, highlight=False)
    if stream.isatty() and sum(widths) + 2 * len(widths) <= console.width:
        console.print(_ruled(title, columns, rows))
        return
    lines = [title]
    for row in ([column.title for column in columns], *rows):
        cells = (
            cell.rjust(width) if column.figures else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        lines.append(f"  {'  '.join(cells)}".rstrip())
    stream.write("\n".join(lines) + "\n")


def _ruled(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(column.title), justify="right" if column.figures else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
