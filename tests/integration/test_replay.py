"""`edgetally replay`: counting again what was recorded."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.cli import main
from edgetally.config import load_config, load_replay_config
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.errors import InputError
from edgetally.replay import read_recording, replay
from edgetally.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MODELS = Path(__file__).resolve().parents[2] / "models" / "boxes"
WIDTH, HEIGHT = 1000, 500
CONFIG = """
cameras:
  - name: "*"
    lines: [{name: door, from: [0, 0.5], to: [1, 0.5], inDirection: [0, 1]}]
    zones: [{name: room, polygon: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}]
"""


def manifest_line(
    image: str, tops: Iterable[float], *, confidence: float = 0.09, name: str = "storage box"
) -> dict[str, Any]:
    """A frame with a box 100 pixels wide and high for each top edge, in 0-1."""
    boxes = [
        {"class_id": 0, "left": 200 + 300 * index, "top": top * HEIGHT, "width": 100, "height": 100}
        for index, top in enumerate(tops)
    ]
    return {
        "source-ref": f"s3://bucket/frames/{image}",
        "color": "blue",
        "bb": {
            "annotations": boxes,
            "image_size": [{"width": WIDTH, "height": HEIGHT, "depth": 3}],
        },
        "bb-metadata": {
            "class-map": {"0": name} if boxes else {},
            "objects": [{"confidence": confidence}] * len(boxes),
            "type": "groundtruth/object-detection",
        },
    }


def carried(video: str, *, down: bool = True, **named: Any) -> list[dict[str, Any]]:
    """Somebody carries a box through the picture, at 5 frames a second."""
    tops = [step / 10 * 0.8 for step in range(11)]
    frames = tops if down else tops[::-1]
    return [
        manifest_line(f"{video}_{index:06}.jpg", [top], **named)
        for index, top in enumerate(frames, start=22)
    ]


def written(path: Path, lines: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "replay.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in ("replay", *arguments)])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_each_video_of_a_manifest_is_a_camera_of_its_own(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [*carried("dock_1"), *carried("dock_2", down=False), *carried("dock_2")]
    path = written(tmp_path / "output.manifest", lines[:22])

    status, out, err = run(capsys, path, "--config", config, "--fps", 5, "--json")

    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["cameras"] == {
        "dock_1": {
            "lines": {"door": {"storage box": {"in": 1, "out": 0}}},
            "zones": {"room": {"storage box": 1}},
        },
        "dock_2": {
            "lines": {"door": {"storage box": {"in": 0, "out": 1}}},
            "zones": {"room": {"storage box": 0}},
        },
    }
    crossings = [event for event in found["events"] if "line" in event]
    assert [(event["camera"], event["direction"]) for event in crossings] == [
        ("dock_1", "in"),
        ("dock_2", "out"),
    ]
    for event in crossings:  # half way through eleven frames, the first of them number 22
        assert event["time"] == pytest.approx((22 + 4) / 5, abs=0.3)
        assert event["class"] == "storage box"


def test_frames_are_counted_in_the_order_of_their_numbers(tmp_path: Path, config: Path) -> None:
    path = written(tmp_path / "output.manifest", carried("dock")[::-1])

    counted = replay(read_recording(path, fps=5), load_replay_config(config))

    assert counted.cameras["dock"].lines["door"]["storage box"] == {"in": 1, "out": 0}


def test_a_camera_of_that_name_goes_before_the_one_that_serves_any(tmp_path: Path) -> None:
    config = tmp_path / "replay.yaml"
    config.write_text(
        CONFIG + "  - {name: dock, fps: 10, lines: [{name: own, from: [0, 0.5], to: [1, 0.5], "
        "inDirection: [0, -1]}]}\n"
    )
    path = written(tmp_path / "output.manifest", [*carried("dock"), *carried("gate")])
    settings = load_replay_config(config)

    counted = replay(read_recording(path, fps={"dock": 10, "*": 5}), settings)

    assert counted.cameras["dock"].lines == {"own": {"storage box": {"in": 0, "out": 1}}}
    assert counted.cameras["gate"].lines == {"door": {"storage box": {"in": 1, "out": 0}}}
    (own,) = [event for event in counted.cameras["dock"].events if hasattr(event, "line")]
    assert own.time == pytest.approx(2.6, abs=0.2)


def test_messages_of_a_run_are_counted_as_the_run_counted_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages, config = tmp_path / "messages.jsonl", tmp_path / "demo.yaml"
    demo = load_config(MODELS / "demo.yaml").model_dump(mode="json", by_alias=True)
    convert(MODELS / "model.tar.gz", tmp_path / "bundle", classes=CLASSES, verify=False)
    demo["model"]["path"] = str(tmp_path / "bundle")
    demo["cameras"][0]["source"] = str(MODELS / "demo.mp4")
    demo["publish"]["detections"] = {"mode": "every", "minInterval": 0}
    demo["publish"]["transports"] = [{"type": "jsonl", "path": str(messages)}]
    demo["storage"]["path"] = str(tmp_path / "state")
    config.write_text(json.dumps(demo))  # JSON is YAML
    service = Service(load_config(config))
    service.run()
    lines = messages.read_text(encoding="utf-8").splitlines()
    messages.write_text("\n".join([*lines, *lines[:100]]) + "\n")  # at least once

    status, out, err = run(capsys, messages, "--config", config, "--json")

    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["cameras"]["dock"]["lines"] == service.totals["dock"]
    crossings = [event for event in found["events"] if "line" in event]
    assert len(crossings) == sum(
        total for classes in service.totals["dock"]["door"].values() for total in classes.values()
    )
    assert all(event["time"].endswith("Z") for event in found["events"])


def test_without_json_each_event_and_the_totals_are_a_line(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "output.manifest", carried("dock"))

    status, out, _ = run(capsys, path, "-c", config, "--fps", 5)

    lines = out.splitlines()
    assert status == 0
    assert any(line.endswith("  dock, door: storage box in") for line in lines)
    assert "dock, door: storage box: 1 in, 0 out" in lines
    assert "dock, room: storage box: 1 inside" in lines


@pytest.mark.parametrize(
    ("image", "camera"),
    [
        ("blue_box_1_000022.jpg", "blue_box_1"),
        ("dock-7.png", "dock"),
        ("frame 12.jpeg", "frame"),
        ("north gate/000123.jpg", "north gate"),
        ("a/b.v2/cam.0004.jpg", "cam"),
    ],
)
def test_a_camera_is_named_as_its_files_without_the_number(
    tmp_path: Path, image: str, camera: str
) -> None:
    path = written(tmp_path / "output.manifest", [manifest_line(image, [0.2])])

    assert list(read_recording(path, fps=5).cameras) == [camera]


def test_a_frame_that_was_labelled_again_is_what_the_last_line_says(
    tmp_path: Path, config: Path
) -> None:
    first = [manifest_line(line["source-ref"][19:], []) for line in carried("dock")]
    path = written(tmp_path / "output.manifest", [*first, *carried("dock")])

    counted = replay(read_recording(path, fps=5), load_replay_config(config))

    assert counted.cameras["dock"].lines["door"]["storage box"]["in"] == 1


def test_a_class_that_a_line_names_need_not_have_been_seen(tmp_path: Path) -> None:
    config = tmp_path / "replay.yaml"
    config.write_text(CONFIG.replace("name: door", "name: door, classes: [crate]"))
    path = written(tmp_path / "output.manifest", carried("dock"))

    counted = replay(read_recording(path, fps=5), load_replay_config(config))

    assert counted.cameras["dock"].lines == {"door": {"crate": {"in": 0, "out": 0}}}


def message(index: int, score: float = 0.9) -> dict[str, Any]:
    """What a camera sees while somebody carries a box down, at 5 frames a second."""
    box = {"xmin": 0.2, "ymin": 0.08 * index, "xmax": 0.3, "ymax": 0.08 * index + 0.2}
    return {
        "schema": "edgetally.detections/1",
        "time": f"2026-05-01T10:00:{index // 5:02}.{index % 5 * 200:03}Z",
        "camera": "dock",
        "sequence": index + 1,
        "detections": [{"class": "box", "score": score, "box": box}],
    }


@pytest.mark.parametrize(
    ("cut", "note"),
    [
        ([10], "note: line 11 is cut short and left out\n"),
        ([3, 10], "note: 2 lines are cut short and left out, the first is line 4\n"),
    ],
)
def test_lines_of_messages_that_were_cut_short_are_left_out(
    tmp_path: Path,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    cut: Sequence[int],
    note: str,
) -> None:
    lines = [json.dumps(message(index)) for index in range(11)]
    for index in cut:
        lines[index] = lines[index][:60]
    path = tmp_path / "messages.jsonl"
    path.write_text("\n".join(lines))

    status, out, err = run(capsys, path, "-c", config)

    assert (status, err) == (0, note)
    assert "dock, door: box: 1 in, 0 out" in out.splitlines()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{\n" + json.dumps(message(0)), "line 1 is no JSON object"),
        (json.dumps(message(0)) + "\n{\n{\n", "2 of 3 lines are no JSON, the first is line 2"),
        (json.dumps(manifest_line("a_1.jpg", [0.1])) + "\n{\n", "line 2 is no JSON object"),
        (json.dumps(message(0)).encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
        (json.dumps(message(0)).encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
        (gzip.compress(b"{}", mtime=0), "is compressed with gzip; unpack it"),
    ],
    ids=["cut head", "many torn", "one torn", "utf-16", "utf-16 without mark", "gzip"],
)
def test_a_file_that_is_spoilt_or_of_another_format_is_refused(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    path = tmp_path / "input"
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(InputError) as refusal:
        read_recording(path, fps=5)

    assert expected in str(refusal.value)


def test_a_class_that_is_nowhere_in_the_recording_is_told(tmp_path: Path) -> None:
    config = tmp_path / "replay.yaml"
    content = CONFIG.replace("name: door", "name: door, classes: [crate, storage box]")
    config.write_text(content.replace("name: room", "name: room, classes: [crate]"))
    path = written(tmp_path / "output.manifest", carried("dock"))

    counted = replay(read_recording(path, fps=5), load_replay_config(config))

    assert counted.notes == (
        "class 'crate' of line 'door' is nowhere in the recording; it has storage box",
    )


@pytest.mark.parametrize("fps", [0.3, 0.5, 1, 1.2, 5])
def test_a_box_that_stands_in_each_frame_is_inside_at_any_frame_rate(
    tmp_path: Path, config: Path, fps: float
) -> None:
    lines = [manifest_line(f"dock_{number}.jpg", [0.8]) for number in range(31)]
    path = written(tmp_path / "output.manifest", lines)

    counted = replay(read_recording(path, fps=fps), load_replay_config(config))

    assert counted.cameras["dock"].zones == {"room": {"storage box": 1}}


def test_weak_detections_of_messages_begin_nothing(tmp_path: Path, config: Path) -> None:
    for score, expected in ((0.45, 0), (0.55, 1)):
        path = written(tmp_path / "m.jsonl", [message(index, score) for index in range(11)])
        counted = replay(read_recording(path), load_replay_config(config))
        assert counted.cameras["dock"].lines["door"]["box"]["in"] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "is empty"),
        (["x"], "line 1 is no JSON object"),
        ([{"a": 1}], "line 1 is no message of edgetally"),
        ([{"schema": "edgetally.health/1"}], "holds no message of detections"),
        ([{"schema": "edgetally.detections/2"}], "this edgetally reads edgetally.detections/1"),
        ([{"schema": "edgetally.detections/1"}], "line 1: camera: field required"),
        ([manifest_line("dock.jpg", [0.1])], "does not end in a frame's number"),
        ([manifest_line("a_1.jpg", [0.1]) | {"bb": {"annotations": [1]}}], "line 1: bb."),
        (
            [manifest_line("x/a_1.jpg", [0.1]), manifest_line("y/a_1.jpg", [0.1])],
            "are both frame 1 of 'a'",
        ),
        ([manifest_line("a_1.jpg", [0.1]), {"schema": "x"}], "line 2 has no source-ref"),
    ],
)
def test_what_is_no_recording_is_told_in_one_line(
    tmp_path: Path, lines: list[object], expected: str
) -> None:
    path = written(tmp_path / "input", lines)

    with pytest.raises(InputError) as refusal:
        read_recording(path, fps=5)

    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_manifest_needs_to_be_told_how_many_frames_a_second_there_are(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "output.manifest", carried("dock"))

    status, out, err = run(capsys, path, "-c", config)

    assert (status, out) == (2, "")
    assert err.startswith("edgetally: ")
    assert "give --fps" in err


def test_a_camera_that_serves_any_is_no_camera_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text('{model: {path: "."}, cameras: [{name: "*", source: "0"}]}')

    with pytest.raises(InputError, match="serves edgetally replay alone"):
        load_config(path)
