"""Class names as `--classes` takes them: written out, or in a file that knows them."""

from __future__ import annotations

import json
import stat
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from edgetally.conversion.artifact import aws
from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary, status_of
from edgetally.shortened import listed, shortened

_FILE_ENDINGS = (".txt", ".manifest", ".json", ".jsonl", ".names", ".labels")
_JSON_ENDINGS = (".manifest", ".json", ".jsonl")
_LARGEST_FILE = 256 << 20  # a manifest has a line for each picture
_LONGEST_LINE = 8 << 20
_METADATA = "-metadata"
_GIVE_FILE = (
    "give an existing file, or names with commas between them (names with a / go into a text file)"
)


class _Name(NamedTuple):
    text: str
    line: int  # where it was first read


def read_class_names(given: str) -> tuple[str, ...]:
    """Read the class names, in the order of the class ids.

    given: names with commas between them; or the path (or `s3://` address) of a text file with
    a name a line, or of a Ground Truth output manifest, whose `class-map` numbers the names
    (Ground Truth, "Output data": a JSON object a line, a `LABEL-metadata` for each label).

    Raises InputError where a name is empty, the file can't be read, or its ids have a hole or
    contradict each other, with the line's number.
    """
    if aws.is_address(given):
        with tempfile.TemporaryDirectory() as folder:
            place = aws.fetch(given, Path(folder), limit=_LARGEST_FILE)
            return _from_file(place, shortened(given))
    try:
        mode = status_of(Path(given)).st_mode
    except OSError as error:  # not there, hidden, or a text that can be no path
        if _means_a_file(given):
            raise _unreadable(shortened(given), error) from None
    else:
        if not stat.S_ISDIR(mode):
            return _from_file(Path(given), shortened(given))
        if _means_a_file(given):
            raise InputError(f"class names: {shortened(given)} is no file; {_GIVE_FILE}")
    return _stripped(given.split(","), "name {} of --classes is empty; give each class a name")


def _means_a_file(given: str) -> bool:
    return "/" in given or given.lower().endswith(_FILE_ENDINGS)


def _unreadable(origin: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"class names: {origin} does not exist; {_GIVE_FILE}")
    return InputError(
        f"class names: {origin} can't be read ({error.strerror or error}); give a readable file"
    )


def _from_file(path: Path, origin: str) -> tuple[str, ...]:
    try:
        with open_ordinary(path, _LARGEST_FILE) as stream:
            start = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            stream.seek(0)
            if start.startswith(b"{") or origin.lower().endswith(_JSON_ENDINGS):
                return _from_manifest(stream, origin)
            return _from_text(stream, origin)
    except OSError as error:
        raise _unreadable(origin, error) from None


def _from_text(stream: IO[bytes], origin: str) -> tuple[str, ...]:
    content = stream.read(_LONGEST_LINE + 1)
    if len(content) > _LONGEST_LINE:
        raise InputError(f"class names: {origin} is too large to hold a name a line")
    lines = content.removeprefix(b"\xef\xbb\xbf").rstrip().split(b"\n")
    names = [_decoded(line, number, origin) for number, line in enumerate(lines, 1)]
    return _stripped(
        names, f"{origin}, line {{}} is empty, which would shift the ids after it; remove the line"
    )


def _stripped(names: list[str], problem: str) -> tuple[str, ...]:
    stripped = tuple(name.strip() for name in names)
    if "" in stripped:
        raise InputError(f"class names: {problem.format(stripped.index('') + 1)}")
    return stripped


def _decoded(line: bytes, number: int, origin: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise InputError(
            f"class names: {origin}, line {number} is no UTF-8; save the file as UTF-8"
        ) from None


def _from_manifest(stream: IO[bytes], origin: str) -> tuple[str, ...]:
    """Merge the class-maps of all lines: a line may name only the classes drawn on its picture."""
    labels: dict[str, dict[int, _Name]] = {}
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        where = f"{origin}, line {number}"
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            for label, class_map in _class_maps(line, where).items():
                _merge(
                    labels.setdefault(label, {}), class_map, number, f"{where}: {shortened(label)}"
                )
    return _of_one_label(labels, origin)


def _class_maps(line: bytes, where: str) -> dict[str, dict[object, object]]:
    """Return the class-map of each label attribute of a line."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise InputError(
            f"class names: {where} is no JSON object; give a Ground Truth output manifest, or a "
            "text file of a name a line"
        )
    found = {}
    for key, value in entry.items():
        if key.endswith(_METADATA) and isinstance(value, dict) and "class-map" in value:
            if not isinstance(value["class-map"], dict):
                raise InputError(
                    f"class names: {where}: the class-map of {shortened(key)} is no object; "
                    "take the manifest from the labelling job again"
                )
            found[key.removesuffix(_METADATA)] = value["class-map"]
    return found


def _merge(
    known: dict[int, _Name], class_map: dict[object, object], number: int, where: str
) -> None:
    for key, name in class_map.items():
        if not _is_id(key) or not isinstance(name, str) or not name.strip():
            raise InputError(
                f"class names: {where}: {str(key)[:50]!r}: {str(name)[:50]!r} is no class id with "
                "a name; take the manifest from the labelling job again"
            )
        first = known.setdefault(int(str(key)), _Name(name.strip(), number))
        if first.text != name.strip():
            raise InputError(
                f"class names: {where} calls class {key} {_quoted(name.strip())} but line "
                f"{first.line} {_quoted(first.text)}; take one "
                "labelling job's manifest, or give --classes a,b,c"
            )


def _quoted(name: str) -> str:
    return repr(shortened(name, 50))


def _is_id(key: object) -> bool:
    text = str(key)
    return text.isdecimal() and text.isascii() and len(text) < 6 and str(int(text)) == text


def _of_one_label(labels: dict[str, dict[int, _Name]], origin: str) -> tuple[str, ...]:
    if not any(labels.values()):
        raise InputError(
            f"class names: {origin} names no class in a class-map; "
            "give the output manifest of a bounding box job, or --classes a,b,c"
        )
    (label, names), *others = ((label, names) for label, names in labels.items() if names)
    for other, its_names in others:
        for number in sorted(names.keys() | its_names.keys()):
            mine, its = names.get(number), its_names.get(number)
            if mine is None or its is None or mine.text != its.text:
                line = (its or mine or _Name("", 0)).line
                raise InputError(
                    f"class names: {origin}, line {line}: the labels {shortened(label)} and "
                    f"{shortened(other)} differ in class {number}; keep one label in the "
                    "manifest, or give --classes a,b,c"
                )
    holes = sorted(set(range(max(names) + 1)) - names.keys())
    if holes:
        after = names[min(number for number in names if number > holes[0])]
        raise InputError(
            f"class names: {origin}, line {after.line}: class {_quoted(after.text)} has an id past "
            f"{listed([str(hole) for hole in holes])}, which no line names; give --classes a,b,c"
        )
    return tuple(names[number].text for number in range(len(names)))
