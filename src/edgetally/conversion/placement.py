"""Putting a finished bundle in place: whole, or not at all."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gzip
import json
import os
import secrets
import shutil
import tarfile
import time
import zlib
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from edgetally.bundle import FORMAT, MANIFEST_NAME
from edgetally.conversion.report.record import RECORD_NAME, REPORT_NAME
from edgetally.errors import EdgetallyError, InputError
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

_LARGEST_MANIFEST = 16 << 20
_STAGING = ".edgetally-"
_SURELY_LEFT = 60.0  # seconds; a younger folder may not be locked yet
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # fcntl.h and linux/fs.h


def resolved(output: Path) -> Path:
    """Return an output's place without links and `..`. InputError where they lead nowhere."""
    try:
        return output.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{output} leads nowhere ({error}); give --output another folder"
        ) from None


def refuse_occupied(output: Path, *, overwrite: bool) -> None:
    """Raise InputError where `output` exists; with overwrite, unless it is a bundle or empty.

    A bundle that holds a file which no conversion wrote is not replaced: it would be lost.
    """
    if not _exists(output):
        return
    if not overwrite:
        raise InputError(
            f"{output} exists; give --output a new folder, or --overwrite to replace a bundle"
        )
    _refuse_foreign(output)


def refuse_other_archive(archive: Path, source: str, *, overwrite: bool) -> None:
    """Raise InputError where `archive` exists; with overwrite, unless it holds a bundle.

    source is what is converted: `boxes.tar.gz` into `boxes` must not become its own result.
    """
    if not _exists(archive):
        return
    if not overwrite:
        raise InputError(f"{archive} exists; move it away or give --overwrite")
    with suppress(OSError):
        if archive.samefile(source):
            raise InputError(f"{archive} is what is converted; give --output another name")
    try:
        with tarfile.open(archive) as tar:
            first = tar.next()
    except (OSError, tarfile.TarError, EOFError, zlib.error):
        first = None
    if first is None or first.name != MANIFEST_NAME:
        raise InputError(
            f"{archive} is no bundle's archive and would be lost; move it away or give --output "
            "another name"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror or error}); "
            "give --output a folder that you may write"
        ) from None


def _refuse_foreign(output: Path) -> None:
    try:
        if output.is_dir() and not any(output.iterdir()):
            return
        found = json.loads(read_ordinary(output / MANIFEST_NAME, _LARGEST_MANIFEST))
        is_bundle = found["format"] == FORMAT
        own = {MANIFEST_NAME, RECORD_NAME, REPORT_NAME}
        own |= {entry["path"] for entry in found["files"].values()}
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
def placed(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `output` at the end; on an error nothing remains.

    An old bundle at `output` stands until the new one is complete, and then they change places
    in one step. InputError where the folder can't be written.
    """
    output = resolved(output)
    token = secrets.token_hex(4)
    staging = output.with_name(f"{_STAGING}{token}.new")
    made: list[Path] = []
    with ExitStack() as stack:
        try:
            for folder in (*reversed(output.parents), staging):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            stack.enter_context(_held(staging))
            _sweep(output.parent)
            yield staging
            refuse_occupied(output, overwrite=overwrite)  # the conversion took a while
            _swap(staging, output, output.with_name(f"{_STAGING}{token}.old"))
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


@contextmanager
def _held(staging: Path) -> Iterator[None]:
    """Hold a lock on a folder, so that others see that someone works in it."""
    descriptor = os.open(staging, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove what conversions that were killed left beside the output."""
    for left in parent.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime < _SURELY_LEFT:
                continue
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def write_archive(bundle: ModelBundle, folder: Path, archive: Path) -> None:
    """Write a bundle's files, without the report, as one `.tar.gz`: the same bytes each time.

    Raises EdgetallyError where it can't be written.
    """
    staging = archive.with_name(f".{archive.name}.{secrets.token_hex(4)}.new")
    try:
        with (
            staging.open("wb") as raw,
            gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as stream,
            tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for path in (MANIFEST_NAME, *sorted(entry.path for entry in bundle.files.values())):
                member = tarfile.TarInfo(path)
                member.size = (folder / path).stat().st_size
                member.mode = 0o644
                with (folder / path).open("rb") as content:
                    tar.addfile(member, content)
        staging.replace(archive)
    except OSError as error:
        raise EdgetallyError(
            f"{archive} can't be written ({error.strerror or error}); the bundle is in {folder}"
        ) from error
    finally:
        staging.unlink(missing_ok=True)


def _swap(new: Path, output: Path, old: Path) -> None:
    if not output.exists():
        new.rename(output)
        return
    if _exchanged(new, output):
        shutil.rmtree(new, ignore_errors=True)
        return
    output.rename(old)
    try:
        new.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places at once; False where system or file system can't."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}:
        return False
    raise OSError(number, os.strerror(number), str(other))
