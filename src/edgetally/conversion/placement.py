"""Putting a finished bundle in place: whole, or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edgetally.bundle import FORMAT, MANIFEST_NAME
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def refuse_foreign(output: Path) -> None:
    """Raise InputError unless `output` is free, an empty folder or a bundle to replace.

    A bundle that holds a file which its `bundle.json` does not list is not replaced.
    """
    try:
        if not output.exists() or (output.is_dir() and not any(output.iterdir())):
            return
        found = json.loads((output / MANIFEST_NAME).read_bytes())
        is_bundle = found["format"] == FORMAT
        own = {MANIFEST_NAME, *(entry["path"] for entry in found["files"].values())}
        files = [path for path in output.rglob("*") if path.is_symlink() or not path.is_dir()]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        is_bundle = False
    if not is_bundle:
        raise InputError(
            f"{output} exists and is no model bundle; give --output a new folder or an old bundle"
        )
    for path in files:
        if path.relative_to(output).as_posix() not in own:
            raise InputError(
                f"{path} is no part of the old bundle and would be lost; "
                "move it away or give --output a new folder"
            )


@contextmanager
def placed(output: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `output` at the end; on an error nothing remains.

    An old bundle at `output` stands until the new one is complete. InputError where the folder
    can't be written.
    """
    output = output.resolve()
    token = secrets.token_hex(4)
    staging = output.with_name(f".{output.name}.{token}.new")
    made: list[Path] = []
    try:
        for folder in (*reversed(output.parents), staging):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield staging
        refuse_foreign(output)  # the conversion took a while
        _swap(staging, output, output.with_name(f".{output.name}.{token}.old"))
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in reversed(made):
            with suppress(OSError):  # someone else may have put something there
                folder.rmdir()
        if isinstance(error, OSError):
            raise InputError(
                f"{output} can't be written ({error.strerror or error}); "
                "give --output a folder that you may write"
            ) from error
        raise


def _swap(new: Path, output: Path, old: Path) -> None:
    if not output.exists():
        new.rename(output)
        return
    output.rename(old)
    try:
        new.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
