"""Zips whose bytes depend on their content alone: sorted, with one time and plain modes."""

from __future__ import annotations

import time
import zipfile
from typing import TYPE_CHECKING

from edgetally.component.open_to_all import open_file, writing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE_MODE = 0o100644 << 16  # the upper half of a zip's external attributes
_UNIX = 3
_FIRST = 315532800  # 1980-01-01; a zip holds no earlier time
_PACKED_ALREADY = (".whl", ".onnx", ".params", ".zip", ".gz")


def write_zip(path: Path, files: Mapping[str, bytes | Path], seconds: int) -> None:
    """Write files, by name, into a zip; seconds since 1970 is the time of each.

    Raises InputError where it can't be written.
    """
    moment = time.gmtime(max(seconds, _FIRST))[:6]
    with writing(path), zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            content = files[name]
            entry = zipfile.ZipInfo(name, moment)
            entry.create_system = _UNIX
            entry.external_attr = _FILE_MODE
            is_packed = name.endswith(_PACKED_ALREADY)
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            archive.writestr(
                entry, content if isinstance(content, bytes) else content.read_bytes(), None, 9
            )
    open_file(path)
