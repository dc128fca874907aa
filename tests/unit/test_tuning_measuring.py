"""How an engine's speed is measured, and which rows of it are believed."""

from __future__ import annotations

import io
import json
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.detector.agreement import Agreement
from edgetally.engines import EngineSettings, RawPredictions
from edgetally.engines.device import Device
from edgetally.errors import InputError
from edgetally.tuning import PictureFolder, Tuning
from edgetally.tuning.candidates import Candidate, divisions
from edgetally.tuning.measuring import Speed, measure_speed
from edgetally.tuning.outcome import Row

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = np.zeros((1, 8, 8, 3), np.uint8)
NOTHING = RawPredictions(np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, 2), np.float32))


class PacedEngine:
    """An engine on a clock of its own: a frame takes as long as the next pace says."""

    name = "paced"
    precision = "fp32"
    in_flight = 2

    def __init__(self, paces: list[float]) -> None:
        self._paces = paces
        self.now = 0.0
        self.computed = 0.0
        self.frames = 0

    def infer(self, batch: NDArray[np.uint8]) -> RawPredictions:
        pace = self._paces[min(self.frames, len(self._paces) - 1)]
        self.frames += 1
        self.now += pace
        self.computed += 0.001
        return NOTHING

    def submit(self, batch: NDArray[np.uint8]) -> Future[RawPredictions]:
        done: Future[RawPredictions] = Future()
        done.set_result(self.infer(batch))
        return done

    def close(self, patience: float = 0.0) -> None:
        pass


def measured(engine: PacedEngine, seconds: float, in_flight: int = 1) -> Speed:
    return measure_speed(
        engine,
        [BATCH],
        in_flight=in_flight,
        seconds=seconds,
        clock=lambda: engine.now,
        cpu_clock=lambda: engine.computed,
    )


def test_a_steady_engine_has_the_rate_of_its_pace() -> None:
    speed = measured(PacedEngine([0.01]), 2)

    assert speed.frames_per_second == pytest.approx(100)
    assert speed.latency == pytest.approx(0.01)
    assert speed.cpu_time == pytest.approx(0.001)


def test_what_slows_a_part_of_the_time_does_not_count() -> None:
    speed = measured(PacedEngine([0.01] * 50 + [0.04]), 3)

    assert 70 < speed.frames_per_second <= 101


@pytest.mark.parametrize(
    ("pace", "in_flight", "frames"),
    [(5.0, 1, 2), (5.0, 8, 3), (0.3, 8, 5), (0.05, 8, 22)],
)
def test_a_slow_engine_runs_few_frames(pace: float, in_flight: int, frames: int) -> None:
    """In a second: one alone, then two in flight, or as many as there is time for."""
    engine = PacedEngine([pace])

    assert measured(engine, 1, in_flight).frames_per_second == pytest.approx(1 / pace)
    assert engine.frames <= frames


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(2, 1), (2, 2), (1, 1)]),
        (6, [(6, 1), (6, 2), (6, 4), (6, 6), (3, 1), (3, 2), (3, 3)]),
    ],
)
def test_cores_are_divided_into_streams(cores: int, expected: list[tuple[int, int]]) -> None:
    found = [each.settings for each in divisions(Candidate("openvino", "fp32"), cores)]

    assert [(each.threads, each.streams) for each in found] == expected
    assert divisions(Candidate("mxnet", "fp32"), cores) == []


@pytest.mark.parametrize("name", ["threads", "streams"])
def test_an_engine_without_a_thread_or_stream_is_refused(name: str) -> None:
    numbers: Any = {name: 0}
    with pytest.raises(InputError, match=rf"^{name} .* at least 1, not 0$"):
        EngineSettings(**numbers)


LIKE = Agreement(
    engine="openvino",
    precision="int8",
    images=40,
    reference_detections=100,
    detections=100,
    matched=100,
    mean_iou=0.95,
    mean_score_difference=0.02,
    max_score_difference=0.3,
    map_50=0.99,
)


def row(agreement: Agreement | None, precision: Any = "int8") -> Row:
    return Row(Candidate("openvino", precision), 512, Speed(30, 0.05, 0.06), agreement)


@pytest.mark.parametrize(
    ("agreement", "expected"),
    [
        (LIKE, True),
        (LIKE.model_copy(update={"matched": 97}), False),
        (LIKE.model_copy(update={"map_50": 0.97}), False),
        (LIKE.model_copy(update={"map_50": None}), False),
        (LIKE.model_copy(update={"mean_iou": 0.89}), False),
        (LIKE.model_copy(update={"mean_score_difference": 0.06}), False),
        (LIKE.model_copy(update={"reference_detections": 19, "matched": 19}), False),
        (None, False),
    ],
    ids=["like", "lost", "mAP", "no mAP", "elsewhere", "scores", "few", "not compared"],
)
def test_a_precision_is_believed_only_where_it_finds_what_fp32_does(
    agreement: Agreement | None, *, expected: bool
) -> None:
    assert row(agreement).keeps_agreement is expected
    assert row(agreement, "fp32").keeps_agreement


def tuning(**changes: Any) -> Tuning:
    rows = (
        row(None, "fp32"),
        replace(row(LIKE), candidate=Candidate("openvino", "int8", EngineSettings(2, 1))),
        row(LIKE.model_copy(update={"map_50": 0.5})),
        row(None, "bf16"),
    )
    device = Device(processor="A CPU", instructions="0", cores=2, runtimes={})
    known: dict[str, Any] = {"bundle": "a", "name": "boxes", "device": device}
    return Tuning(**(known | {"rows": rows, "chosen": rows[1]} | changes))


def test_the_table_tells_which_is_best_and_why_others_are_not() -> None:
    stream = io.StringIO()

    tuning(notes=("a note",), wanted=40.0, smaller=(row(LIKE, "fp32"),)).show(stream)

    lines = stream.getvalue().splitlines()
    assert lines[0] == "A CPU, 2 cores"
    assert " ".join(lines[2].split()) == "openvino fp32 512 auto auto 30.0 50.0 60.0"
    assert " ".join(lines[3].split()) == (
        "openvino int8 512 2 1 30.0 50.0 60.0 100/100 0.990 0.950 best"
    )
    assert lines[4].endswith("too far from fp32")
    assert lines[5].endswith("not compared")
    assert lines[6].startswith("smaller inputs")
    assert lines[-2:] == [
        "note: a note",
        "best: openvino int8, 2 threads, 1 stream: 30.0 frames a second of 40 wanted, too few",
    ]


def test_the_json_holds_every_row() -> None:
    content = json.loads(tuning().to_json())

    assert [each["keepsAgreement"] for each in content["rows"]] == [True, True, False, False]
    assert content["chosen"] == content["rows"][1]
    assert content["chosen"]["agreement"]["map50"] == 0.99
    assert content["wantedFramesPerSecond"] is None


def test_the_json_holds_no_number_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON"):
        tuning(wanted=float("inf")).to_json()


def test_the_choice_is_that_of_the_best_row() -> None:
    choice = tuning().choice

    assert (choice.bundle, choice.name) == ("a", "boxes")
    assert (choice.engine, choice.precision) == ("openvino", "int8")
    assert choice.settings == EngineSettings(2, 1)
    assert (choice.frames_per_second, choice.milliseconds) == (30, 50)


def test_a_folder_of_pictures_is_read_one_by_one_and_spread(tmp_path: Path) -> None:
    import cv2

    for number in range(130):
        picture = np.full((4, 6, 3), number, np.uint8)
        (tmp_path / f"{number:03}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (tmp_path / "notes.txt").write_text("no picture")

    pictures = PictureFolder(tmp_path)

    assert len(pictures) == 60
    assert [int(picture[0, 0, 0]) for picture in pictures][:4] == [0, 2, 4, 6]
    assert pictures[0].shape == (4, 6, 3)
    assert len(pictures[1:3]) == 2


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        PictureFolder(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        PictureFolder(tmp_path / "none")
