"""The conversion from end to end: read, cut, export, compare, put in place."""

from __future__ import annotations

import logging
import unicodedata
from typing import TYPE_CHECKING

from edgetally.bundle import BundleFile, FileRole, ModelBundle, sha256_of
from edgetally.conversion.archive import HYPERPARAMETERS_NAME, TrainingArtifact
from edgetally.conversion.deployment import deploy
from edgetally.conversion.params import write_params
from edgetally.conversion.placement import placed, refuse_foreign
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_FILES: dict[FileRole, str] = {
    "mxnet-symbol": "deploy_model_algo_1-symbol.json",
    "mxnet-params": "deploy_model_algo_1-0000.params",
    "onnx": "model.onnx",
}
_LARGEST_INPUT = 4096
_log = logging.getLogger(__name__)


def convert(
    source: Path,
    output: Path,
    *,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    version: str = "1.0.0",
    verify: bool | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Turn a training artifact into a model bundle in the folder `output`.

    source: `model.tar.gz`, or the folder it was unpacked into.
    classes: names in the order of the class ids; absent: class-0, class-1, …
    name: the model's name; absent: that of the output folder.
    verify: compare the runtimes with the training graph in MXNet and record how far they stand
        apart; absent: where MXNet is installed.
    progress: called with a line for each step.

    Raises InputError for a bad artifact, argument or folder, and EdgetallyError where a runtime
    differs from the training graph. Then nothing is left, and an old bundle stays as it was.
    """

    def tell(line: str) -> None:
        _log.info(line)
        if progress:
            progress(line)

    try:
        from edgetally.conversion.onnx_export import export_onnx  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            f"conversion needs onnx ({error}); pip install 'edgetally[convert]'"
        ) from None

    for path in (source, output):
        if "\0" in str(path):
            raise InputError(f"{str(path)!r} is no path; give one without a NUL character")
    name = output.resolve().name if name is None else name
    for what, text in (("--name", name), ("--version", version)):
        _refuse_unwritable(what, text)
    refuse_foreign(output)
    tell(f"reading {source}")
    artifact = TrainingArtifact.read(source)
    settings = artifact.hyperparameters
    size = _whole_number(settings, "image_shape")
    if size > _LARGEST_INPUT:
        raise InputError(
            f"{HYPERPARAMETERS_NAME}: image_shape is {size}, more than {_LARGEST_INPUT}; "
            "train with smaller pictures"
        )
    deployment = deploy(artifact, tell)
    try:
        model = export_onnx(deployment, size)
    except MemoryError:
        raise InputError(
            f"{source}: the network needs more memory than there is; "
            "take the artifact from the training job again"
        ) from None
    if _whole_number(settings, "num_classes") != model.classes:
        raise InputError(
            f"{HYPERPARAMETERS_NAME} says num_classes {settings['num_classes']} but the network "
            f"has {model.classes}; symbol and hyperparameters must come from the same job"
        )
    tell(
        f"cut to {len(deployment.graph.nodes)} nodes: {model.classes} classes, "
        f"{model.anchors} anchors, input {size} x {size}"
    )
    class_names = _class_names(classes, model.classes)
    with placed(output) as folder:
        contents: dict[FileRole, bytes] = {
            "mxnet-symbol": deployment.graph.to_json().encode(),
            "mxnet-params": write_params(deployment.params),
            "onnx": model.content,
        }
        files = {}
        for role, content in contents.items():
            path = folder / _FILES[role]
            path.write_bytes(content)
            files[role] = BundleFile(path=path.name, sha256=sha256_of(path))
        bundle = ModelBundle(
            name=name,
            version=version,
            architecture=settings.get("base_network", "unknown"),
            classes=class_names,
            input_size=size,
            colour_order="RGB",
            mean=(0, 0, 0),
            scale=(1, 1, 1),
            nms=deployment.nms,
            files=files,
            hyperparameters=dict(settings),
        )
        bundle.write(folder)
        if _wants_proof(verify, tell):
            from edgetally.conversion.verification import measure  # noqa: PLC0415 - owns MXNet

            parity = measure(artifact, ModelBundle.load(folder), tell)
            bundle.model_copy(update={"parity": parity}).write(folder)
        ModelBundle.load(folder)  # what can't be loaded is not put in place
    tell(f"wrote {output}")
    return ModelBundle.load(output)


def _whole_number(settings: Mapping[str, str], key: str) -> int:
    if key not in settings:
        raise InputError(
            f"{HYPERPARAMETERS_NAME} lacks {key}; is this a SageMaker object detection artifact?"
        )
    try:
        value = int(settings[key])
    except ValueError:
        value = 0
    if value < 1:
        raise InputError(
            f"{HYPERPARAMETERS_NAME}: {key} is {settings[key]!r}, which is no positive whole "
            "number; is this a SageMaker object detection artifact?"
        )
    return value


def _class_names(given: Sequence[str] | None, count: int) -> tuple[str, ...]:
    names = tuple(given) if given else tuple(f"class-{number}" for number in range(count))
    for name in names:
        _refuse_unwritable("class name", name)
    if len(names) != count:
        raise InputError(
            f"{len(names)} class names ({', '.join(names)}) for a model of {count} classes; "
            "name each, in the order of the training job's class ids"
        )
    if len(set(names)) != count:
        raise InputError(f"class names ({', '.join(names)}) must differ")
    return names


def _refuse_unwritable(what: str, text: str) -> None:
    if not text.strip() or any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise InputError(
            f"{what} {text!r} must not be empty, nor hold characters that can't be written"
        )


def _wants_proof(verify: bool | None, tell: Callable[[str], None]) -> bool:
    if verify is not None:
        return verify
    try:
        import_mxnet()
    except InputError:
        tell("not compared with the training graph, which needs MXNet")
        return False
    return True
