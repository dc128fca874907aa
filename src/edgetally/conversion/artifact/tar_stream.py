"""The members of a tar archive, read forwards once, with a bound on everything it claims.

The format is POSIX.1-2017's ustar and pax interchange format (`pax`, Extended Description) and
GNU tar's long names and base-256 numbers (GNU tar manual, "Basic Tar Format"). An archive of a
training job holds files and folders; whatever else a tar can hold is refused, wherever it lies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from gzip import GzipFile
    from typing import IO

    _Readable = IO[bytes] | GzipFile

LARGEST_ARCHIVE = 1 << 30  # bytes of all members together; the largest detector is under 0.2 GB
MOST_MEMBERS = 10_000
_LARGEST_HEADERS = 16 << 20  # of all members together: long names and pax records
_LARGEST_HEADER = 64 << 10
_LARGEST_END = 16 << 20  # zeros after the last member, to fill a tape's block
_BLOCK = 512
_STEP = 1 << 20
_FILE_TYPES = (b"0", b"\0", b"7")
_FOLDER_TYPE = b"5"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_REFUSED_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}
_PAX_LENGTH = re.compile(rb"[0-9]{1,5} ")


def read_members(
    stream: _Readable, origin: str, largest: Callable[[str], int]
) -> Iterator[tuple[str, bytearray | None]]:
    """Yield each file's path in the archive with its content, or None where it is not wanted.

    stream: the archive, decompressed, read in blocks. origin names it in errors.
    largest: the most bytes that the file of a path may have; 0: not wanted.

    Raises InputError for a path that leaves the archive, for links, devices and sparse files,
    for sizes or counts past a bound, and where the archive is no tar or is cut.
    """
    total = 0
    for name, size in _files(stream, origin):
        total += size
        if total > LARGEST_ARCHIVE:
            raise _refused(origin, name, f"and so more than {LARGEST_ARCHIVE >> 20} MiB")
        bound = largest(name)
        if bound and size > bound:
            raise _refused(origin, name, f"of {size} bytes, too large to be a model's")
        content = bytearray() if bound else None
        left = size + -size % _BLOCK
        while left:
            block = _exactly(stream, min(left, _STEP), origin)
            left -= len(block)
            if content is not None:
                content += block
        if content is not None:
            del content[size:]
        yield name, content
    trailing = 0
    while block := stream.read(_STEP):  # gzip's checksum is checked at its very end
        trailing += len(block)
        if trailing > _LARGEST_END:
            raise _not_whole(origin, "more data after its end")


def _files(stream: _Readable, origin: str) -> Iterator[tuple[str, int]]:
    """Yield path and size of each file; its data, padded to a block, lies next in the stream."""
    count = header_bytes = 0
    path: str | None = None
    size: int | None = None
    while (header := _exactly(stream, _BLOCK, origin)).strip(b"\0"):
        _check_sum(header, origin)
        kind = header[156:157]
        claimed = _number(header[124:136], origin)
        if kind in {_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL}:
            header_bytes += _BLOCK + claimed
            if claimed > _LARGEST_HEADER or header_bytes > _LARGEST_HEADERS:
                raise _not_whole(origin, f"a header of {claimed} bytes")
            extension = _exactly(stream, claimed + -claimed % _BLOCK, origin)[:claimed]
            if kind == _LONG_NAME:
                path = _text(extension)
            elif kind in {_PAX, _PAX_GLOBAL}:
                records = _pax_records(extension, origin)
                if kind == _PAX_GLOBAL and records:
                    raise _not_whole(origin, "one size or path for all members")
                path = records.get("path", path)
                size = _decimal(records["size"], origin) if "size" in records else size
            continue
        name = _path(header) if path is None else path
        size = claimed if size is None else size
        _refuse_unsafe(name, kind, origin)
        count += 1
        if count > MOST_MEMBERS:
            raise InputError(
                f"{origin} holds more than {MOST_MEMBERS} members; "
                "give the model.tar.gz as the training job wrote it"
            )
        # Before POSIX a folder was a file whose name ends in a slash. Its size means no data.
        if kind != _FOLDER_TYPE and not (kind == b"\0" and name.endswith("/")):
            yield name, size
        path = size = None


def _refuse_unsafe(name: str, kind: bytes, origin: str) -> None:
    if kind in _REFUSED_TYPES:
        raise _refused(origin, name, _REFUSED_TYPES[kind])
    if kind not in {*_FILE_TYPES, _FOLDER_TYPE}:
        raise _refused(origin, name, f"a member of type {kind!r}")
    parts = re.split(r"[/\\]", name)
    if (not parts[0] and name) or re.match("[A-Za-z]:", name):
        raise _refused(origin, name, "an absolute path")
    if ".." in parts or "\0" in name:
        raise _refused(origin, name, "a path that leaves the archive")


def _check_sum(header: bytes, origin: str) -> None:
    """Compare the header's checksum: of its bytes, the checksum's own taken as spaces."""
    wanted = _number(header[148:156], origin)
    rest = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(rest)
    # Some old tars summed signed characters.
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    if wanted not in {unsigned, signed}:
        raise _not_whole(origin, "a damaged header")


def _path(header: bytes) -> str:
    name = _text(header[:100])
    # GNU's own format has the same magic but for its last byte, and no prefix.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _number(field: bytes, origin: str) -> int:
    """Read octal digits, or GNU's big-endian number after a byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not re.fullmatch(b"[0-7]*", digits):
        raise _not_whole(origin, "a damaged header")
    return int(digits or b"0", 8)


def _pax_records(extension: bytes, origin: str) -> dict[str, str]:
    """Read `length key=value` lines; only a path and a size matter here."""
    records = {}
    position = 0
    while position < len(extension):
        found = _PAX_LENGTH.match(extension, position)
        end = position + int(found[0]) if found else 0
        if not found or not found.end() < end <= len(extension) or extension[end - 1] != 0x0A:
            raise _not_whole(origin, "a damaged pax header")
        key, _, value = extension[found.end() : end - 1].partition(b"=")
        if key.startswith(b"GNU.sparse."):
            raise _refused(origin, "", _REFUSED_TYPES[b"S"])
        if key in {b"path", b"size"}:
            records[key.decode()] = value.decode("utf-8", "replace")
        position = end
    return records


def _decimal(text: str, origin: str) -> int:
    if not re.fullmatch("[0-9]{1,20}", text):
        raise _not_whole(origin, "a damaged pax header")
    return int(text)


def _exactly(stream: _Readable, size: int, origin: str) -> bytes:
    block = stream.read(size)
    if len(block) < size:
        raise _not_whole(origin, "it ends too early")
    return block


def _not_whole(origin: str, reason: str) -> InputError:
    return InputError(f"{origin} is not a whole tar archive ({reason}); download it again")


def _refused(origin: str, name: str, what: str) -> InputError:
    shown = f"{name if len(name) <= 100 else name[:100] + '…'!r}, " if name else ""
    return InputError(
        f"{origin} holds {shown}{what}; give the model.tar.gz as the training job wrote it"
    )
