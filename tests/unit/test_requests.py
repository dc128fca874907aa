"""What may be asked for by message, and what is refused, with why."""

from __future__ import annotations

import base64
import json
import os
import resource
import struct
import threading
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgetally.requests import (
    LARGEST_BODY,
    InferenceRequest,
    RecountRequest,
    RefusedRequestError,
    decode_picture,
    parse_inference,
    parse_recount,
    read_picture,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIXEL = cv2.imencode(".png", np.zeros((3, 5, 3), np.uint8))[1].tobytes()


def new_id() -> str:
    return "made up"


def asked(**content: Any) -> bytes:
    return json.dumps(content).encode()


def test_a_look_is_asked_for_by_file_camera_or_picture() -> None:
    def request(**changes: Any) -> InferenceRequest:
        nothing = dict.fromkeys(("file_path", "camera", "image", "score_threshold"))
        return InferenceRequest(**{"request_id": "r-1", **nothing, **changes})

    def read(**content: Any) -> InferenceRequest:
        return parse_inference(asked(requestId="r-1", **content), new_id)

    assert read(filePath="a.jpg") == request(file_path="a.jpg")
    assert read(camera="dock", scoreThreshold=0.25) == request(camera="dock", score_threshold=0.25)
    assert read(camera="dock", scoreThreshold=1) == request(camera="dock", score_threshold=1.0)
    encoded = base64.b64encode(PIXEL).decode()
    assert read(imageBase64=encoded, filePath=None) == request(image=PIXEL)


def test_what_the_original_sample_was_asked_is_understood() -> None:
    request = parse_inference(b'{"filepath": "images/cat.jpg", "topic": "x"}', new_id)
    assert (request.request_id, request.file_path) == ("made up", "images/cat.jpg")


def test_a_correction_is_asked_for() -> None:
    content = {"requestId": "r-2", "class": "blue box", "count": 40, "author": "mia"}
    assert parse_recount(asked(**content), new_id) == RecountRequest(
        "r-2", None, "blue box", 40, "mia", ""
    )
    request = parse_recount(asked(**content, site="hall", note="monthly"), new_id)
    assert (request.site, request.note) == ("hall", "monthly")


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"", "malformed", "no JSON: it is empty"),
        (b"{a: 1}", "malformed", "a key must stand in double quotes .line 1, column 2."),
        (b'{"camera": nul}', "malformed", "what stands there is no value .line 1"),
        (b"\xff\xfe", "malformed", "no JSON"),
        (b"[" * 100_000, "malformed", "no JSON"),
        (b'{"requestId": "r-1", "requestId": "r-2"', "malformed", "no JSON: it ends too soon"),
        (b'{"camera": "dock", "scoreThreshold": NaN}', "malformed", "no JSON"),
        (b'"camera"', "malformed", "no JSON object"),
        (b"{}", "malformed", "one of filePath, camera and imageBase64"),
        (asked(camera="a", filePath="b"), "malformed", "one of filePath"),
        (asked(camera=7), "malformed", "camera: input should be a valid string"),
        (asked(camera="a", scoreThreshold=1.5), "malformed", "scoreThreshold: .* or equal to 1"),
        (asked(camera="a", scoreThreshold="0.5"), "malformed", "scoreThreshold: .* valid number"),
        (asked(requestId=5, camera="a"), "malformed", "requestId must be text of 1 to 128"),
        (asked(requestId="", camera="a"), "malformed", "requestId must be text"),
        (asked(requestId="x" * 129, camera="a"), "malformed", "requestId must be text"),
        (asked(requestId="a\nb", camera="a"), "malformed", "requestId must be text"),
        (asked(imageBase64="***"), "malformed", "no base64"),
        (asked(imageBase64="ä"), "malformed", "no base64"),
        (b'{"camera": "a", "camera": "b"}', "malformed", "key 'camera' stands twice"),
        (asked(filePath="a", filepath="b"), "malformed", "are the same; give one of them"),
        (asked(camera="a" * LARGEST_BODY), "tooBig", f"more than {LARGEST_BODY} bytes"),
    ],
)
def test_a_look_that_makes_no_sense_is_refused(body: bytes, code: str, said: str) -> None:
    with pytest.raises(RefusedRequestError, match=said) as refused:
        parse_inference(body, new_id)
    assert (refused.value.code, refused.value.request_id) == (code, "made up")


def test_a_refusal_carries_the_id_of_what_it_refuses() -> None:
    with pytest.raises(RefusedRequestError) as refused:
        parse_inference(asked(requestId="r-1", camera=7), new_id)
    assert refused.value.request_id == "r-1"
    cut_short = asked(requestId="r-1", imageBase64="a" * 2 * LARGEST_BODY)[: LARGEST_BODY + 1]
    with pytest.raises(RefusedRequestError, match=f"more than {LARGEST_BODY} bytes") as refused:
        parse_inference(cut_short, new_id)
    assert refused.value.request_id == "r-1"
    of_several = b'{"requestId": "r-1", "requestId": "r-2", "camera": "a"}'
    with pytest.raises(RefusedRequestError, match="'requestId' stands twice"):
        parse_inference(of_several, new_id)


@pytest.mark.parametrize(
    "body",
    [
        b'{"requestId": "r-1"',
        b'{"requestId": "r-1", "camera": "a", "scoreThreshold": NaN}',
        b'{"scoreThreshold": NaN, "requestId": "r-1"}',
        b'{"requestId": "r-1", "camera": "a"} x',
        b'{"requestId": "r-1", "camera": "\\ud800"}',
        b'{"requestId" : "r-1", "camera": "a",}',
        b'{"camera": "a\xff", "requestId": "r\\u002d1"}',
    ],
)
def test_a_refusal_of_what_is_no_json_carries_the_id_that_stands_in_it(body: bytes) -> None:
    with pytest.raises(RefusedRequestError, match="no JSON") as refused:
        parse_inference(body, new_id)
    assert refused.value.request_id == "r-1"


def test_a_request_of_nothing_but_keys_is_read_in_little_time() -> None:
    """What looks for keys that stand twice must not take a time that grows with their square."""
    keys = b",".join(b'"%d":1' % (number % 30_000) for number in range(90_000))
    began = time.process_time()
    with pytest.raises(RefusedRequestError, match="stands twice"):
        parse_inference(b"{%s}" % keys, new_id)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"requestId": None}, "requestId is missing"),
        ({"class": None}, "class: "),
        ({"count": 40.5}, "count: .* integer"),
        ({"count": "40"}, "count: .* integer"),
        ({"count": True}, "count: .* integer"),
        ({"author": None}, "author: "),
        ({"site": 4}, "site: "),
        ({"sit": "hall"}, "unknown key 'sit'; did you mean 'site'?"),
        ({"class_name": "blue box"}, "unknown key 'class_name'; did you mean 'class'?"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    content = {"requestId": "r-2", "class": "blue box", "count": 40, "author": "mia"}
    with pytest.raises(RefusedRequestError, match=said):
        parse_recount(asked(**(content | changes)), new_id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is open to requests, with a picture, beside one that is not."""
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture.png").write_bytes(PIXEL)
    return tmp_path / "open"


def test_a_file_is_found_by_its_whole_path_or_in_the_folder(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("picture.png", str(folder / "picture.png"), "../open/picture.png"):
        assert read_picture(name, [other, folder]) == PIXEL
    (tmp_path / "link").symlink_to(folder)
    assert read_picture(str(tmp_path / "link" / "picture.png"), [folder]) == PIXEL
    assert read_picture("picture.png", [tmp_path / "link"]) == PIXEL


@pytest.mark.parametrize(
    "given",
    [
        "../closed/picture.png",
        "../closed/missing.png",
        "/etc/passwd",
        "/proc/self/mem",
        "../open-not/picture.png",
        "out.png",
        "away/picture.png",
        "ring.png",
        "a\0b",
        "\udcff/../../closed/picture.png",
        "x/" * 5000 + "y",
    ],
)
def test_nothing_is_told_of_what_lies_elsewhere(folder: Path, given: str) -> None:
    (folder / "out.png").symlink_to("../closed/picture.png")
    (folder / "away").symlink_to("../closed")
    (folder / "ring.png").symlink_to("ring.png")
    with pytest.raises(RefusedRequestError) as refused:
        read_picture(given, [folder])
    assert (refused.value.code, str(refused.value)) in {
        ("forbidden", "filePath lies in no folder that is open to requests"),
        ("unreadable", "filePath ring.png: Too many levels of symbolic links"),
        ("unreadable", f"filePath {given[:200]}… (10001 characters): File name too long"),
    }


def test_without_a_folder_no_file_is_read(folder: Path) -> None:
    with pytest.raises(RefusedRequestError, match=r"name some in requests\.folders") as refused:
        read_picture(str(folder / "picture.png"), [])
    assert refused.value.code == "forbidden"


def test_a_link_out_of_one_of_several_folders_is_forbidden(folder: Path, tmp_path: Path) -> None:
    """As out of the only one, and whether there is something at its end or not."""
    (tmp_path / "other").mkdir()
    for end in ("picture.png", "missing.png"):
        (folder / f"out-{end}").symlink_to(f"../closed/{end}")
        for folders in ([folder, tmp_path / "other"], [tmp_path / "other", folder]):
            with pytest.raises(RefusedRequestError) as refused:
                read_picture(f"out-{end}", folders)
            assert refused.value.code == "forbidden"
    (tmp_path / "other" / "out-picture.png").write_bytes(PIXEL)
    assert read_picture("out-picture.png", [folder, tmp_path / "other"]) == PIXEL


@pytest.mark.parametrize(
    ("name", "code"), [("missing.png", "notFound"), ("sub", "unreadable"), ("pipe", "unreadable")]
)
def test_what_is_no_file_is_refused_at_once(folder: Path, name: str, code: str) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(RefusedRequestError) as refused:
        read_picture(name, [folder])
    assert refused.value.code == code


@contextmanager
def suppress_refusal(codes: list[str]) -> Iterator[None]:
    try:
        yield
    except RefusedRequestError as error:
        codes.append(error.code)


def test_a_link_that_is_changed_meanwhile_opens_nothing_else(folder: Path, tmp_path: Path) -> None:
    """Someone turns a link to and fro; what is read was in the folder, each time."""
    (tmp_path / "closed" / "picture.png").write_bytes(b"secret")
    done = threading.Event()

    def turn() -> None:
        while not done.is_set():
            for target in ("picture.png", "../closed/picture.png"):
                (folder / "new").symlink_to(target)
                (folder / "new").rename(folder / "turning.png")

    turning = threading.Thread(target=turn)
    turning.start()
    read: list[bytes] = []
    refused: list[str] = []
    while len(read) < 20 or len(refused) < 20:
        with suppress_refusal(refused):
            read.append(read_picture("turning.png", [folder]))
    done.set()
    turning.join()
    assert set(read) == {PIXEL}
    assert set(refused) <= {"forbidden", "notFound"}


def test_pictures_are_decoded_to_a_size_that_memory_bears() -> None:
    for kind in (".png", ".jpg"):
        encoded = cv2.imencode(kind, np.zeros((30, 50, 3), np.uint8))[1].tobytes()
        assert decode_picture(encoded).shape == (30, 50, 3)
    bomb = bytearray(PIXEL)
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    with pytest.raises(RefusedRequestError, match="30000 x 30000 pixels; 25000000 at most") as big:
        decode_picture(bytes(bomb))
    assert big.value.code == "tooBig"


def test_a_png_that_claims_to_be_long_takes_no_memory() -> None:
    """OpenCV would take two gigabytes for a chunk of that length."""
    claims = PIXEL[:33] + (0x7F000000).to_bytes(4, "big") + b"tEXt" + PIXEL[33:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RefusedRequestError, match="give a JPEG or PNG"):
        decode_picture(claims)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_animated_png_is_refused() -> None:
    """OpenCV 4.11 ends the process at a frame that is larger than its picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    frame = struct.pack(">IIIIIHHBB", 0, 30_000, 30_000, 0, 0, 1, 1, 0, 0)
    animation = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame)
    with pytest.raises(RefusedRequestError, match="give a JPEG or PNG"):
        decode_picture(PIXEL[:33] + animation + PIXEL[33:])


@pytest.mark.parametrize("content", [b"", b"GIF89a", PIXEL[:40], b"BM" + bytes(99), b"\xff\xd8"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedRequestError, match="give a JPEG or PNG") as refused:
        decode_picture(content)
    assert refused.value.code == "unreadable"
