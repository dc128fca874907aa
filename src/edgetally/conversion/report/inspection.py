"""`edgetally inspect`: what a bundle or an artifact that is not converted yet has to tell."""

from __future__ import annotations

import gzip
import json
import stat
import tarfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from pydantic.alias_generators import to_camel

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.conversion.artifact.archive import TrainingArtifact
from edgetally.conversion.artifact.aws import fetch, is_address
from edgetally.conversion.artifact.tar_stream import LARGEST_ARCHIVE, read_members
from edgetally.conversion.report.artifact_summary import artifact_sections, summarize
from edgetally.conversion.report.facts import Section, bundle_sections, sizes_of
from edgetally.conversion.report.record import RECORD_NAME, ConversionRecord
from edgetally.conversion.report.terminal import show
from edgetally.errors import InputError
from edgetally.ordinary_file import status_of
from edgetally.shortened import shortened


@dataclass(frozen=True)
class Description:
    """What was found: a title and sections for people, one JSON object for programs."""

    title: str
    sections: tuple[Section, ...]
    content: dict[str, Any]

    def to_json(self) -> str:
        """Write everything as one JSON object."""
        return json.dumps(self.content, indent=2)

    def show(self, stream: TextIO) -> None:
        """Print tables where stream is a terminal, plain aligned text elsewhere."""
        show(self.title, self.sections, stream)


def describe(source: Path | str) -> Description:
    """Describe a bundle (folder, `bundle.json` or archive) or an artifact that `convert` reads.

    A bundle's files are checked against their hashes. Neither MXNet nor onnx is needed; without
    onnx it stays open whether every operator of an artifact is supported. InputError where there
    is neither a bundle nor an artifact, or where it is broken.
    """
    if is_address(str(source)):
        with TemporaryDirectory(prefix="edgetally-") as folder:
            place = fetch(str(source), Path(folder), limit=LARGEST_ARCHIVE)
            return replace(describe(place), title=f"{source}: training artifact")
    path = Path(source)
    mode = _mode(path)
    if mode is None:
        raise InputError(
            f"{shortened(path)} does not exist; give a bundle's folder or a model.tar.gz"
        )
    if path.name == MANIFEST_NAME:
        return _describe_bundle(path.parent)
    if stat.S_ISDIR(mode) and _mode(path / MANIFEST_NAME) is not None:
        return _describe_bundle(path)
    if stat.S_ISREG(mode) and _holds_bundle(path):
        with TemporaryDirectory(prefix="edgetally-") as folder:
            _unpack(path, Path(folder))
            found = _describe_bundle(Path(folder))
        return replace(
            found,
            title=found.title.replace(folder, str(path), 1),
            content={**found.content, "path": str(path)},
        )
    return _describe_artifact(path)


def _holds_bundle(path: Path) -> bool:
    """Tell whether a file is an archive as `convert --archive` writes it."""
    try:
        with gzip.open(path) as stream:
            header = stream.read(tarfile.BLOCKSIZE)
        return tarfile.TarInfo.frombuf(header, "utf-8", "replace").name == MANIFEST_NAME
    except (OSError, EOFError, zlib.error, tarfile.HeaderError):
        return False


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with gzip.open(archive) as stream:
            for name, content in read_members(stream, str(archive), lambda _: LARGEST_ARCHIVE):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content or b"")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{archive} can't be unpacked ({error}); convert the model again"
        ) from None


def _mode(path: Path) -> int | None:
    """Return a file's kind, None where there is none. InputError where that can't be seen."""
    try:
        return status_of(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(
            f"{shortened(repr(str(path)))} can't be read ({error.strerror or error}); "
            "give a bundle's folder or a model.tar.gz that you may read"
        ) from None


def _describe_bundle(folder: Path) -> Description:
    bundle = ModelBundle.load(folder)
    record = ConversionRecord.load(folder)
    matches = record.bundle_sha256 == bundle.sha256 if record else None
    sections = bundle_sections(bundle, record)
    if not record:
        told = f"There is no {RECORD_NAME}: no proof, timing or graph is recorded of this bundle."
        sections = (*sections, Section("Record", told))
    elif not matches:
        told = (
            f"{RECORD_NAME} tells of another bundle ({record.bundle_sha256[:12]}…, this one is "
            f"{bundle.sha256[:12]}…): its figures are not this bundle's. Convert the model again."
        )
        sections = (Section("Warning", told), *sections)
    return Description(
        f"{folder}: bundle {bundle.name} {bundle.version}",
        sections,
        {
            "kind": "bundle",
            "path": str(folder),
            "sha256": bundle.sha256,
            "bundle": bundle.model_dump(mode="json", by_alias=True),
            "fileSizes": sizes_of(bundle, record),
            "record": record.model_dump(mode="json", by_alias=True) if record else None,
            "recordMatches": matches,
        },
    )


def _describe_artifact(path: Path) -> Description:
    summary = summarize(TrainingArtifact.read(path))
    content = {to_camel(key): value for key, value in asdict(summary).items()}
    content["nms"] = [
        {"setting": setting, "value": value, "source": source}
        for setting, value, source in summary.nms
    ]
    content["heads"] = [{"name": name, "operator": op} for name, op in summary.heads]
    return Description(
        f"{path}: training artifact",
        artifact_sections(summary),
        {"kind": "artifact", "path": str(path), **content},
    )
