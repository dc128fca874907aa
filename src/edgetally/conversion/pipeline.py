"""The conversion from end to end: read, cut, export, prove, measure, put in place."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import unicodedata
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally import __version__
from edgetally.bundle import BundleFile, FileRole, ModelBundle, sha256_of
from edgetally.conversion.artifact.archive import HYPERPARAMETERS_NAME, TrainingArtifact
from edgetally.conversion.artifact.aws import fetch, is_address
from edgetally.conversion.artifact.params import write_params
from edgetally.conversion.artifact.tar_stream import LARGEST_ARCHIVE
from edgetally.conversion.network.deploy import LARGEST_INPUT, deploy
from edgetally.conversion.network.deployment import Deployment, whole_number
from edgetally.conversion.network.settings import NmsOverrides
from edgetally.conversion.onnx_model.calibration import calibration_frames
from edgetally.conversion.onnx_model.variances import undefined_variances
from edgetally.conversion.placement import (
    placed,
    refuse_occupied,
    refuse_other_archive,
    resolved,
    write_archive,
)
from edgetally.conversion.proof.measuring import Measurements, measure
from edgetally.conversion.proof.timing import machine
from edgetally.conversion.report.page import write_report
from edgetally.conversion.report.record import ConversionRecord, GraphSummary, Parity
from edgetally.errors import InputError
from edgetally.shortened import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.conversion.onnx_model.export import OnnxModel

_FILES: dict[FileRole, str] = {
    "mxnet-symbol": "deploy_model_algo_1-symbol.json",
    "mxnet-params": "deploy_model_algo_1-0000.params",
    "onnx": "model.onnx",
}
_VERIFIED_PICTURES = 3
_log = logging.getLogger(__name__)


def convert(
    source: Path | str,
    output: Path,
    *,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    version: str = "1.0.0",
    nms: NmsOverrides | None = None,
    image_shape: int | None = None,
    calibration: str | None = None,
    verify: bool | None = None,
    timings: bool = True,
    overwrite: bool = False,
    archive: bool = False,
    progress: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Turn a training artifact into a model bundle in the folder `output`.

    source: `model.tar.gz`, the folder it was unpacked into, or its place `s3://bucket/key`; or a
        folder or symbol file that GluonCV's `HybridBlock.export` wrote.
    classes: names in the order of the class ids; absent: class-0, class-1, …
    name: the model's name; absent: that of the output folder.
    nms: settings that replace the artifact's own.
    image_shape: the side of the input in pixels, where the artifact does not say.
    calibration: folder of images or Ground Truth manifest, to make int8 forms with.
    verify: compare every file with the training graph and record how far they stand apart;
        absent: where MXNet, or both other runtimes, are installed.
    timings: time the engines, too, where they are run to verify or to make int8.
    overwrite: replace a bundle that is there.
    archive: write the bundle as `output.tar.gz`, too.
    progress: called with a line for each step. warn: with a line that a user should read.

    Raises InputError for a bad artifact, argument or folder, and EdgetallyError where a runtime
    differs from the training graph. Then nothing is left, and an old bundle stays as it was.
    """
    notes: list[str] = []

    def tell(line: str) -> None:
        _log.info(line)
        if progress:
            progress(line)

    def note(line: str) -> None:
        notes.append(line)
        _log.info(line)
        if warn:
            warn(line)

    for path in (source, output):
        if not str(path) or "\0" in str(path):
            raise InputError(f"{str(path)!r} is no path; give the path of a file or folder")
    told, output = output, resolved(output)
    if name is None:
        name = output.name
        _refuse_unwritable("the output folder's name", name, "; give --name")
    for what, text in (("--name", name), ("--version", version)):
        _refuse_unwritable(what, text)
    if image_shape is not None and not 1 <= image_shape <= LARGEST_INPUT:
        raise InputError(f"--image-shape {image_shape} must be between 1 and {LARGEST_INPUT}")
    _refuse_missing_onnx()
    refuse_occupied(output, overwrite=overwrite)
    archive_path = output.with_name(f"{output.name}.tar.gz")
    if archive:
        refuse_other_archive(archive_path, str(source), overwrite=overwrite)
    with _fetched(source, tell) as place:
        tell(f"reading {source}")
        artifact = TrainingArtifact.read(place, str(source))
    deployment = deploy(artifact, nms or NmsOverrides(), image_shape, note)
    _refuse_unwritable("base_network", deployment.architecture)
    untrained = undefined_variances(deployment.graph, deployment.params)
    if untrained:
        note(
            f"{len(untrained)} BatchNorms ({listed(untrained)}) have negative moving variances, "
            "which no trained network has"
        )
    size = deployment.network_input.size
    pictures = calibration_frames(calibration, size, tell) if calibration is not None else []
    model = _exported(deployment, str(source))
    summary = _summary(deployment, model)
    settings = artifact.hyperparameters
    if settings and whole_number(settings, "num_classes") != summary.classes:
        raise InputError(
            f"{HYPERPARAMETERS_NAME} says num_classes {settings['num_classes']} but the network "
            f"has {summary.classes}; symbol and hyperparameters must come from the same job"
        )
    tell(
        f"cut to {summary.nodes} nodes: {summary.classes} classes, {summary.anchors} anchors, "
        f"input {summary.input_size} x {summary.input_size}"
    )
    class_names = _class_names(classes, summary.classes)
    with placed(output, overwrite=overwrite) as folder:
        bundle = ModelBundle(
            name=name,
            version=version,
            architecture=deployment.architecture,
            classes=class_names,
            input_size=summary.input_size,
            colour_order="RGB",
            mean=deployment.network_input.mean,
            scale=deployment.network_input.scale,
            nms=deployment.nms,
            files=_write_files(folder, deployment, model),
            hyperparameters=dict(settings),
        )
        del deployment, model  # a large network's hundreds of megabytes
        bundle.write(folder)
        bundle = ModelBundle.load(folder)
        parity = _proof(artifact, bundle, pictures, verify=verify, tell=tell, note=note)
        if pictures:
            tell(f"calibrating int8 with {len(pictures)} images")
            bundle = _with_int8(bundle, folder, pictures, note)
        measured = Measurements()
        if timings and (parity or pictures):
            measured = measure(bundle, pictures, tell)
        if any(each.map_50 is None for each in measured.agreement):
            note("int8 was not compared: fp32 finds nothing of 0.5 or more in the images")
        record = ConversionRecord(
            edgetally=__version__,
            source=_shown(str(source) if _is_remote(source) else Path(source).absolute().name),
            bundle_sha256=bundle.sha256,
            notes=tuple(notes),
            graph=summary,
            file_sizes={
                entry.path: (folder / entry.path).stat().st_size for entry in bundle.files.values()
            },
            machine=machine(),
            parity=parity,
            timings=measured.timings,
            agreement=measured.agreement,
            calibration_images=len(pictures),
        )
        record.write(folder)
        write_report(folder, bundle, record, measured.samples)
    bundle = ModelBundle.load(output)
    if archive:
        write_archive(bundle, output, archive_path)
        tell(f"wrote {archive_path}")
    tell(f"wrote {told}")
    return bundle


def _refuse_missing_onnx() -> None:
    if importlib.util.find_spec("onnx") is None:
        raise InputError("conversion needs onnx; pip install 'edgetally[convert]'")


def _is_remote(source: Path | str) -> bool:
    return is_address(str(source))


@contextmanager
def _fetched(source: Path | str, tell: Callable[[str], None]) -> Iterator[Path]:
    """Yield the artifact's place on this machine; one from S3 is gone afterwards."""
    if not _is_remote(source):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="edgetally-") as folder:
        tell(f"fetching {source}")
        yield fetch(str(source), Path(folder), limit=LARGEST_ARCHIVE)


def _exported(deployment: Deployment, source: str) -> OnnxModel:
    from edgetally.conversion.onnx_model.export import export_onnx  # noqa: PLC0415 - owns onnx

    try:
        return export_onnx(deployment, deployment.network_input.size)
    except MemoryError:
        raise InputError(
            f"{source}: the network needs more memory than there is; "
            "take the artifact from the training job again"
        ) from None


def _summary(deployment: Deployment, model: OnnxModel) -> GraphSummary:
    nodes = deployment.graph.nodes
    return GraphSummary(
        nodes=len(nodes),
        operators=dict(sorted(Counter(n.op for n in nodes if n.op != "null").items())),
        parameters=sum(array.size for array in deployment.params.values()),
        anchors=model.anchors,
        classes=model.classes,
        input_size=deployment.network_input.size,
        onnx_nodes=model.nodes,
        folded=model.folded,
    )


def _write_files(
    folder: Path, deployment: Deployment, model: OnnxModel
) -> dict[FileRole, BundleFile]:
    (folder / _FILES["mxnet-symbol"]).write_text(deployment.graph.to_json(), encoding="utf-8")
    (folder / _FILES["mxnet-params"]).write_bytes(write_params(deployment.params))
    (folder / _FILES["onnx"]).write_bytes(model.content)
    return {
        role: BundleFile(path=path, sha256=sha256_of(folder / path))
        for role, path in _FILES.items()
    }


def _proof(
    artifact: TrainingArtifact,
    bundle: ModelBundle,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    verify: bool | None,
    tell: Callable[[str], None],
    note: Callable[[str], None],
) -> tuple[Parity, ...]:
    if verify is False:
        return ()
    from edgetally.conversion.proof import verification  # noqa: PLC0415 - loads the runtimes

    if verify is None and verification.can_verify() is None:
        note("not verified: that needs MXNet, or both openvino and onnxruntime")
        return ()
    parity = verification.verify(artifact, bundle, pictures[:_VERIFIED_PICTURES], tell)
    if not any(each.detections for each in parity):
        note("nothing was detected in the frames of the proof; --calibration gives it others")
    return parity


def _with_int8(
    bundle: ModelBundle,
    folder: Path,
    pictures: Sequence[NDArray[np.uint8]],
    note: Callable[[str], None],
) -> ModelBundle:
    from edgetally.conversion.onnx_model.quantization import quantize  # noqa: PLC0415 - loads a runtime

    files = dict(bundle.files) | quantize(bundle, pictures, folder, note)
    bundle.model_copy(update={"files": files}).write(folder)
    return ModelBundle.load(folder)


def _class_names(given: Sequence[str] | None, count: int) -> tuple[str, ...]:
    names = tuple(given) if given else tuple(f"class-{number}" for number in range(count))
    for name in names:
        _refuse_unwritable("class name", name)
    if len(names) != count:
        raise InputError(
            f"{len(names)} class names ({listed(names)}) for a model of {count}; "
            "name each, in the order of the training job's class ids"
        )
    if len(set(names)) != count:
        raise InputError(f"class names ({listed(names)}) must differ")
    return names


def _refuse_unwritable(what: str, text: str, remedy: str = "") -> None:
    if not text.strip() or any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise InputError(
            f"{what} {text!r} must not be empty, nor hold characters that can't be written{remedy}"
        )


def _shown(name: str) -> str:
    """Replace what of a file's name is no text."""
    return name.encode(errors="replace").decode()
