"""The proof of a conversion: the training graph itself in MXNet, against what was made of it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.bundle import ModelBundle, Parity
from edgetally.conversion.deployment import (
    ANCHORS_NAME,
    CLASSES_NAME,
    INPUT_NAME,
    LOCATIONS_NAME,
    detection_of,
)
from edgetally.engines import available_engines, create_engine
from edgetally.errors import EdgetallyError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from edgetally.conversion.archive import TrainingArtifact

_TOLERANCE = 1e-3
_REFERENCE = "mxnet training graph"
_CHECKPOINT = "mxnet deployable checkpoint"
_Pair = tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class _Reference:
    """What the training graph says of a frame: every anchor, and the detections it leaves."""

    frame: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.float32]


def measure(
    artifact: TrainingArtifact, bundle: ModelBundle, tell: Callable[[str], None]
) -> tuple[Parity, ...]:
    """Run training graph, deployable checkpoint and each installed engine on the same frames.

    Returns how far each stands from the training graph. Raises EdgetallyError beyond 1e-3 (box
    corners in 0-1 of the frame, scores in 0-1), InputError where MXNet is not installed.
    """
    mx = import_mxnet()
    tell("running the training graph in MXNet")
    try:
        with _plain_operators():
            references = _run_training_graph(mx, artifact, bundle)
            rows = _run_checkpoint(mx, bundle, references)
    except mx.base.MXNetError as error:
        reason = str(error).strip().splitlines()[-1]
        raise EdgetallyError(
            f"MXNet can't run the network ({reason}); nothing was written"
        ) from error
    parities = [_judged(_CHECKPOINT, rows, tell)]
    for name in available_engines():
        engine = create_engine(bundle, name, "fp32")  # type: ignore[arg-type]
        try:
            found = [(reference, engine.infer(reference.frame[None])) for reference in references]
        finally:
            engine.close()
        pairs = [
            ((reference.boxes, raw.boxes[0]), (reference.scores, raw.scores[0]))
            for reference, raw in found
        ]
        parities.append(_judged(f"{name} engine", pairs, tell))
    return tuple(parities)


@contextmanager
def _plain_operators() -> Iterator[None]:
    # MXNet 1.9.1's fusion for oneDNN gives wrong sums (x + relu(x) after a convolution).
    key = "MXNET_SUBGRAPH_BACKEND"
    before = os.environ.get(key)
    os.environ[key] = "NONE"
    try:
        yield
    finally:
        os.environ.pop(key)
        if before is not None:
            os.environ[key] = before


def _frames(size: int) -> list[NDArray[np.uint8]]:
    """Noise, and slopes of other colours: uint8 BGR [S, S, 3]."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 255, size, dtype=np.float32)
    across, down = np.meshgrid(slope, slope)
    slopes = np.stack([across, down, 255 - across], axis=-1)
    blocks = rng.integers(0, 256, (8, 8, 3)).repeat(-(-size // 8), 0).repeat(-(-size // 8), 1)
    noise = rng.integers(0, 256, (size, size, 3))
    return [picture[:size, :size].astype(np.uint8) for picture in (noise, slopes, blocks)]


def _network_input(mx: Any, frame: NDArray[np.uint8]) -> Any:
    return mx.nd.array(frame[None, :, :, ::-1].transpose(0, 3, 1, 2))


def _run_training_graph(
    mx: Any, artifact: TrainingArtifact, bundle: ModelBundle
) -> list[_Reference]:
    symbol = mx.sym.load_json(artifact.graph.to_json())
    internals = symbol.get_internals()
    detection = detection_of(artifact.graph)
    wanted = [CLASSES_NAME, LOCATIONS_NAME, ANCHORS_NAME, *([detection.name] if detection else [])]
    group = mx.sym.Group([internals[f"{name}_output"] for name in wanted])
    size = bundle.input_size
    executor = group.simple_bind(
        mx.cpu(), grad_req="null", **{INPUT_NAME: (1, 3, size, size)}, label=(1, 1, 5)
    )
    arrays = {name: mx.nd.array(value, dtype="float32") for name, value in artifact.params.items()}
    executor.copy_params_from(
        {name[4:]: array for name, array in arrays.items() if name.startswith("arg:")},
        {name[4:]: array for name, array in arrays.items() if name.startswith("aux:")},
        allow_extra_params=True,
    )
    nms = bundle.nms
    boxes_only = {"variances": nms.variances.value, "clip": nms.clip.value}
    references = []
    for frame in _frames(size):
        outputs = executor.forward(is_train=False, data=_network_input(mx, frame))
        classes, locations, anchors = outputs[:3]
        # With neither floor nor suppression the operator gives each anchor's box, in order.
        every = mx.nd.contrib.MultiBoxDetection(
            classes, locations, anchors, threshold=0, nms_threshold=0, **boxes_only
        )
        rows = (
            outputs[3]
            if detection
            else mx.nd.contrib.MultiBoxDetection(
                classes,
                locations,
                anchors,
                threshold=nms.score_floor.value,
                nms_threshold=nms.threshold.value,
                nms_topk=nms.topk.value,
                force_suppress=nms.force_suppress.value,
                **boxes_only,
            )
        )
        references.append(
            _Reference(
                frame,
                every.asnumpy()[0, :, 2:],
                classes.asnumpy()[0, 1:].T,
                rows.asnumpy()[0],
            )
        )
    return references


def _run_checkpoint(
    mx: Any, bundle: ModelBundle, references: Iterable[_Reference]
) -> list[tuple[_Pair, _Pair]]:
    prefix = str(bundle.file("mxnet-symbol")).removesuffix("-symbol.json")
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 0)
    module = mx.mod.Module(symbol, data_names=[INPUT_NAME], label_names=None, context=mx.cpu())
    size = bundle.input_size
    module.bind([(INPUT_NAME, (1, 3, size, size))], for_training=False)
    module.set_params(arguments, states)
    pairs = []
    for reference in references:
        module.forward(mx.io.DataBatch([_network_input(mx, reference.frame)]), is_train=False)
        found = module.get_outputs()[0].asnumpy()[0]
        pairs.append(_matched(reference.rows, found))
    return pairs


def _matched(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[_Pair, _Pair]:
    """Pair the detections of two runs; equal scores may stand in another order."""
    wanted, found = wanted[wanted[:, 0] >= 0], found[found[:, 0] >= 0]
    if len(wanted) != len(found):
        raise EdgetallyError(
            f"{_CHECKPOINT}: {len(found)} detections where the {_REFERENCE} gives "
            f"{len(wanted)}; nothing was written"
        )
    if not len(wanted):
        return (wanted, found), (wanted, found)
    distances = np.abs(wanted[:, None] - found[None]).max(axis=2)
    nearest = found[distances.argmin(axis=1)]
    return (wanted[:, 2:], nearest[:, 2:]), (wanted[:, :2], nearest[:, :2])


def _judged(compared: str, pairs: list[tuple[_Pair, _Pair]], tell: Callable[[str], None]) -> Parity:
    boxes, scores = (
        max(float(np.abs(a - b).max(initial=0)) for a, b in each)
        for each in zip(*pairs, strict=True)
    )
    tell(f"{compared}: within {boxes:.1e} (boxes) and {scores:.1e} (scores)")
    if not max(boxes, scores) <= _TOLERANCE:  # also where one is not a number
        raise EdgetallyError(
            f"{compared} differs from the {_REFERENCE} by {boxes:.1e} (boxes) and {scores:.1e} "
            f"(scores), more than {_TOLERANCE}; nothing was written"
        )
    return Parity(
        reference=_REFERENCE,
        compared=compared,
        frames=len(pairs),
        max_box_difference=boxes,
        max_score_difference=scores,
    )
