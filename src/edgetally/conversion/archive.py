"""What a training job leaves: `model.tar.gz`, or the folder it was unpacked into."""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from edgetally.conversion.params import read_params
from edgetally.conversion.symbol import Graph, parse_symbol
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SYMBOL_NAME = "model_algo_1-symbol.json"
PARAMS_NAME = "model_algo_1-0000.params"
HYPERPARAMETERS_NAME = "hyperparams.json"
_WANTED = (SYMBOL_NAME, PARAMS_NAME, HYPERPARAMETERS_NAME)
_LARGEST_MEMBER = 2 << 30  # the largest detector is under 200 MB; a bomb is not unpacked


@dataclass(frozen=True)
class TrainingArtifact:
    """The three files of a training job, parsed. params are named `arg:…` and `aux:…`."""

    graph: Graph
    params: Mapping[str, NDArray[Any]]
    hyperparameters: Mapping[str, str]

    @classmethod
    def read(cls, source: Path) -> TrainingArtifact:
        """Read a `model.tar.gz` or an unpacked folder; nothing is extracted to disk.

        Raises InputError, naming the file, where one is missing or can't be read.
        """
        contents = _from_folder(source) if source.is_dir() else _from_archive(source)
        missing = [name for name in _WANTED if name not in contents]
        if missing:
            raise InputError(
                f"{source} lacks {' and '.join(missing)}; give the model.tar.gz that a "
                "SageMaker Object Detection training job wrote"
            )
        return cls(
            parse_symbol(contents[SYMBOL_NAME], f"{source}: {SYMBOL_NAME}"),
            read_params(contents[PARAMS_NAME], f"{source}: {PARAMS_NAME}"),
            _parse_hyperparameters(contents[HYPERPARAMETERS_NAME], source),
        )


def _from_folder(source: Path) -> dict[str, bytes]:
    try:
        return {name: (source / name).read_bytes() for name in _WANTED if (source / name).exists()}
    except OSError as error:
        raise InputError(
            f"{error.filename or source}: {error.strerror or error}; give a readable folder"
        ) from None


def _from_archive(source: Path) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    try:
        with _opened(source) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if name not in _WANTED or not member.isfile():
                    continue
                if name in contents or member.size > _LARGEST_MEMBER:
                    problem = "more than once" if name in contents else "too large to be a model"
                    raise InputError(f"{source} holds {name} {problem}; give one job's artifact")
                content = tar.extractfile(member)
                contents[name] = content.read() if content else b""
            while stream.read(1 << 20):  # gzip's checksum is checked at its very end
                pass
    except FileNotFoundError:
        raise InputError(f"{source} does not exist; give the path of a model.tar.gz") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{source} is not a whole tar archive ({error}); download it again"
        ) from None
    except OSError as error:
        raise InputError(
            f"{source} can't be read ({error.strerror or error}); give a readable model.tar.gz"
        ) from None
    return contents


def _opened(source: Path) -> gzip.GzipFile | IO[bytes]:
    with source.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return gzip.open(source) if zipped else source.open("rb")


def _parse_hyperparameters(content: bytes, source: Path) -> dict[str, str]:
    try:
        settings = json.loads(content)
        json.dumps(settings, ensure_ascii=False).encode()  # a bundle holds no lone surrogate
        return {str(key): str(value) for key, value in settings.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{source}: {HYPERPARAMETERS_NAME} can't be read ({error}); "
            "take the artifact from the training job again"
        ) from None
