"""Calibration images from folders and from Ground Truth manifests."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgetally.conversion.onnx_model.calibration import MOST_IMAGES, calibration_frames
from edgetally.errors import InputError
from locked_folder import locked_folder

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
        ('{"source-ref": "a\\ud800.png"}', 'line 1 has no "source-ref"'),
        ('{"source-ref": "' + "a" * 2_000_000 + '"}', "line 1 has 1048576 bytes or more"),
        ('{"source-ref": "http://' + "a" * 9000 + '"}', r"http://a+… \(9007 characters\)"),
        ('{"source-ref": "' + "a" * 9000 + '"}', r"… \(\d+ characters\): File name too long"),
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
    with pytest.raises(InputError, match=r"a\\x00b' can't be read \(no possible path\)"):
        levels("a\0b")


def test_a_manifest_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1)
    manifest = tmp_path / "output.manifest"
    manifest.write_bytes(b'\xef\xbb\xbf{"source-ref": "a.png"}\r\n')

    assert levels(manifest) == [1]


def test_an_address_in_capitals_is_an_address(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1)

    assert levels(write_manifest(tmp_path / "output.manifest", ["S3://bucket/job/a.png"])) == [1]


def no_file(folder: Path, kind: str) -> Path:
    """Make what can be opened as a file but would block, or never end."""
    path = folder / "endless.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 31)
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "2 GB"])
@pytest.mark.parametrize("listed", [True, False])
def test_what_is_no_ordinary_file_is_not_read(tmp_path: Path, kind: str, listed: bool) -> None:
    source = str(no_file(tmp_path, kind))
    if listed:
        source = write_manifest(tmp_path / "output.manifest", [source])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"no ordinary file|more than \d+ bytes") as caught:
            levels(source)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert "endless.png" in str(caught.value)


def test_a_manifest_of_too_many_lines_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "output.manifest"
    manifest.write_bytes(b"\n" * 1_000_001)

    with pytest.raises(InputError, match="more than 1000000 lines"):
        levels(manifest)


def test_what_may_not_be_read_is_told_as_that() -> None:
    with locked_folder() as folder:
        for source in (folder, folder / "output.manifest"):
            with pytest.raises(InputError, match=r"locked.* can't be read \(Permission denied\)"):
                levels(source)


def claims(kind: str, width: int, height: int) -> bytes:
    """Encode a small picture and write another size into its header."""
    ending = {"BMP, from the top": ".bmp", "JPEG, after fill bytes": ".jpg"}.get(kind, kind)
    written, encoded = cv2.imencode(ending, np.zeros((4, 6, 3), np.uint8))
    assert written
    content = bytearray(encoded.tobytes())
    if ending == ".png":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif ending == ".bmp":
        content[18:26] = struct.pack("<ii", width, -height if "top" in kind else height)
    else:
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
        if "fill" in kind:
            content[2:2] = b"\xff\xff\xff\xfe\x00\x06\xff\xc0\x00\x01"  # and a comment
    return bytes(content)


@pytest.mark.parametrize(
    "kind", [".png", ".jpg", ".bmp", "BMP, from the top", "JPEG, after fill bytes"]
)
def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "large.png"  # what it is counts, not what it is called
    path.write_bytes(claims(kind, 6, 4))
    assert levels(tmp_path) == [0]

    path.write_bytes(claims(kind, 20_000, 19_999))
    with pytest.raises(InputError, match=r"large\.png has 20000 x 19999 pixels, more than the 100"):
        levels(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"BM", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0", b"GIF89a"]
)
def test_a_picture_whose_size_is_not_known_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)

    with pytest.raises(InputError, match=r"a\.png: not a picture .* give a JPEG or PNG file"):
        levels(tmp_path)


def test_a_picture_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = claims(".jpg", 6, 4)
    for end in range(0, len(whole) - 1, 7):
        (tmp_path / "a.jpg").write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"a\.jpg: not a picture"):
            levels(tmp_path)
