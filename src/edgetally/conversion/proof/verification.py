"""The proof of a conversion: the training graph itself, against every file that was made of it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.conversion.network.deployment import ANCHORS_NAME, CLASSES_NAME, LOCATIONS_NAME
from edgetally.conversion.pixels import network_input
from edgetally.conversion.proof.decisions import (
    TOLERANCE,
    Margin,
    Prediction,
    box_differences,
    compare,
)
from edgetally.conversion.proof.training_graph import TrainingGraph
from edgetally.conversion.report.record import Parity
from edgetally.detections import Detections
from edgetally.detector.postprocessing import postprocess
from edgetally.engines import available_engines, create_engine, decode_boxes
from edgetally.errors import EdgetallyError, InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.conversion.artifact.archive import TrainingArtifact

    Frame = NDArray[np.uint8]

_TRAINING_GRAPH = "mxnet training graph"
_CHECKPOINT = "mxnet deployable checkpoint"
_FEW = 100  # anchors near the score floor, fewer than any usual topk
_ROUNDING = 1e-6  # of a float32 result near 1, the least that two runs may stand apart


def can_verify() -> str | None:
    """Name what this machine can verify with; None where it can't verify at all."""
    try:
        import_mxnet()
    except InputError:
        both = {"openvino", "onnxruntime"} <= set(available_engines())
        return "onnxruntime against openvino" if both else None
    return "mxnet"


def verify(
    artifact: TrainingArtifact,
    bundle: ModelBundle,
    pictures: Sequence[Frame],
    tell: Callable[[str], None],
) -> tuple[Parity, ...]:
    """Run everything that was made of a network on the same frames, and compare.

    The reference is the training graph in MXNet or, where that can't be imported, ONNX Runtime.
    pictures: uint8 BGR [S, S, 3], taken beside frames of noise and slopes. Returns how far each
    file and engine stands from the reference. EdgetallyError where boxes (0-1 of the frame) or
    scores differ by more than 1e-3, or where rows differ that rounding does not decide.
    InputError where nothing can be compared.
    """
    frames = [*_drawn(bundle.input_size), *pictures]
    engines = list(available_engines())
    parities = []
    try:
        mx: Any = import_mxnet()
    except InputError:
        if can_verify() is None:
            raise InputError(
                "nothing to verify with; install MXNet (Python 3.10 to 3.12, pip install "
                "'edgetally[mxnet]'), or both openvino and onnxruntime"
            ) from None
        engines.remove("onnxruntime")
        reference_name = "onnxruntime engine"
        tell("running ONNX Runtime and OpenVINO")
        references = _run_engine(bundle, "onnxruntime", frames)
    else:
        reference_name = _TRAINING_GRAPH
        tell("running the training graph in MXNet")
        with _plain_operators():
            with _told(mx, InputError, "the network that was trained"):
                network = TrainingGraph(mx, artifact, bundle)
                references = _run_training_graph(mx, network, bundle, frames)
            with _told(mx, EdgetallyError, "the deployable checkpoint"):
                found, anchors = _run_checkpoint(mx, bundle, frames)
            _refuse_other_rows(references, bundle)
            _refuse_other_choice(network, bundle, anchors)
        parities.append(_judged(reference_name, _CHECKPOINT, references, found, bundle))
    for engine in engines:
        tell(f"running {engine}")
        found = _run_engine(bundle, engine, frames)
        parities.append(_judged(reference_name, f"{engine} engine", references, found, bundle))
    for parity in parities:
        tell(
            f"{parity.compared}: {parity.detections} detections in {parity.frames} frames, boxes "
            f"within {parity.max_box_difference:.1e}, scores within "
            f"{parity.max_score_difference:.1e}"
        )
    return tuple(parities)


@contextmanager
def _plain_operators() -> Iterator[None]:
    # MXNet 1.9.1's fusion for oneDNN gives wrong sums (x + relu(x) after a convolution).
    key = "MXNET_SUBGRAPH_BACKEND"
    before = os.environ.get(key)
    os.environ[key] = "NONE"
    sys.stderr.flush()
    errors = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)  # MXNet's C++ part announces that choice on each bind
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(errors, 2)
        os.close(errors)
        os.close(nothing)
        os.environ.pop(key)
        if before is not None:
            os.environ[key] = before


@contextmanager
def _told(mx: Any, kind: type[EdgetallyError], what: str) -> Iterator[None]:
    try:
        yield
    except mx.base.MXNetError as error:
        reason = str(error).strip().splitlines()[-1]
        raise kind(f"MXNet can't run {what} ({reason}); nothing was written") from error


def _drawn(size: int) -> list[Frame]:
    """Noise, slopes and blocks: uint8 BGR [S, S, 3]."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 255, size, dtype=np.float32)
    across, down = np.meshgrid(slope, slope)
    slopes = np.stack([across, down, 255 - across], axis=-1)
    blocks = rng.integers(0, 256, (8, 8, 3)).repeat(-(-size // 8), 0).repeat(-(-size // 8), 1)
    noise = rng.integers(0, 256, (size, size, 3))
    return [picture[:size, :size].astype(np.uint8) for picture in (noise, slopes, blocks)]


def _network_input(mx: Any, bundle: ModelBundle, frame: Frame) -> Any:
    return mx.nd.array(network_input(frame[None], bundle))


def _run_training_graph(
    mx: Any, network: TrainingGraph, bundle: ModelBundle, frames: Sequence[Frame]
) -> list[Prediction]:
    predictions = []
    for frame in frames:
        boxes, scores, rows = network.run(_network_input(mx, bundle, frame))
        predictions.append(Prediction(boxes, scores, _detections(rows)))
    return predictions


def _run_checkpoint(
    mx: Any, bundle: ModelBundle, frames: Sequence[Frame]
) -> tuple[list[Prediction], NDArray[np.float32]]:
    """Load the checkpoint as the original sample does; its predictions, and its anchors [A, 4]."""
    prefix = str(bundle.file("mxnet-symbol")).removesuffix("-symbol.json")
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 0)
    internals = symbol.get_internals()
    inner = (CLASSES_NAME, LOCATIONS_NAME, ANCHORS_NAME)
    group = mx.sym.Group([symbol, *(internals[f"{name}_output"] for name in inner)])
    module = mx.mod.Module(group, data_names=["data"], label_names=[], context=mx.cpu())
    size = bundle.input_size
    module.bind([("data", (1, 3, size, size))], for_training=False)
    module.set_params(arguments, states)
    predictions = []
    for frame in frames:
        module.forward(mx.io.DataBatch([_network_input(mx, bundle, frame)]), is_train=False)
        rows, classes, locations, anchors = (each.asnumpy() for each in module.get_outputs())
        nms = bundle.nms
        boxes = decode_boxes(locations, anchors[0], nms.variances.value, clip=nms.clip.value)[0]
        scores = np.ascontiguousarray(classes[0, 1:].T)
        predictions.append(Prediction(boxes, scores, _detections(rows[0])))
    return predictions, anchors[0]


def _run_engine(bundle: ModelBundle, name: str, frames: Sequence[Frame]) -> list[Prediction]:
    engine = create_engine(bundle, name, "fp32")  # type: ignore[arg-type]
    try:
        predictions = []
        for frame in frames:
            raw = engine.infer(frame[None])
            boxes, scores = raw.boxes[0], raw.scores[0]
            predictions.append(Prediction(boxes, scores, postprocess(boxes, scores, bundle.nms)))
        return predictions
    finally:
        engine.close()


def _detections(rows: NDArray[np.float32]) -> Detections:
    """Turn an operator's output, rows [class_id, score, corners], into what it keeps."""
    kept = rows[rows[:, 0] >= 0]
    return Detections(
        np.ascontiguousarray(kept[:, 2:]), kept[:, 1].copy(), kept[:, 0].astype(np.int64)
    )


def _refuse_other_rows(references: Sequence[Prediction], bundle: ModelBundle) -> None:
    """Prove our own suppression, with the bundle's settings, on the training graph's numbers."""
    margin = Margin(_ROUNDING, _ROUNDING)
    for number, reference in enumerate(references):
        own = postprocess(reference.boxes, reference.scores, bundle.nms)
        fault = compare(reference, own, bundle.nms, margin).fault
        if fault is None:
            trained = Prediction(reference.boxes, reference.scores, own)
            fault = compare(trained, reference.rows, bundle.nms, margin).fault
        if fault:
            raise EdgetallyError(
                f"the bundle's NMS settings do not give the {_TRAINING_GRAPH}'s own detections: "
                f"frame {number} {fault}; nothing was written"
            )


def _refuse_other_choice(
    network: TrainingGraph, bundle: ModelBundle, anchors: NDArray[np.float32]
) -> None:
    """Prove decoding, thresholds and suppression on numbers that try each of them.

    A network may find nothing in the frames; these predictions always hold candidates on both
    sides of the floor, more than topk, boxes that overlap and that reach out of the frame.
    """
    nms = bundle.nms
    rng = np.random.default_rng(1)
    count, classes, floor = len(anchors), len(bundle.classes), nms.score_floor.value
    locations = rng.normal(0, 1, count * 4).astype(np.float32)
    boxes = decode_boxes(locations[None], anchors, nms.variances.value, clip=nms.clip.value)[0]
    crowded = floor + (1 - floor) * rng.random((count, classes))
    sparse = np.where(
        rng.random((count, 1)) < _FEW / count,
        floor * rng.uniform(0.5, 3, (count, classes)),
        floor * rng.uniform(0.1, 0.9, (count, classes)),
    )
    for made_up in (crowded, sparse):
        scores = np.minimum(made_up, 1).astype(np.float32)
        own = Prediction(boxes, scores, postprocess(boxes, scores, nms))
        trained = _detections(network.choose(locations, anchors, boxes, scores))
        fault = compare(own, trained, nms, Margin(_ROUNDING, _ROUNDING)).fault
        if fault:
            raise EdgetallyError(
                f"the bundle's NMS settings choose other rows than the {_TRAINING_GRAPH} does, "
                f"which {fault}; nothing was written"
            )


def _judged(
    reference_name: str,
    compared: str,
    references: Sequence[Prediction],
    found: Sequence[Prediction],
    bundle: ModelBundle,
) -> Parity:
    pairs = list(zip(references, found, strict=True))
    boxes = max(float(box_differences(a.boxes, b.boxes).max()) for a, b in pairs)
    scores = max(float(np.abs(a.scores - b.scores).max()) for a, b in pairs)
    if not max(boxes, scores) <= TOLERANCE:  # also where one is not a number
        raise EdgetallyError(
            f"{compared} differs from the {reference_name} by {boxes:.1e} (boxes) and "
            f"{scores:.1e} (scores), more than {TOLERANCE}; nothing was "
            "written (--no-verify converts it without proof)"
        )
    margin = Margin(max(2 * scores, _ROUNDING), max(2 * boxes, _ROUNDING))
    undecided = 0
    for number, (wanted, given) in enumerate(pairs):
        comparison = compare(wanted, given.rows, bundle.nms, margin)
        if comparison.fault:
            raise EdgetallyError(
                f"{compared} gives other rows than the {reference_name}: frame {number} "
                f"{comparison.fault}; nothing was written"
            )
        undecided += comparison.undecided
    return Parity(
        reference=reference_name,
        compared=compared,
        frames=len(references),
        detections=sum(len(reference.rows) for reference in references),
        undecided=undecided,
        max_box_difference=boxes,
        max_score_difference=scores,
    )
