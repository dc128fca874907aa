"""`ModelBundle`: a converted model as a folder, described by its `bundle.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary, read_ordinary
from edgetally.shortened import shortened

FORMAT = "edgetally.bundle/1"
MANIFEST_NAME = "bundle.json"

Source = Literal["symbol", "hyperparameters", "command line", "default"]
FileRole = Literal["mxnet-symbol", "mxnet-params", "onnx", "onnx-int8"]
T = TypeVar("T")
_OWN_HASH = "manifestSha256"
_LARGEST_MANIFEST = 16 << 20
_LARGEST_FILE = 2 << 30  # protobuf, and so model.onnx, ends here


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )


class Setting(_Value, Generic[T]):
    """A value and where it came from."""

    value: T
    source: Source


class NmsSettings(_Value):
    """How rows are chosen after the network: an operator of MXNet, and its arguments' sources.

    SageMaker's networks end in `_contrib_MultiBoxDetection` (score_floor is its `threshold`: the
    lowest score kept), GluonCV's in `_contrib_box_nms` (`overlap_thresh`, and `valid_thresh`: the
    highest score dropped). topk -1 keeps every candidate, max_detections -1 every row.
    """

    algorithm: Literal["MultiBoxDetection", "box_nms"] = "MultiBoxDetection"
    threshold: Setting[float]
    topk: Setting[int]
    force_suppress: Setting[bool]
    score_floor: Setting[float]
    clip: Setting[bool]
    variances: Setting[tuple[float, float, float, float]]
    max_detections: Setting[int] = Setting(value=-1, source="default")


class BundleFile(_Value):
    """A file of the bundle: its path in the folder (`/` separated) and SHA-256 in hex."""

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ModelBundle(_Value):
    """A converted model: everything a device needs to run and to name it.

    input_size is the side of the square input in pixels; mean and scale are per channel in
    colour_order, applied as (pixel - mean) * scale to 0-255 values.
    """

    format: Literal["edgetally.bundle/1"] = "edgetally.bundle/1"
    name: str
    version: str
    architecture: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    input_size: Annotated[int, Field(ge=1, le=4096)]
    colour_order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    nms: NmsSettings
    files: dict[FileRole, BundleFile]
    hyperparameters: dict[str, str]

    _folder: Path = Path()
    _sha256: str = ""

    @property
    def sha256(self) -> str:
        """The hash of `bundle.json`, which holds every file's hash: the model's identity."""
        return self._sha256

    @property
    def folder(self) -> Path:
        """Where it was loaded from."""
        return self._folder

    def file(self, role: FileRole) -> Path:
        """Return the path of a file. InputError where the bundle has none of that role."""
        try:
            return self._folder / self.files[role].path
        except KeyError:
            raise InputError(
                f"bundle {self._folder} holds no {role} file; convert the model again"
            ) from None

    def write(self, folder: Path) -> None:
        """Write `bundle.json`, with a hash of its own, beside the files it tells of."""
        content = self.model_dump(mode="json", by_alias=True)
        content[_OWN_HASH] = _hash_of_rest(content)
        text = json.dumps(content, indent=2) + "\n"
        (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelBundle:
        """Read a bundle and check every file, `bundle.json` too, against its hash.

        Raises InputError when the folder is no bundle, or a file is missing or changed.
        """
        manifest = folder / MANIFEST_NAME
        try:
            content = read_ordinary(manifest, _LARGEST_MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"{shortened(folder)} is not a model bundle (no {MANIFEST_NAME}); make one with "
                f"'edgetally convert model.tar.gz --output {shortened(folder)}'"
            ) from None
        except OSError as error:
            raise InputError(
                f"{shortened(folder)} is not a model bundle ({MANIFEST_NAME} can't be read: "
                f"{error.strerror}); give a readable bundle, or convert the model again"
            ) from None
        try:
            parsed = json.loads(content)
            unchanged = isinstance(parsed, dict) and parsed.pop(_OWN_HASH, "") == _hash_of_rest(
                parsed
            )
        except (ValueError, RecursionError) as error:
            raise InputError(f"{manifest}: no JSON ({error}); convert the model again") from None
        if not unchanged:
            raise InputError(
                f"{manifest} was changed since the conversion; convert the model again"
            )
        try:
            bundle = cls.model_validate(parsed, by_alias=True, by_name=False)
        except ValidationError as error:
            first = error.errors()[0]
            where = shortened(".".join(str(part) for part in first["loc"])) or "the file"
            raise InputError(
                f"{manifest}: {where}: {first['msg']}; convert the model again"
            ) from None
        bundle._folder = folder  # noqa: SLF001 - its own class
        bundle._sha256 = hashlib.sha256(content).hexdigest()  # noqa: SLF001
        for entry in bundle.files.values():
            _check(folder, entry)
        return bundle


def sha256_of(path: Path) -> str:
    """Hash an ordinary file's content, in hex. OSError where it can't be read or is no file."""
    digest = hashlib.sha256()
    with open_ordinary(path, _LARGEST_FILE) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _hash_of_rest(content: dict[str, Any]) -> str:
    """Hash all keys but the hash itself, as JSON with sorted keys and no spaces."""
    rest = {key: value for key, value in content.items() if key != _OWN_HASH}
    return hashlib.sha256(
        json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def _check(folder: Path, entry: BundleFile) -> None:
    path = folder / entry.path
    shown = shortened(path)
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no possible path, or links in a ring
        raise InputError(
            f"{folder}: {shortened(repr(entry.path))} leads nowhere; convert the model again"
        ) from None
    if not inside:
        raise InputError(
            f"{folder}: {shortened(entry.path)} lies outside the bundle; convert the model again"
        )
    try:
        found = sha256_of(path)
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror or error}; convert the model again") from None
    if found != entry.sha256:
        raise InputError(
            f"{shown} was changed since the conversion (sha256 {found[:12]}…, "
            f"{MANIFEST_NAME} says {entry.sha256[:12]}…); convert the model again"
        )
