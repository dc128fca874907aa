"""What a bundle and its record have to say, in words and tables: for the page and the terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.bundle import NmsSettings, Setting
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgetally.bundle import ModelBundle
    from edgetally.conversion.report.record import ConversionRecord

_SHOWN_CLASSES = 100


@dataclass(frozen=True)
class Column:
    """A column's title, and whether it holds figures, which stand flush right."""

    title: str
    figures: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text under a caption; the first cell names its row. Titles may all be empty.

    shares, one a row in 0-1, are the lengths of bars that a page draws beside the last cell.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading, what it says in short, what only a page explains, remarks and tables."""

    title: str
    summary: str = ""
    explanation: str = ""
    remarks: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One of the few figures that a reader looks for first."""

    label: str
    value: str
    detail: str


def bundle_sections(bundle: ModelBundle, record: ConversionRecord | None) -> tuple[Section, ...]:
    """Tell of a bundle that was loaded from its folder, and of its record where it has one."""
    parts = [_model(bundle, record)]
    if record:
        parts += [_notes(record), _proof(record), _graph(record)]
    parts.append(files_section(bundle, record))
    if record:
        parts += [_timings(record), _agreement(record)]
    parts.append(hyperparameters_section(bundle.hyperparameters))
    if record:
        parts.append(_machine(record))
    return tuple(parts)


def headline(bundle: ModelBundle, record: ConversionRecord) -> tuple[Figure, ...]:
    """Pick the figures that answer: is it right, how fast, how good is int8, how large."""
    figures = []
    if record.parity:
        worst = max(max(p.max_box_difference, p.max_score_difference) for p in record.parity)
        figures.append(Figure("Largest difference", difference(worst), record.parity[0].reference))
    else:
        figures.append(Figure("Largest difference", "not compared", "no proof was made"))
    if record.timings:
        best = min(record.timings, key=lambda timing: timing.milliseconds)
        figures.append(
            Figure("Fastest here", f"{best.milliseconds:.1f} ms", f"{best.engine} {best.precision}")
        )
    scored = [one for one in record.agreement if one.map_50 is not None]
    if scored:
        least = min(scored, key=lambda one: one.map_50 or 0)
        figures.append(
            Figure(
                f"mAP of {least.precision}",
                optional(least.map_50, 3),
                f"{least.engine}, fp32's detections as truth",
            )
        )
    sizes = sizes_of(bundle, record)
    figures.append(Figure("Size", size_text(sum(sizes.values())), f"{len(sizes)} files"))
    return tuple(figures)


def _model(bundle: ModelBundle, record: ConversionRecord | None) -> Section:
    size = bundle.input_size
    rows = [
        ("Name", bundle.name),
        ("Version", bundle.version),
        ("Architecture", bundle.architecture),
        (f"Classes ({len(bundle.classes)})", _listed(bundle.classes)),
        ("Input", f"{size} x {size} pixels, {bundle.colour_order}"),
        ("Mean", _triple(bundle.mean)),
        ("Scale", _triple(bundle.scale)),
        ("Bundle's SHA-256", bundle.sha256),
    ]
    if record:
        rows += [("Made from", record.source), ("Made by", f"edgetally {record.edgetally}")]
    return Section(
        "Model",
        tables=(table("Identity and input", ("", ""), rows), nms_table(bundle.nms)),
    )


def nms_table(nms: NmsSettings) -> Table:
    """Tell every setting of the postprocessing, and where its value came from."""
    rows = []
    for name in NmsSettings.model_fields:
        found = getattr(nms, name)
        value, source = (found.value, found.source) if isinstance(found, Setting) else (found, "")
        rows.append((_words(name), _plain(value), source or "the network"))
    return table(
        "How detections are chosen (-1: no limit)", ("Setting", "Value", "Comes from"), rows
    )


def _notes(record: ConversionRecord) -> Section:
    return Section(
        "Notes", "" if record.notes else "The conversion had nothing to remark.", "", record.notes
    )


def _proof(record: ConversionRecord) -> Section:
    if not record.parity:
        return Section(
            "Proof",
            "Nothing was compared: this bundle is not proved equal to what was trained.",
            "Convert again with --verify, where MXNet or two engines are installed.",
        )
    references = _listed(dict.fromkeys(parity.reference for parity in record.parity))
    frames = max(parity.frames for parity in record.parity)
    detections = max(parity.detections for parity in record.parity)
    boxes = max(parity.max_box_difference for parity in record.parity)
    scores = max(parity.max_score_difference for parity in record.parity)
    rows = [
        (
            parity.compared,
            parity.reference,
            str(parity.frames),
            count_text(parity.detections),
            count_text(parity.undecided),
            difference(parity.max_box_difference),
            difference(parity.max_score_difference),
        )
        for parity in record.parity
    ]
    columns = ("Compared", "Reference", "Frames", "Detections", "Undecided", "Boxes", "Scores")
    return Section(
        "Proof",
        f"Compared with the {references} on {frames} frames with {count_text(detections)} "
        f"detections: boxes differ by {difference(boxes)} at most, scores by {difference(scores)}.",
        "Boxes are in 0-1 of the frame and every anchor counts; detections are the rows left "
        "after suppression. Undecided are the rows that only the reference's own rounding "
        "decides. A conversion whose boxes or scores differ by more than 0.001 is not finished.",
        tables=(table("Largest differences", columns, rows, figures=(2, 3, 4, 5, 6)),),
    )


def _graph(record: ConversionRecord) -> Section:
    graph = record.graph
    facts = [
        ("Nodes", count_text(graph.nodes)),
        ("Parameters", count_text(graph.parameters)),
        ("Anchors", count_text(graph.anchors)),
        ("Classes", count_text(graph.classes)),
        ("Input", f"{graph.input_size} x {graph.input_size}"),
        ("Nodes of model.onnx", count_text(graph.onnx_nodes)),
        ("BatchNorms folded", count_text(graph.folded)),
    ]
    return Section(
        "Graph",
        tables=(
            table("The network that a device runs", ("", ""), facts, figures=(1,)),
            operators_table(graph.operators),
        ),
    )


def operators_table(operators: Mapping[str, int]) -> Table:
    """Count operators, the most frequent first."""
    ordered = sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, count_text(count)) for name, count in ordered]
    return table("Operators by name", ("Operator", "Nodes"), rows, figures=(1,))


def sizes_of(bundle: ModelBundle, record: ConversionRecord | None) -> dict[str, int]:
    """Give the bytes of each file by path: those recorded, and those that are listed."""
    sizes = dict(record.file_sizes) if record else {}
    for role, entry in bundle.files.items():
        sizes.setdefault(entry.path, bundle.file(role).stat().st_size)
    return sizes


def files_section(bundle: ModelBundle, record: ConversionRecord | None) -> Section:
    """Tell of the bundle's files, what each is for and how large it is."""
    listed = {entry.path: (role, entry.sha256[:12]) for role, entry in bundle.files.items()}
    sizes = sizes_of(bundle, record)
    rows = [
        (path, *listed.get(path, ("", "")), size_text(size), count_text(size))
        for path, size in sizes.items()
    ]
    columns = ("File", "Role", "SHA-256 begins", "Size", "Bytes")
    return Section(
        "Files",
        f"{len(sizes)} files, {size_text(sum(sizes.values()))}.",
        tables=(table("Files and sizes", columns, rows, figures=(3, 4)),),
    )


def _timings(record: ConversionRecord) -> Section:
    if not record.timings:
        return Section("Timings", "Nothing was timed.")
    slowest = max(timing.milliseconds for timing in record.timings)
    ordered = sorted(record.timings, key=lambda timing: timing.milliseconds)
    rows = [
        (
            f"{timing.engine} {timing.precision}",
            f"{timing.milliseconds:.1f}",
            f"{1000 / timing.milliseconds:.1f}" if timing.milliseconds else "",
            str(timing.frames),
        )
        for timing in ordered
    ]
    best = ordered[0]
    columns = ("Engine", "Milliseconds", "A second", "Runs")
    return Section(
        "Timings",
        f"Fastest on this machine: {best.engine} {best.precision}, {best.milliseconds:.1f} ms a "
        "frame.",
        "The median of single frames, one at a time, from the picture in the network's size to "
        "boxes and scores. An engine that works on several frames at once does more in a second "
        "than one frame's time promises.",
        tables=(
            Table(
                "Time of one frame, by engine and precision",
                _columns(columns, (1, 2, 3)),
                tuple(rows),
                tuple(timing.milliseconds / slowest if slowest else 0 for timing in ordered),
            ),
        ),
    )


def _agreement(record: ConversionRecord) -> Section:
    title = "Agreement with fp32"
    if not record.agreement:
        return Section(
            title,
            "There is no int8 form to compare: no calibration images were given."
            if not record.calibration_images
            else "Nothing was compared.",
        )
    rows = [
        (
            f"{one.engine} {one.precision}",
            count_text(one.images),
            count_text(one.reference_detections),
            count_text(one.detections),
            count_text(one.matched),
            optional(one.mean_iou, 3),
            optional(one.mean_score_difference, 4),
            optional(one.max_score_difference, 4),
            optional(one.map_50, 3),
        )
        for one in record.agreement
    ]
    columns = (
        "Form",
        "Images",
        "fp32's",
        "Its own",
        "Found again",
        "Mean IoU",
        "Mean score diff.",
        "Max. score diff.",
        "mAP at 0.5",
    )
    compared = any(one.reference_detections for one in record.agreement)
    return Section(
        title,
        ""
        if compared
        else "fp32 itself found nothing with a score of 0.5 or more: there is nothing to agree on.",
        "fp32's own detections of 0.5 and more are taken as the truth. Found again are those that "
        "the form sees in the same class and place (IoU 0.5 or more), whatever its score; mean "
        f"IoU and score differences are over them. {count_text(record.calibration_images)} images "
        "served the calibration.",
        tables=(table("Agreement by form", columns, rows, figures=tuple(range(1, 9))),),
    )


def hyperparameters_section(hyperparameters: Mapping[str, str]) -> Section:
    """Tell the training job's hyperparameters, by name."""
    if not hyperparameters:
        return Section("Hyperparameters", "The artifact holds none.")
    rows = [(shortened(name), shortened(value)) for name, value in sorted(hyperparameters.items())]
    return Section(
        "Hyperparameters",
        tables=(table("As the training job left them", ("Name", "Value"), rows),),
    )


def _machine(record: ConversionRecord) -> Section:
    machine = record.machine
    rows = [
        ("Processor", machine.processor),
        ("Usable cores", str(machine.cores)),
        ("Python", machine.python),
        *machine.packages.items(),
    ]
    return Section("Machine", tables=(table("Where this was measured", ("", ""), rows),))


def table(
    caption: str,
    titles: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    figures: tuple[int, ...] = (),
) -> Table:
    """Build a table; `figures` are the indices of the columns that hold figures."""
    return Table(caption, _columns(titles, figures), tuple(rows))


def _columns(titles: tuple[str, ...], figures: tuple[int, ...]) -> tuple[Column, ...]:
    return tuple(Column(title, index in figures) for index, title in enumerate(titles))


def size_text(size: int) -> str:
    """Write a size as people read it, in powers of 1000."""
    if size < 1000:
        return f"{size} B"
    for power, unit in ((1, "kB"), (2, "MB")):
        if round(size / 1000**power, 1) < 1000:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size / 1e9:.1f} GB"


def count_text(count: int) -> str:
    """Write a count with thousands apart."""
    return f"{count:,}"


def difference(value: float) -> str:
    """Write a small difference: 0, or with one decimal in scientific notation."""
    return "0" if value == 0 else f"{value:.1e}"


def optional(value: float | None, digits: int) -> str:
    """Write a figure, or that there is none."""
    return "none" if value is None else f"{value:.{digits}f}"


def printable(text: str) -> str:
    """Replace what would steer a terminal or break a page: control characters, surrogates."""
    if text.isprintable():
        return text
    broken = {"Cc", "Cs"}
    return "".join("\N{REPLACEMENT CHARACTER}" if _kind(c) in broken else c for c in text)


def _kind(char: str) -> str:
    return unicodedata.category(char)


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    text = ", ".join(all_names[:_SHOWN_CLASSES])
    rest = len(all_names) - _SHOWN_CLASSES
    return f"{text} and {rest} more" if rest > 0 else text


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(_plain(part) for part in value)
    return str(value)


def _triple(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
