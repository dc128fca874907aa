"""The demo: the committed artifact and clip, through conversion and service to right counts."""

from __future__ import annotations

import json
import tarfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import jsonschema
import numpy as np
import pytest
from mxnet_oracle import as_rows, assert_same, whole_model

from edgetally.config import load_config
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.demo.network import training_symbol
from edgetally.demo.run import run_demo
from edgetally.demo.scene.clip import FPS, SECONDS, demo_stage, truth_record
from edgetally.detector import Detector

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "boxes"
ENGINES: tuple[EngineName, ...] = ("openvino", "onnxruntime", "mxnet")


@pytest.fixture(scope="module")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("demo") / "bundle"
    return convert(MODELS / "model.tar.gz", folder, classes=CLASSES)


def copy_of_the_demo(folder: Path) -> Path:
    """The demo's folder, for the demo to convert in."""
    folder.mkdir()
    for name in ("model.tar.gz", "demo.mp4", "demo.json", "demo.yaml"):
        (folder / name).write_bytes((MODELS / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a demo run leaves."""
    folder = tmp_path_factory.mktemp("run")
    assert run_demo(copy_of_the_demo(folder / "models"), folder / "out")
    return folder / "out"


def test_the_demo_counts_what_is_true(results: Path) -> None:
    summary = json.loads((results / "summary.json").read_text())
    assert summary["expected"] == summary["counted"] == truth_record()["expected"]
    assert summary["frames"] == round(FPS * SECONDS)
    assert (summary["engine"], summary["precision"]) == ("openvino", "fp32")
    annotated = cv2.VideoCapture(str(results / "annotated.mp4"))
    assert annotated.get(cv2.CAP_PROP_FRAME_COUNT) == summary["frames"]
    assert cv2.imread(str(results / "report.png")).shape[1] > 1000


def test_the_demo_publishes_each_crossing_once_and_when_it_happened(results: Path) -> None:
    lines = (results / "messages.jsonl").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    events = [m for m in messages if m["schema"] == "edgetally.count_event/1"]
    times = [datetime.fromisoformat(m["time"].replace("Z", "+00:00")) for m in events]
    crossings = json.loads((MODELS / "demo.json").read_text())["crossings"]
    start = times[0] - timedelta(seconds=crossings[0]["time"])
    found = sorted(
        (event["class"], event["direction"], (time - start).total_seconds())
        for event, time in zip(events, times, strict=True)
    )
    true = sorted((row["class"], row["direction"], row["time"]) for row in crossings)
    assert [row[:2] for row in found] == [row[:2] for row in true]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in true], abs=0.5)


def test_every_message_of_the_demo_follows_its_schema(results: Path) -> None:
    lines = (results / "messages.jsonl").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    for message in messages:
        name = message["schema"].removeprefix("edgetally.").removesuffix("/1")
        schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
        jsonschema.validate(message, schema)
    kinds = {message["schema"] for message in messages}
    assert kinds >= {
        f"edgetally.{name}/1" for name in ("detections", "count_event", "inventory", "health")
    }


def test_the_demo_fails_when_the_truth_is_another(tmp_path: Path) -> None:
    models = copy_of_the_demo(tmp_path / "models")
    truth = json.loads((models / "demo.json").read_text())
    truth["expected"]["blue box"]["in"] += 1
    (models / "demo.json").write_text(json.dumps(truth))
    assert not run_demo(models, tmp_path / "out")


def test_the_committed_truth_is_that_of_the_script() -> None:
    assert json.loads((MODELS / "demo.json").read_text()) == truth_record()


def test_the_clip_shows_what_the_script_says() -> None:
    """A frame from its middle is the picture that the script draws, but for noise and loss."""
    index = 180
    video = cv2.VideoCapture(str(MODELS / "demo.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == round(FPS * SECONDS)
    video.set(cv2.CAP_PROP_POS_FRAMES, index)
    _, found = video.read()
    drawn = demo_stage().render(index / FPS, np.random.default_rng(0))
    assert np.abs(found.astype(float) - drawn).mean() < 4


def test_every_engine_agrees_with_mxnet_on_every_frame_of_the_clip(
    demo_bundle: ModelBundle,
) -> None:
    """Rows within 1e-3 of the score floor are left out: rounding decides if they are there."""
    oracle = whole_model(demo_bundle)
    certain = demo_bundle.nms.score_floor.value + 1e-3
    detectors = [Detector(demo_bundle, engine) for engine in ENGINES]
    video = cv2.VideoCapture(str(MODELS / "demo.mp4"))
    frames = 0
    while True:
        is_frame, frame = video.read()
        if not is_frame:
            break
        frames += 1
        picture = np.asarray(frame, np.uint8)
        expected = oracle(picture)
        expected = expected[expected[:, 1] >= certain]
        for detector in detectors:
            found = as_rows(detector.detect(picture))
            found = found[found[:, 1] >= certain]
            assert_same(found, expected, demo_bundle.nms.threshold.value)
    for detector in detectors:
        detector.close()
    assert frames == round(FPS * SECONDS)


def test_the_archive_holds_what_a_training_job_leaves() -> None:
    """The three members, and a graph of the algorithm's own nodes with its four heads."""
    with tarfile.open(MODELS / "model.tar.gz") as tar:
        assert tar.getnames() == [
            "model_algo_1-symbol.json",
            "model_algo_1-0000.params",
            "hyperparams.json",
        ]
        member = tar.extractfile("model_algo_1-symbol.json")
        assert member is not None
        graph = json.load(member)
    full = json.loads(training_symbol(len(CLASSES)).tojson())
    assert [(n["op"], n["name"]) for n in graph["nodes"]] == [
        (n["op"], n["name"]) for n in full["nodes"]
    ]
    heads = [graph["nodes"][index]["name"] for index, *_ in graph["heads"]]
    assert heads == ["cls_prob", "loc_loss", "cls_label", "det_out"]


def test_the_demo_configuration_is_valid() -> None:
    assert load_config(MODELS / "demo.yaml").cameras[0].lines[0].in_direction == (0, 1)
