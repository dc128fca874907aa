"""`report.html`: what a conversion proved and measured, as one page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.conversion.report.facts import Section, bundle_sections, headline
from edgetally.conversion.report.markup import Markup, element, joined
from edgetally.conversion.report.record import REPORT_NAME
from edgetally.conversion.report.samples import MOST_SAMPLES, Sample, drawn
from edgetally.conversion.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetally.bundle import ModelBundle
    from edgetally.conversion.report.facts import Column, Figure, Table
    from edgetally.conversion.report.record import ConversionRecord

__all__ = ["Sample", "write_report"]

# The browser itself refuses whatever text of an artifact should ever ask for.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SAMPLES_AFTER = "Agreement with fp32"


def write_report(
    folder: Path, bundle: ModelBundle, record: ConversionRecord, samples: Sequence[Sample] = ()
) -> None:
    """Write `report.html` into `folder`: one file without scripts, below about 2 MB.

    bundle must have been loaded from its folder. The first 6 samples are drawn, with each form's
    detections of 0.5 and more.
    """
    (folder / REPORT_NAME).write_text(_page(bundle, record, samples), encoding="utf-8")


def _page(bundle: ModelBundle, record: ConversionRecord, samples: Sequence[Sample]) -> str:
    sections = []
    for section in bundle_sections(bundle, record):
        sections.append(_section(section))
        if section.title == _SAMPLES_AFTER:
            sections.append(_samples(bundle, samples))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"{bundle.name} {bundle.version}: conversion report"),
        element("style", Markup(STYLE)),
    )
    classes = f"{len(bundle.classes)} class{'es' if len(bundle.classes) > 1 else ''}"
    size = f"{bundle.input_size} x {bundle.input_size}"
    top = element(
        "header",
        element("h1", bundle.name, " ", element("span", bundle.version)),
        element("p", f"Conversion report: {bundle.architecture}, {size}, {classes}", class_="soft"),
        element("dl", *map(_headline_figure, headline(bundle, record)), class_="key"),
    )
    foot = element(
        "footer", element("p", f"Written by edgetally {record.edgetally}.", class_="soft")
    )
    body = element("body", top, element("main", *sections), foot)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _headline_figure(figure: Figure) -> Markup:
    return element(
        "div",
        element("dt", figure.label),
        element("dd", figure.value, class_="value"),
        element("dd", figure.detail, class_="detail"),
    )


def _section(section: Section) -> Markup:
    content = [element("h2", section.title)]
    if section.summary:
        content.append(element("p", section.summary))
    if section.remarks:
        items = [element("li", remark) for remark in section.remarks]
        content.append(element("ul", *items, class_="remarks"))
    if section.explanation:
        content.append(element("p", section.explanation, class_="soft"))
    content += map(_table, section.tables)
    return element("section", *content)


def _table(table: Table) -> Markup:
    content = [element("caption", table.caption)]
    if any(column.title for column in table.columns):
        titles = [_cell("th", column, column.title, scope="col") for column in table.columns]
        bars = [element("td")] if table.shares else []
        content.append(element("thead", element("tr", *titles, *bars)))
    rows = []
    for index, cells in enumerate(table.rows):
        name, *row = (
            _cell("td" if place else "th", column, cell, **({} if place else {"scope": "row"}))
            for place, (column, cell) in enumerate(zip(table.columns, cells, strict=True))
        )
        if table.shares:
            bar = element("span", style=f"width: {table.shares[index]:.1%}")
            row.append(element("td", bar, class_="bar", aria_hidden="true"))
        rows.append(element("tr", name, *row))
    kind = "many" if len(table.columns) > 3 else "facts"
    if len(table.columns) == 2 and table.columns[1].figures:
        kind = "counts"
    return element(
        "div",
        element("table", *content, element("tbody", *rows), class_=kind),
        class_="scroll",
        role="region",
        aria_label=table.caption,
        tabindex="0",  # so that a keyboard can scroll it
    )


def _cell(tag: str, column: Column, text: str, **attributes: str) -> Markup:
    if column.figures:
        attributes["class_"] = "figure"
    return element(tag, text, **attributes)


def _samples(bundle: ModelBundle, samples: Sequence[Sample]) -> Markup:
    drawn_samples = []
    for number, sample in enumerate(samples[:MOST_SAMPLES], start=1):
        drawn_samples.append(element("h3", f"Sample {number}"))
        drawn_samples.append(drawn(number, sample, bundle.classes))
    if not drawn_samples:
        drawn_samples.append(element("p", "There were no pictures to draw."))
    return element("section", element("h2", "Samples"), joined(*drawn_samples))
