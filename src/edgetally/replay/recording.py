"""`Recording`: what cameras saw, read from our own messages or from a Ground Truth manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary
from edgetally.replay.manifest import ManifestReader
from edgetally.replay.recorded_messages import MessageReader
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgetally.replay.moment import Moment

_LARGEST = 16 * 2**30
_LONGEST_LINE = 16 * 2**20
_REMEDY = "give recorded messages, or a Ground Truth output manifest"


@dataclass(frozen=True)
class Recording:
    """What cameras saw.

    classes: names in the order of the moments' class ids. cameras: moments by camera, in order of
    time. is_timed: whether times are seconds since the Unix epoch; else since the video's start.
    notes: what a reader of the counts should know.
    """

    classes: tuple[str, ...]
    cameras: Mapping[str, tuple[Moment, ...]]
    is_timed: bool
    notes: tuple[str, ...] = ()


class _Reader(Protocol):
    def line(self, entry: dict[str, Any], where: str) -> None: ...

    def recording(self) -> tuple[tuple[str, ...], dict[str, tuple[Moment, ...]]]: ...


def read_recording(
    path: Path,
    *,
    fps: Mapping[str, float | None] | float | None = None,
    label: str | None = None,
) -> Recording:
    """Read `messages.jsonl`, or a Ground Truth output manifest of bounding boxes.

    fps: frames a second of a manifest's videos, of all or by camera, "*" for those not named.
    label: the manifest's label attribute, where it holds several. Both are of no use to messages,
    which tell their time. A few lines of messages that were cut short, as a crash or a full disk
    leaves them, are passed over, which a note tells. InputError, with the line, where the file is
    neither, or can't be read.
    """
    reader: _Reader | None = None
    number = read = 0
    torn: list[int] = []
    try:
        with open_ordinary(path, _LARGEST) as stream:
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if number == 1:
                    _refuse_other_format(line, path)
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                where = f"{shortened(path)}, line {number}"
                entry = _parsed(line)
                if entry is None and isinstance(reader, MessageReader):
                    torn.append(number)
                    continue
                if not isinstance(entry, dict):
                    raise InputError(f"{where} is no JSON object; {_REMEDY}")
                read += 1
                if reader is None:
                    is_manifest = "source-ref" in entry
                    reader = ManifestReader(fps, label) if is_manifest else MessageReader()
                reader.line(entry, where)
    except OSError as error:
        raise InputError(
            f"{shortened(path)} can't be read ({error.strerror or error}); {_REMEDY}"
        ) from None
    if len(torn) > read:
        raise InputError(
            f"{shortened(path)}: {len(torn)} of {len(torn) + read} lines are no JSON, the first is "
            f"line {torn[0]}; {_REMEDY}"
        )
    if reader is None:
        raise InputError(f"{shortened(path)} is empty; give recorded messages or a manifest")
    classes, cameras = reader.recording()
    if not cameras:
        raise InputError(
            f"{shortened(path)} holds no message of detections; record them with "
            "publish.detections.mode: every and a transport of type jsonl"
        )
    notes = (_left_out(torn),) if torn else ()
    return Recording(classes, cameras, isinstance(reader, MessageReader), notes)


def _refuse_other_format(beginning: bytes, path: Path) -> None:
    """Tell what a file is that is no text in UTF-8. InputError."""
    if beginning.startswith(b"\x1f\x8b"):
        raise InputError(f"{shortened(path)} is compressed with gzip; unpack it with gunzip first")
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in beginning[:2]:
        raise InputError(f"{shortened(path)} is text in UTF-16; save it as UTF-8")


def _left_out(torn: list[int]) -> str:
    if len(torn) == 1:
        return f"line {torn[0]} is cut short and left out"
    return f"{len(torn)} lines are cut short and left out, the first is line {torn[0]}"


def _parsed(line: bytes) -> object:
    """Return what a line holds, None where it is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
