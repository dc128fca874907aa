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


@dataclass(frozen=True)
class Recording:
    """What cameras saw.

    classes: names in the order of the moments' class ids. cameras: moments by camera, in order of
    time. is_timed: whether times are seconds since the Unix epoch; else since the video's start.
    """

    classes: tuple[str, ...]
    cameras: Mapping[str, tuple[Moment, ...]]
    is_timed: bool


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
    which tell their time. InputError, with the line, where the file is neither, or can't be read.
    """
    reader: _Reader | None = None
    number = 0
    try:
        with open_ordinary(path, _LARGEST) as stream:
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                where = f"{shortened(path)}, line {number}"
                entry = _parsed(line, where)
                if reader is None:
                    is_manifest = "source-ref" in entry
                    reader = ManifestReader(fps, label) if is_manifest else MessageReader()
                reader.line(entry, where)
    except OSError as error:
        raise InputError(
            f"{shortened(path)} can't be read ({error.strerror or error}); give a file of "
            "recorded messages, or a Ground Truth output manifest"
        ) from None
    if reader is None:
        raise InputError(f"{shortened(path)} is empty; give recorded messages or a manifest")
    classes, cameras = reader.recording()
    if not cameras:
        raise InputError(
            f"{shortened(path)} holds no message of detections; record them with "
            "publish.detections.mode: every and a transport of type jsonl"
        )
    return Recording(classes, cameras, isinstance(reader, MessageReader))


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise InputError(
            f"{where} is no JSON object; give recorded messages, or a Ground Truth output manifest"
        )
    return entry
