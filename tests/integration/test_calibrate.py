"""`edgetally calibrate` as a user meets it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import yaml
from network_camera import network_camera

from disk_trouble import fill, small_disk
from edgetally.cli import main

if TYPE_CHECKING:
    from pathlib import Path

CAMERA: dict[str, Any] = {
    "name": "dock",
    "source": "scene.png",
    "lines": [{"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}],
    "zones": [{"name": "入口", "polygon": [[0.1, 0.6], [0.4, 0.6], [0.4, 0.9]]}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a bright scene whose upper left corner is dark."""
    monkeypatch.chdir(tmp_path)
    image = np.full((480, 640, 3), 200, np.uint8)
    image[:120, :160] = 20
    cv2.imwrite("scene.png", image)
    return tmp_path


def config(folder: Path, *cameras: dict[str, Any]) -> str:
    content = {"model": {"path": "nowhere"}, "cameras": [*cameras] or [CAMERA]}
    (folder / "edgetally.yaml").write_text(yaml.safe_dump(content))
    return "edgetally.yaml"


def calibrate(*arguments: str, status: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *arguments])
    assert (ended.value.code or 0) == status


def shade(x: float, y: float, name: str = "calibration.png") -> float:
    """The brightness of the picture between the lines of the grid."""
    picture = cv2.imread(name)
    assert picture is not None
    height, width = picture.shape[:2]
    row, column = round(y * height), round(x * width)
    return float(picture[row - 3 : row + 4, column - 3 : column + 4].mean())


def write_video(path: Path, images: list[Any]) -> None:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
    for image in images:
        writer.write(image)
    writer.release()


def test_a_source_alone_gives_the_scene_with_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    calibrate("--source", "scene.png")
    assert capsys.readouterr().out == "calibration.png: 640 x 480, the grid alone\n"
    assert shade(0.16, 0.16) == 20
    assert shade(0.55, 0.75) == 200


def test_a_configuration_gives_the_source_and_what_is_drawn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate("--config", config(folder), "--output", "drawn.jpg")
    told = capsys.readouterr().out
    assert told == "drawn.jpg: 640 x 480, line door, zone 入口 (as zone 1)\n"
    assert shade(0.36, 0.66, "drawn.jpg") != pytest.approx(200, abs=10)
    assert shade(0.75, 0.5, "drawn.jpg") < 190


def test_the_picture_is_turned_and_masked_as_the_camera_is(folder: Path) -> None:
    mask = [[0, 0.8], [0.2, 0.8], [0.2, 1], [0, 1]]
    calibrate("-c", config(folder, {**CAMERA, "rotate": 90, "masks": [mask]}))
    picture = cv2.imread("calibration.png")
    assert picture is not None
    assert picture.shape[:2] == (640, 480)
    assert shade(0.85, 0.15) == 20
    assert shade(0.15, 0.85) == 0


def test_a_source_replaces_the_configured_one_while_the_configuration_is_unfinished(
    folder: Path,
) -> None:
    cv2.imwrite("other.png", np.full((480, 640, 3), 90, np.uint8))
    (folder / "part.yaml").write_text(yaml.safe_dump({"cameras": [{"name": "*", "lines": []}]}))
    calibrate("--source", "other.png", "--config", "part.yaml")
    assert shade(0.55, 0.75) == 90


def test_a_configuration_without_a_model_gives_the_source(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "part.yaml").write_text(yaml.safe_dump({"cameras": [CAMERA]}))
    calibrate("--config", "part.yaml")
    assert shade(0.55, 0.75) == 200
    (folder / "part.yaml").write_text(yaml.safe_dump({"cameras": [{"name": "dock"}]}))
    calibrate("--config", "part.yaml", status=2)
    assert "source is missing; add it" in capsys.readouterr().err


def test_one_of_several_cameras_is_chosen_by_its_name_or_its_source(folder: Path) -> None:
    cv2.imwrite("other.png", np.full((480, 640, 3), 90, np.uint8))
    path = config(folder, CAMERA, {"name": "gate", "source": "other.png"})
    calibrate("-c", path, "--camera", "gate")
    assert shade(0.55, 0.75) == 90
    calibrate("-c", path, "--source", "other.png")
    assert shade(0.36, 0.66) == 90


def test_a_black_beginning_of_a_video_is_left_out(folder: Path) -> None:
    scene = cv2.imread("scene.png")
    assert scene is not None
    write_video(folder / "clip.mp4", [np.zeros_like(scene)] * 5 + [scene] * 3)
    calibrate("--source", "clip.mp4")
    assert shade(0.55, 0.75) == pytest.approx(200, abs=8)


def test_a_scene_in_which_nothing_is_to_be_seen_is_drawn_nevertheless(folder: Path) -> None:
    write_video(folder / "clip.mp4", [np.zeros((240, 320, 3), np.uint8)] * 5)
    calibrate("--source", "clip.mp4")
    assert shade(0.55, 0.75) == pytest.approx(0, abs=20)


def test_folders_and_live_sources_give_a_picture_too(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "scene.png").rename(folder / "images" / "scene.png")
    calibrate("--source", "images")
    assert shade(0.55, 0.75) == 200
    calibrate("--source", "test:64x48")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --source, or a --config"),
        (["--camera", "dock", "--source", "scene.png"], "--config"),
        (["--source", "nowhere.png"], "nowhere.png"),
        (["--source", ""], "--source is empty"),
        (["--source", "empty.mp4"], "empty.mp4"),
        (["--source", "test:1x1"], "16 to 8192"),
        (["--source", "rtsp://user:secret@127.0.0.1:9/x"], "rtsp://***@127.0.0.1:9/"),
        (["--source", "scene.png", "--output", "scene.png"], "is the source itself"),
        (["--source", "scene.png", "--output", "a.gif"], "rename it"),
        (["--source", "scene.png", "--output", "nowhere/a.png"], "no folder nowhere"),
        (["--source", "scene.png", "--output", "folder.png"], "is a folder"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--config", "edgetally.yaml"], "several cameras; give --camera (dock, gate)"),
        (["--config", "edgetally.yaml", "--camera", "x"], "no camera 'x'; it has dock, gate"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config(folder, CAMERA, {"name": "gate", "source": "other.png"})
    (folder / "empty.mp4").touch()
    (folder / "folder.png").mkdir()
    calibrate(*arguments, status=2)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("edgetally: ")
    assert told.err.count("\n") == 1
    assert words in told.err
    assert "secret" not in told.err
    assert not (folder / "calibration.png").exists()


def test_on_a_full_disk_the_picture_that_was_there_stays_and_room_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with small_disk() as disk:
        fill(disk)
        old = sorted(disk.iterdir())
        calibrate("--source", "scene.png", "--output", str(disk / "new.png"), status=2)
        assert sorted(disk.iterdir()) == old
        assert "new.png: No space left on device; make room" in capsys.readouterr().err

        (disk / "ballast").unlink()
        calibrate("--source", "scene.png", "--output", str(disk / "new.png"))
        known = (disk / "new.png").read_bytes()
        fill(disk)
        calibrate("--source", "scene.png", "--output", str(disk / "new.png"), status=2)
        assert (disk / "new.png").read_bytes() == known


def test_a_camera_is_logged_in_but_no_other_source_gets_its_password(folder: Path) -> None:
    (folder / "credentials").write_text("me:mine")
    (folder / "credentials").chmod(0o600)
    login = "Basic " + base64.b64encode(b"me:mine").decode()
    with network_camera(login=login) as url, network_camera(login=login) as other:
        path = config(folder, {**CAMERA, "source": url, "credentialsFile": "credentials"})
        calibrate("-c", path)
        calibrate("-c", path, "--source", url)
        calibrate("-c", path, "--source", other, status=2)
        calibrate("-c", path, "--source", "scene.png")
