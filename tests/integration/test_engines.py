"""Each engine against MXNet's own MultiBoxDetection, run from the deployable checkpoint."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime
import pytest
from mxnet_oracle import as_rows, assert_same, whole_model

from conftest import CLASSES
from edgetally.conversion import convert
from edgetally.detector import Detector
from edgetally.engines import EngineSettings, create_engine
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

    Frame = NDArray[np.uint8]
    Rows = NDArray[np.float32]
    Triple = tuple[float, float, float]

SHAPES = ((480, 640), (720, 1280), (640, 360), (300, 300), (97, 211))
PIXELS = (
    ("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("BGR", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", (123.68, 116.78, 103.94), (1.0, 1.0, 1.0)),
    ("BGR", (123.68, 116.78, 103.94), (0.017, 0.018, 0.019)),
)


def synthetic_frame(seed: int, height: int, width: int) -> Frame:
    """Draw boxes of many sizes on a noisy floor."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(60, 130, (height, width, 3), np.uint8)
    for _ in range(12):
        corners = rng.integers(0, (width, height), (2, 2))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(frame, corners[0].tolist(), corners[1].tolist(), colour, -1)
    return frame


@pytest.fixture(scope="module")
def oracle(bundle: ModelBundle) -> Callable[[Frame], Rows]:
    return whole_model(bundle)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [synthetic_frame(seed, *shape) for seed, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module", params=["openvino", "onnxruntime", "mxnet"])
def detector(bundle: ModelBundle, request: pytest.FixtureRequest) -> Iterator[Detector]:
    with Detector(bundle, request.param) as detector:
        yield detector


def test_detections_are_those_of_the_whole_mxnet_model(
    detector: Detector, oracle: Callable[[Frame], Rows], frames: list[Frame], bundle: ModelBundle
) -> None:
    for frame in frames:
        expected = oracle(frame)

        assert len(expected) > 0
        assert_same(as_rows(detector.detect(frame)), expected, bundle.nms.threshold.value)


def test_frames_in_flight_end_as_they_would_alone(detector: Detector, frames: list[Frame]) -> None:
    alone = [as_rows(detector.detect(frame)) for frame in frames]

    futures = [detector.submit(frame) for frame in frames * 3]

    for future, expected in zip(futures, alone * 3, strict=True):
        np.testing.assert_array_equal(as_rows(future.result(60)), expected)


def test_threads_that_share_a_detector_get_their_own_detections(
    detector: Detector, frames: list[Frame]
) -> None:
    alone = [as_rows(detector.detect(frame)) for frame in frames]

    with ThreadPoolExecutor(len(frames)) as cameras:
        together = list(cameras.map(detector.detect, frames * 2))

    for found, expected in zip(together, alone * 2, strict=True):
        np.testing.assert_array_equal(as_rows(found), expected)


def test_a_frame_may_be_overwritten_once_it_is_submitted(
    detector: Detector, bundle: ModelBundle
) -> None:
    frame = synthetic_frame(9, bundle.input_size, bundle.input_size)
    expected = as_rows(detector.detect(frame))

    future = detector.submit(frame)
    frame[:] = 0

    np.testing.assert_array_equal(as_rows(future.result(60)), expected)


def test_a_score_threshold_hides_lower_rows(bundle: ModelBundle, frames: list[Frame]) -> None:
    with Detector(bundle) as everything:
        expected = everything.detect(frames[0])
    middle = float(np.median(expected.scores))

    with Detector(bundle, score_threshold=middle, class_thresholds={"blue box": 1}) as strict:
        found = strict.detect(frames[0])

    kept = (expected.scores >= np.float32(middle)) & (expected.class_ids == 1)
    assert 0 < kept.sum() < len(expected)
    np.testing.assert_array_equal(as_rows(found), as_rows(expected.select(kept)))


def test_a_closed_detector_takes_no_more_frames(bundle: ModelBundle, frames: list[Frame]) -> None:
    detector = Detector(bundle)
    in_flight = detector.submit(frames[0])

    detector.close()
    detector.close()

    assert len(in_flight.result(0)) > 0
    with pytest.raises(RuntimeError, match="closed"):
        detector.submit(frames[0])


def test_the_first_frames_may_come_together(bundle: ModelBundle) -> None:
    """OpenVINO's first two pictures in two threads once hung one process in seven."""
    code = (
        "import sys, numpy as np; from edgetally.detector import Detector; "
        "d = Detector(sys.argv[1], 'openvino'); "
        "f = [d.submit(np.zeros((90, 160, 3), np.uint8)) for _ in range(3)]; "
        "print(len([x.result() for x in f]))"
    )
    folder = str(bundle.file("onnx").parent)
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-c", code, folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == "3\n", done.stderr


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "mxnet"])
def test_predictions_stay_as_they_are_while_later_frames_run(
    bundle: ModelBundle, name: Any
) -> None:
    size = bundle.input_size
    batch = synthetic_frame(1, size, size)[np.newaxis]
    engine = create_engine(bundle, name)
    predicted = engine.infer(batch)
    boxes, scores = predicted.boxes.copy(), predicted.scores.copy()

    for _ in range(8):  # more than there are buffers
        engine.infer(~batch)

    np.testing.assert_array_equal(predicted.boxes, boxes)
    np.testing.assert_array_equal(predicted.scores, scores)
    engine.close()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "mxnet"])
def test_a_batch_gives_each_picture_its_own_row(bundle: ModelBundle, name: Any) -> None:
    size = bundle.input_size
    batch = np.stack([synthetic_frame(seed, size, size) for seed in (1, 2)])
    engine = create_engine(bundle, name)

    both = engine.infer(batch)

    assert (engine.name, engine.precision) == (name, "fp32")
    assert both.boxes.dtype == both.scores.dtype == np.float32
    assert both.boxes.shape == (2, both.scores.shape[1], 4)
    assert both.scores.shape[2] == len(bundle.classes)
    for row in range(2):
        single = engine.infer(batch[row : row + 1])
        np.testing.assert_array_equal(both.boxes[row], single.boxes[0])
        np.testing.assert_array_equal(both.scores[row], single.scores[0])
    with pytest.raises(ValueError, match=rf"must be uint8 \[N, {size}, {size}, 3\]"):
        engine.infer(batch[:, :-1])
    engine.close()


def test_bf16_runs_only_where_it_is_asked_for(bundle: ModelBundle) -> None:
    try:
        fast = create_engine(bundle, "openvino", "bf16")
    except InputError as refusal:
        pytest.skip(str(refusal))
    exact = create_engine(bundle, "openvino")
    batch = synthetic_frame(1, bundle.input_size, bundle.input_size)[np.newaxis]

    difference = np.abs(fast.infer(batch).scores - exact.infer(batch).scores).max()

    assert (fast.precision, exact.precision) == ("bf16", "fp32")
    assert 1e-5 < difference < 0.2
    fast.close()
    exact.close()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "mxnet"])
@pytest.mark.parametrize("settings", [(1, 1), (2, 1), (2, 2), (1, None), (None, 2)], ids=str)
def test_threads_and_streams_change_no_result(
    bundle: ModelBundle, name: Any, settings: tuple[int | None, int | None]
) -> None:
    size = bundle.input_size
    batches = [synthetic_frame(seed, size, size)[np.newaxis] for seed in range(6)]
    usual = create_engine(bundle, name)
    divided = create_engine(bundle, name, settings=EngineSettings(*settings))

    futures = [divided.submit(batch) for batch in batches]

    for batch, future in zip(batches, futures, strict=True):
        expected, found = usual.infer(batch), future.result(60)
        np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)
    usual.close()
    divided.close()


@pytest.fixture(scope="module")
def int8_bundle(
    artifact: Path, frames: list[Frame], tmp_path_factory: pytest.TempPathFactory
) -> ModelBundle:
    folder = tmp_path_factory.mktemp("int8")
    seen = folder / "seen"
    seen.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(seen / f"{number}.png"), frame)
    return convert(
        artifact, folder / "bundle", classes=CLASSES, calibration=str(seen), verify=False
    )


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(("order", "mean", "scale"), PIXELS)
def test_onnxruntime_converts_pixels_to_the_bit(
    int8_bundle: ModelBundle, precision: Any, order: Any, mean: Triple, scale: Triple
) -> None:
    """Its graph reads uint8; the file in the bundle reads the floats that are made here."""
    asked = int8_bundle.model_copy(update={"colour_order": order, "mean": mean, "scale": scale})
    frame = synthetic_frame(3, asked.input_size, asked.input_size)[np.newaxis]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    file = asked.file("onnx-int8" if precision == "int8" else "onnx")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    expected = session.run(["boxes", "scores"], {"data": floats(frame, order, mean, scale)})
    engine = create_engine(asked, "onnxruntime", precision, EngineSettings(threads=1))

    found = engine.infer(frame)

    engine.close()
    np.testing.assert_array_equal(found.boxes, expected[0])
    np.testing.assert_array_equal(found.scores, expected[1])


@pytest.mark.parametrize(("order", "mean", "scale"), PIXELS)
def test_mxnet_converts_pixels_to_the_bit(
    bundle: ModelBundle, order: Any, mean: Triple, scale: Triple
) -> None:
    """Its graph reads uint8; the checkpoint in the bundle reads the floats that are made here."""
    asked = bundle.model_copy(update={"colour_order": order, "mean": mean, "scale": scale})
    frame = synthetic_frame(3, asked.input_size, asked.input_size)[np.newaxis]
    mx = import_mxnet()
    symbol, arguments, states = mx.model.load_checkpoint(
        str(asked.file("mxnet-symbol")).removesuffix("-symbol.json"), 0
    )
    classes = symbol.get_internals()["cls_prob_output"]
    module = mx.mod.Module(classes, label_names=None, context=mx.cpu())
    module.bind([("data", (1, 3, asked.input_size, asked.input_size))], for_training=False)
    module.set_params(arguments, states, allow_extra=True)
    data = mx.nd.array(floats(frame, order, mean, scale))
    module.forward(mx.io.DataBatch([data]), is_train=False)
    expected = module.get_outputs()[0].asnumpy()[:, 1:].transpose(0, 2, 1)
    engine = create_engine(asked, "mxnet")

    found = engine.infer(frame)

    engine.close()
    np.testing.assert_array_equal(found.scores, expected)


def floats(frame: Frame, order: str, mean: Triple, scale: Triple) -> NDArray[np.float32]:
    ordered = frame[..., ::-1] if order == "RGB" else frame
    pixels = (ordered.astype(np.float32) - np.array(mean, np.float32)) * np.array(scale, np.float32)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
