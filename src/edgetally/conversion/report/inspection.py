"""`edgetally inspect`: what a bundle or an artifact that is not converted yet has to tell."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from pydantic.alias_generators import to_camel

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.conversion.artifact.archive import TrainingArtifact
from edgetally.conversion.report.artifact_summary import artifact_sections, summarize
from edgetally.conversion.report.facts import Section, bundle_sections, sizes_of
from edgetally.conversion.report.record import RECORD_NAME, ConversionRecord
from edgetally.conversion.report.terminal import show
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


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


def describe(path: Path) -> Description:
    """Describe a bundle (its folder or `bundle.json`) or an artifact that `convert` would read.

    A bundle's files are checked against their hashes. Neither MXNet nor onnx is needed; without
    onnx it stays open whether every operator of an artifact is supported. InputError where there
    is neither a bundle nor an artifact, or where it is broken.
    """
    if "\0" in str(path):
        raise InputError(f"{str(path)!r} is no path; give one without a NUL character")
    if not path.exists():
        raise InputError(f"{path} does not exist; give a bundle's folder or a model.tar.gz")
    if path.name == MANIFEST_NAME:
        return _describe_bundle(path.parent)
    if (path / MANIFEST_NAME).exists():
        return _describe_bundle(path)
    return _describe_artifact(path)


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
