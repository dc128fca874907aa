"""`conversion.json` and `report.html`: whole, self-contained, safe to open; and what fills them."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from importlib import metadata
from itertools import count, pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from pydantic import ValidationError
from recorded import copied, record_of

from edgetally.conversion.proof.timing import machine, measure_timings
from edgetally.conversion.report.page import Sample, write_report
from edgetally.conversion.report.record import ConversionRecord, Parity
from edgetally.detections import Detections
from edgetally.engines import available_engines
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

VOID = {"meta"}


class Page(HTMLParser):
    """A page's elements in order, each with its attributes and the text inside it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = (tag, {key: value or "" for key, value in attrs}, list[str]())
        self.elements.append(found)
        if tag not in VOID:
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [(attrs, "".join(text)) for name, attrs, text in self.elements if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [text for _, text in self.all(tag)]


def noise(seed: int, height: int = 90, width: int = 160) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def boxes(number: int, score: float = 0.75) -> Detections:
    corner = np.linspace(0, 0.5, number, dtype=np.float32)
    return Detections(
        np.stack([corner, corner, corner + 0.25, corner + 0.5], axis=1),
        np.full(number, score, np.float32),
        np.arange(number) % 2,
    )


def written(bundle: ModelBundle, record: ConversionRecord, samples: Sequence[Sample] = ()) -> Page:
    folder = bundle.file("onnx").parent
    write_report(folder, bundle, record, samples)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def made(bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    return copied(bundle, tmp_path / "boxes")


def test_the_page_tells_what_was_recorded(made: ModelBundle) -> None:
    page = written(made, record_of(made))
    assert page.texts("h2") == [
        "Model",
        "Notes",
        "Proof",
        "Graph",
        "Files",
        "Timings",
        "Agreement with fp32",
        "Samples",
        "Hyperparameters",
        "Machine",
    ]
    (text,) = page.texts("body")
    for told in (
        "blue box, yellow box",
        made.sha256,
        "0.45 in the symbol but 0.3 in the hyperparameters",
        "Compared with the mxnet training graph on 5 frames with 1,312 detections",
        "26,543,210",
        "8.1 MB",
        "int8/model.onnx",
        "0.963",
        "overlap_threshold",
        "Example 9000",
    ):
        assert told in text
    cells = page.texts("td")
    threshold = cells.index("0.45")
    assert cells[threshold + 1] == made.nms.threshold.source


def test_bars_are_as_long_as_the_times_they_stand_for(made: ModelBundle) -> None:
    bars = [attrs["style"] for attrs, _ in written(made, record_of(made)).all("span") if attrs]
    assert bars == ["width: 25.0%", "width: 100.0%"]  # the fastest first


def test_a_page_without_proof_timings_and_int8_says_so(made: ModelBundle) -> None:
    record = record_of(
        made, parity=(), timings=(), agreement=(), notes=(), calibration_images=0, file_sizes={}
    )
    (text,) = written(made, record).texts("body")
    assert "Nothing was compared: this bundle is not proved equal to what was trained." in text
    assert "Nothing was timed." in text
    assert "no calibration images were given" in text
    assert "There were no pictures to draw." in text


def test_nothing_to_agree_on_is_told_and_no_figure_is_made_up(made: ModelBundle) -> None:
    nothing = dict.fromkeys(("mean_iou", "mean_score_difference", "max_score_difference", "map_50"))
    (one,) = record_of(made).agreement
    empty = one.model_copy(update={**nothing, "reference_detections": 0, "matched": 0})
    (text,) = written(made, record_of(made, agreement=(empty,))).texts("body")
    assert "fp32 itself found nothing with a score of 0.5 or more" in text
    assert "nan" not in text.lower()


def test_the_page_needs_nothing_else_and_can_be_read_aloud(made: ModelBundle) -> None:
    samples = [Sample(noise(seed), {"MXNet": boxes(2), "fp32": boxes(2)}) for seed in range(2)]
    page = written(made, record_of(made), samples)
    references = [
        attrs[key]
        for _, attrs, _ in page.elements
        for key in ("src", "href", "xlink:href", "action", "data")
        if key in attrs
    ]
    assert len(references) == 4
    assert all(ref.startswith(("data:image/jpeg;base64,", "#")) for ref in references)
    ids = {attrs["id"] for _, attrs, _ in page.elements if "id" in attrs}
    assert {ref[1:] for ref in references if ref.startswith("#")} <= ids
    (style,) = page.texts("style")
    assert "url(" not in style
    assert "@import" not in style
    assert not page.all("script")
    assert page.all("html")[0][0] == {"lang": "en"}
    assert page.texts("title") == ["boxes 1.0.0: conversion report"]
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert all(attrs["scope"] in {"row", "col"} for attrs, _ in page.all("th"))
    pictures = [attrs for attrs, _ in page.all("svg")]
    assert all(attrs["role"] == "img" for attrs in pictures)
    assert pictures[1]["aria-label"] == "Sample 1, fp32: blue box 0.75, yellow box 0.75"


def test_text_of_an_artifact_stays_text(made: ModelBundle) -> None:
    attack = "<script>alert(1)</script>"
    quote = '"><img src=x onerror=alert(1)>'
    hostile = made.model_copy(update={"classes": (attack, quote), "name": attack})
    record = record_of(hostile, notes=(attack, "bell \x07"), source=quote)
    sample = Sample(noise(1), {quote: boxes(2)})
    page = written(hostile, record, [sample])
    assert not page.all("script")
    assert not page.all("img")
    assert page.texts("li") == [attack, "bell \N{REPLACEMENT CHARACTER}"]
    assert page.texts("h1") == [f"{attack} 1.0.0"]
    assert f"{attack}, {quote}" in page.texts("td")
    assert page.texts("strong") == [quote]


def test_samples_are_drawn_once_each_with_their_confident_boxes(made: ModelBundle) -> None:
    frame = noise(3, height=60, width=120)
    both = boxes(1), boxes(2, score=0.49)
    page = written(made, record_of(made), [Sample(frame, {"fp32": both[0], "int8": both[1]})])
    ((image, _),) = page.all("image")
    content = base64.b64decode(image["href"].partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == frame.shape
    ((box, _),) = page.all("rect")
    place = [float(box[key]) for key in ("x", "y", "width", "height")]
    assert place == [0, 0, 250, 250]  # of 1000 x 500
    assert page.texts("text") == ["blue box 0.75"]
    assert page.texts("figcaption") == [
        "fp32: 1 with a score of 0.5 or more",
        "int8: 0 with a score of 0.5 or more",
    ]


def test_six_samples_are_drawn_at_most_and_the_file_stays_small(made: ModelBundle) -> None:
    frame = noise(4, height=800, width=800)  # nothing compresses worse
    samples = [Sample(frame, dict.fromkeys(("MXNet", "fp32", "int8"), boxes(300)))] * 8
    page = written(made, record_of(made), samples)
    assert len(page.all("image")) == 6
    assert (made.file("onnx").parent / "report.html").stat().st_size < 2_000_000


def test_the_record_comes_back_as_it_was_written(made: ModelBundle) -> None:
    folder = made.file("onnx").parent
    assert ConversionRecord.load(folder) is None
    record = record_of(made)
    record.write(folder)
    assert ConversionRecord.load(folder) == record


def test_a_figure_that_is_no_number_is_not_recorded(made: ModelBundle) -> None:
    (parity,) = record_of(made).parity
    with pytest.raises(ValidationError):
        Parity(**parity.model_dump() | {"max_box_difference": float("nan")})


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "Invalid JSON"), ('{"format": "edgetally.conversion/9"}', "format")],
)
def test_a_broken_record_is_one_line(made: ModelBundle, content: str, words: str) -> None:
    folder = made.file("onnx").parent
    (folder / "conversion.json").write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        ConversionRecord.load(folder)
    assert "\n" not in str(caught.value)
    assert "convert the model again" in str(caught.value)


def test_every_installed_engine_is_timed(bundle: ModelBundle) -> None:
    told: list[str] = []
    timings = measure_timings(bundle, [noise(1), noise(2)], told.append)
    fp32 = [timing.engine for timing in timings if timing.precision == "fp32"]
    assert fp32 == list(available_engines())
    assert all(0 < timing.milliseconds < 60_000 for timing in timings)
    assert all(1 <= timing.frames <= 10 for timing in timings)
    assert len(told) == len(timings)
    assert {timing.engine for timing in timings if timing.precision == "bf16"} <= {"openvino"}


def test_a_slow_engine_is_run_no_longer_than_two_seconds(bundle: ModelBundle) -> None:
    ticks = count(step=0.75)  # each look at the clock finds it three quarters of a second on
    timings = measure_timings(bundle, clock=lambda: float(next(ticks)))
    assert {(timing.milliseconds, timing.frames) for timing in timings} == {(750, 2)}


def test_the_machine_is_named() -> None:
    here = machine()
    assert here.processor
    assert here.cores >= 1
    assert here.packages["numpy"] == metadata.version("numpy")
    assert set(available_engines()) <= set(here.packages)
