"""Calibration images from folders and from Ground Truth manifests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgetally.conversion.onnx_model.calibration import MOST_IMAGES, calibration_frames
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 8


def write_image(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    written, content = cv2.imencode(".png", np.full((4, 6, 3), level, np.uint8))
    assert written
    path.write_bytes(content.tobytes())
    return path


def write_manifest(path: Path, references: list[object]) -> str:
    lines = (json.dumps({"source-ref": reference, "boxes": {}}) for reference in references)
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return str(path)


def levels(source: str | Path) -> list[int]:
    told: list[str] = []
    frames = calibration_frames(str(source), SIZE, told.append)
    assert not told  # nothing had to be fetched
    assert all(frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8 for frame in frames)
    return [int(frame[0, 0, 0]) for frame in frames]


def test_a_folder_gives_its_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, level in (("b.JPEG", 2), ("a.png", 1), ("c.bmp", 3), ("._a.png", 9), ("d.txt", 9)):
        write_image(tmp_path / name, level)
    write_image(tmp_path / "thumbnails" / "a.png", 9)

    assert levels(tmp_path) == [1, 2, 3]


def test_a_folder_of_folders_gives_the_images_of_them_all(tmp_path: Path) -> None:
    for name, level in (("dock/1.png", 1), ("dock/far/1.jpg", 2), ("shelf/1.png", 3)):
        write_image(tmp_path / name, level)

    assert levels(tmp_path) == [1, 2, 3]


def test_of_many_images_some_are_taken_evenly(tmp_path: Path) -> None:
    # a grey level has no room for their numbers: the first half is black, the second white
    for number in range(2 * MOST_IMAGES):
        write_image(tmp_path / f"{number:04}.png", 0 if number < MOST_IMAGES else 255)

    found = levels(tmp_path)

    assert len(found) == MOST_IMAGES
    assert found == [0] * (MOST_IMAGES // 2) + [255] * (MOST_IMAGES // 2)


def test_a_manifest_names_images_by_path(tmp_path: Path) -> None:
    elsewhere = write_image(tmp_path / "elsewhere" / "b.png", 2)
    write_image(tmp_path / "job" / "images" / "a.png", 1)
    manifest = tmp_path / "job" / "output.manifest"
    source = write_manifest(manifest, ["images/a.png", str(elsewhere), "images/a.png"])

    assert sorted(levels(source)) == [1, 2]


def test_an_image_in_s3_is_taken_from_beside_the_manifest(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1)
    write_image(tmp_path / "frames" / "b.png", 2)
    source = write_manifest(
        tmp_path / "output.manifest", ["s3://bucket/job/a.png", "s3://bucket/job/frames/b.png"]
    )

    assert levels(source) == [1, 2]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("", "lists no images"),
        ('{"source-ref": "a.png"}\nnot json', "line 2 is no JSON"),
        ('{"source": "a.png"}', 'line 1 has no "source-ref"'),
        ('["a.png"]', 'line 1 has no "source-ref"'),
        ("7", 'line 1 has no "source-ref"'),
        ('{"source-ref": 7}', 'line 1 has no "source-ref"'),
        ('{"source-ref": ""}', 'line 1 has no "source-ref"'),
        ('{"source-ref": "a\\u0000.png"}', 'line 1 has no "source-ref"'),
        ('{"source-ref": "https://host/a.png"}', "neither a path nor an s3:// address"),
        ('{"source-ref": "missing.png"}', r"missing\.png: No such file"),
        ("[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_a_bad_manifest_is_told_by_its_line(tmp_path: Path, lines: str, complaint: str) -> None:
    manifest = tmp_path / "output.manifest"
    manifest.write_text(lines, encoding="utf-8")

    with pytest.raises(InputError, match=complaint):
        levels(manifest)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"no picture")

    with pytest.raises(InputError, match=r"b\.png: not a picture"):
        levels(tmp_path)


def test_a_source_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    binary = tmp_path / "video.mp4"
    binary.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match="holds no images"):
        levels(tmp_path)
    with pytest.raises(InputError, match="does not exist; give --calibration a folder"):
        levels(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no text"):
        levels(binary)
    with pytest.raises(InputError, match="null"):
        levels("a\0b")
