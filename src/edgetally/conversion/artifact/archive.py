"""What training leaves: an archive, the folder it was unpacked into, or an exported network."""

from __future__ import annotations

import gzip
import json
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from edgetally.bundle import MANIFEST_NAME
from edgetally.conversion.artifact.kind import foreign_graph, foreign_names, foreign_settings
from edgetally.conversion.artifact.params import read_params
from edgetally.conversion.artifact.symbol import LARGEST_SYMBOL, Graph, parse_symbol
from edgetally.conversion.artifact.tar_stream import LARGEST_ARCHIVE, read_members
from edgetally.errors import InputError
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray

SAGEMAKER_NAME = "model_algo_1"
SYMBOL_NAME = f"{SAGEMAKER_NAME}-symbol.json"
PARAMS_NAME = f"{SAGEMAKER_NAME}-0000.params"
HYPERPARAMETERS_NAME = "hyperparams.json"
_SAGEMAKER = (SYMBOL_NAME, PARAMS_NAME, HYPERPARAMETERS_NAME)
_LARGEST_HYPERPARAMETERS = 1 << 20
# `HybridBlock.export(path, epoch)` of MXNet's Gluon writes these two (gluon/block.py).
_SYMBOL_ENDING = "-symbol.json"
_PARAMS_KIND = ".params"
_PARAMS_ENDING = re.compile(r"-[0-9]{4}\.params")
_GZIP = b"\x1f\x8b"
# What people pack with instead: the first bytes of each format's own specification.
_OTHER_PACKING = (
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a zip archive"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "packed with bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "packed with xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "packed with zstd"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
)
_ARCHIVE_ENDINGS = (".tar.gz", ".tgz", ".tar")
# Written by macOS beside each file, and by an old tar for each pax header that it didn't know.
_LEFTOVER = re.compile(r"\._|PaxHeader")


@dataclass(frozen=True)
class TrainingArtifact:
    """A trained network, parsed. params are named `arg:…` and `aux:…`.

    name: that of its files before `-symbol.json`; `model_algo_1` is SageMaker's. A network that
    GluonCV exported has no hyperparameters.
    """

    graph: Graph
    params: Mapping[str, NDArray[Any]]
    hyperparameters: Mapping[str, str]
    name: str = SAGEMAKER_NAME

    @classmethod
    def read(cls, source: Path, origin: str | None = None) -> TrainingArtifact:
        """Read a `model.tar.gz`, an unpacked folder or a `NAME-symbol.json` with its parameters.

        An artifact is SageMaker's (`model_algo_1-symbol.json`, `model_algo_1-0000.params` and
        `hyperparams.json`) or one pair `NAME-symbol.json` and `NAME-NNNN.params`, as
        `HybridBlock.export` writes it. origin names it in errors; absent: its path. Nothing is
        extracted to disk. Raises InputError, naming the file, where one is missing or foreign,
        can't be read, or where the archive holds what no training job writes.
        """
        if "\0" in str(source):
            raise InputError(
                f"{shortened(repr(str(source)))} is no path; give one without a NUL character"
            )
        held = _Held(shortened(origin or source))
        try:
            if source.is_dir():
                held.add_folder(source)
            elif source.name.endswith(_SYMBOL_ENDING):
                held.add_pair(source)
            else:
                _add_archive(source, held)
        except OSError as error:
            raise _unreadable(error, source) from None
        return cls._sagemakers(held) if held.is_sagemakers() else cls._exported(held)

    @classmethod
    def _sagemakers(cls, held: _Held) -> TrainingArtifact:
        missing = [name for name in _SAGEMAKER if name not in held.names]
        if missing:
            raise InputError(
                f"{held.origin} lacks {' and '.join(missing)}; give the model.tar.gz that a "
                "SageMaker Object Detection training job wrote"
            )
        settings = _parse_hyperparameters(held.take(HYPERPARAMETERS_NAME), held.origin)
        held.refuse(foreign_settings(settings))
        graph = parse_symbol(held.take(SYMBOL_NAME), f"{held.origin}: {SYMBOL_NAME}")
        held.refuse(foreign_graph(graph))
        params = read_params(held.take(PARAMS_NAME), f"{held.origin}: {PARAMS_NAME}")
        return cls(graph, params, settings)

    @classmethod
    def _exported(cls, held: _Held) -> TrainingArtifact:
        if MANIFEST_NAME in held.names:
            raise InputError(
                f"{held.origin} is a model bundle already (it holds {MANIFEST_NAME}); give the "
                "artifact that it was converted from"
            )
        name, symbol_name, params_name = held.pair()
        graph = parse_symbol(held.take(symbol_name), f"{held.origin}: {symbol_name}")
        held.refuse(foreign_graph(graph))
        params = read_params(held.take(params_name), f"{held.origin}: {params_name}")
        return cls(graph, params, {}, name)


class _Held:
    """The names in an artifact, and the contents that may be needed."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.names: set[str] = set()
        self._folder: Path | None = None
        self._contents: dict[str, bytearray] = {}

    def is_sagemakers(self) -> bool:
        return SYMBOL_NAME in self.names or PARAMS_NAME in self.names

    def add_folder(self, folder: Path) -> None:
        self._folder = folder
        self.names = {path.name for path in folder.iterdir() if not _is_leftover(path.name)}

    def add_pair(self, symbol: Path) -> None:
        """Take a symbol file and the parameters beside it, and what SageMaker's need."""
        _check_file(symbol)
        self._folder = symbol.parent
        stem = symbol.name.removesuffix(_SYMBOL_ENDING)
        beside = [path.name for path in symbol.parent.iterdir()]
        self.names = {symbol.name, *(name for name in beside if _stem(name) == stem)}
        if symbol.name == SYMBOL_NAME and HYPERPARAMETERS_NAME in beside:
            self.names.add(HYPERPARAMETERS_NAME)

    def add_member(self, path: str, content: bytearray | None) -> None:
        if _is_leftover(path):
            return
        name = PurePosixPath(path).name
        if name in self.names and (name == HYPERPARAMETERS_NAME or _network_file(name)):
            raise InputError(f"{self.origin} holds {name} more than once; give one job's artifact")
        self.names.add(name)
        if content is not None:
            self._contents[name] = content

    def most_bytes(self, path: str) -> int:
        """Return the size up to which a member is kept; 0 for one that is not needed."""
        if _is_leftover(path):
            return 0
        name = PurePosixPath(path).name
        # Of networks that are not SageMaker's only the first is kept: two are refused.
        kept = (other for other in self._contents if other not in _SAGEMAKER)
        if name not in _SAGEMAKER and _network_file(name) in map(_network_file, kept):
            return 0
        return _largest(name)

    def take(self, name: str) -> bytes | bytearray:
        """Hand a content over, so that it is not held twice."""
        if self._folder is None:
            return self._contents.pop(name)
        return _read_file(self._folder / name, _largest(name))

    def refuse(self, reason: str | None) -> None:
        if reason:
            raise InputError(f"{self.origin}: {reason}")

    def pair(self) -> tuple[str, str, str]:
        """Return name, symbol and parameters of the one network that is not SageMaker's."""
        self.refuse(foreign_names(self.names))
        symbols = sorted(name for name in self.names if _network_file(name) == _SYMBOL_ENDING)
        params = sorted(name for name in self.names if _network_file(name) == _PARAMS_KIND)
        if not symbols and not params:
            packed = sorted(name for name in self.names if name.lower().endswith(_ARCHIVE_ENDINGS))
            if packed:
                raise InputError(
                    f"{self.origin} is no artifact but holds {listed(packed)}; give that file "
                    "itself, unpacked from where it lies"
                )
            missing = [name for name in _SAGEMAKER if name not in self.names]
            raise InputError(
                f"{self.origin} lacks {' and '.join(missing)}; give the model.tar.gz of a "
                "SageMaker Object Detection training job, or what HybridBlock.export wrote"
            )
        if HYPERPARAMETERS_NAME in self.names:
            raise InputError(
                f"{self.origin} lacks {SYMBOL_NAME} and {PARAMS_NAME} but holds "
                f"{HYPERPARAMETERS_NAME} and {listed([*symbols, *params])}; give the training "
                "job's own model.tar.gz, or a folder of the exported network alone"
            )
        if len(symbols) > 1:
            raise InputError(
                f"{self.origin} holds several networks ({listed([*symbols, *params])}); unpack it "
                "and name one symbol file"
            )
        if not symbols:
            raise InputError(
                f"{self.origin} lacks a {_SYMBOL_ENDING[1:]} for {listed(params)}; give both "
                "files that HybridBlock.export wrote"
            )
        name = symbols[0].removesuffix(_SYMBOL_ENDING)
        own = [params_name for params_name in params if _stem(params_name) == name]
        if not own:
            raise InputError(
                f"{self.origin} lacks {name}-0000.params, the parameters of {symbols[0]}; give "
                "both files that HybridBlock.export wrote"
            )
        if len(params) > 1:
            raise InputError(
                f"{self.origin} holds several parameter files ({listed(params)}); leave the one "
                f"of the epoch that is wanted beside {symbols[0]}"
            )
        return name, symbols[0], own[0]


def _network_file(name: str) -> str:
    """Return the ending of a network's file, "" for any other."""
    if name.endswith(_SYMBOL_ENDING):
        return _SYMBOL_ENDING
    return _PARAMS_KIND if _stem(name) is not None else ""


def _stem(params_name: str) -> str | None:
    ending = _PARAMS_ENDING.fullmatch(params_name[-12:])
    return params_name[:-12] if ending else None


def _is_leftover(path: str) -> bool:
    return any(_LEFTOVER.match(part) for part in PurePosixPath(path).parts)


def _largest(name: str) -> int:
    """Return the most bytes that a file of this name may have; 0 where it is none of a model's."""
    if name == HYPERPARAMETERS_NAME:
        return _LARGEST_HYPERPARAMETERS
    return {_SYMBOL_ENDING: LARGEST_SYMBOL, _PARAMS_KIND: LARGEST_ARCHIVE}.get(
        _network_file(name), 0
    )


def _check_file(path: Path) -> int:
    """Return the size of an ordinary file, links followed; InputError for anything else."""
    try:
        status = path.stat()
    except FileNotFoundError:
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        raise InputError(f"{shortened(path)} {what}; give the path of a model.tar.gz") from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no ordinary file; give the artifact as the job wrote it")
    return status.st_size


def _read_file(path: Path, largest: int) -> bytes:
    try:
        size = _check_file(path)
        if size > largest:
            raise InputError(
                f"{path} has {size} bytes, too large to be a model's; "
                "give the artifact as the training job wrote it"
            )
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(error, path) from None


def _add_archive(source: Path, held: _Held) -> None:
    held.refuse(foreign_names([source.name]))
    if _stem(source.name) is not None:
        raise InputError(
            f"{held.origin} holds parameters only; give its folder, or the {_SYMBOL_ENDING[1:]} "
            "beside it"
        )
    _check_file(source)
    try:
        with _opened(source) as stream:
            _refuse_other_packing(stream, held)
            members = read_members(stream, held.origin, held.most_bytes)
            for path, content in members:
                held.add_member(path, content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{held.origin} is not a whole tar archive ({error}); download it again"
        ) from None


def _opened(source: Path) -> gzip.GzipFile | BufferedReader:
    with source.open("rb") as stream:
        zipped = stream.read(2) == _GZIP
    return gzip.open(source) if zipped else source.open("rb")


def _refuse_other_packing(stream: gzip.GzipFile | BufferedReader, held: _Held) -> None:
    start = stream.peek(16)
    if start.startswith(_GZIP):
        raise InputError(
            f"{held.origin} is packed with gzip twice; unpack it once with gunzip, or "
            "give the model.tar.gz that the job wrote"
        )
    for magic, what in _OTHER_PACKING:
        if magic.match(start):
            inside = "holds, in gzip, what is " if isinstance(stream, gzip.GzipFile) else "is "
            held.refuse(f"this {inside}{what}; give the model.tar.gz that the job wrote")


def _unreadable(error: OSError, path: Path) -> InputError:
    return InputError(
        f"{shortened(error.filename or path)} can't be read ({error.strerror or error}); "
        "give a readable model.tar.gz"
    )


def _parse_hyperparameters(content: bytes | bytearray, origin: str) -> dict[str, str]:
    try:
        settings = json.loads(content)
        json.dumps(settings, ensure_ascii=False).encode()  # a bundle holds no lone surrogate
        return {str(key): str(value) for key, value in settings.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{origin}: {HYPERPARAMETERS_NAME} can't be read ({shortened(error)}); "
            "take the artifact from the training job again"
        ) from None
