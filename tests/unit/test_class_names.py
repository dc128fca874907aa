"""What `--classes` takes: names, a text file, a Ground Truth manifest; and what is refused."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.conversion.artifact.class_names import read_class_names
from edgetally.errors import InputError
from locked_folder import locked_folder

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("blue box", "yellow box")


def line(class_map: Any, label: str = "bb") -> dict[str, Any]:
    """Make a line of a manifest as a bounding box job writes it."""
    return {
        "source-ref": "s3://frames/1.jpg",
        label: {"annotations": [], "image_size": [{"width": 1920, "depth": 3, "height": 1080}]},
        f"{label}-metadata": {
            "class-map": class_map,
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
        },
    }


def manifest(folder: Path, *lines: Any, name: str = "output.manifest") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(content) + "\n" for content in lines))
    return str(path)


@pytest.mark.parametrize("given", ["blue box,yellow box", " blue box , yellow box "])
def test_names_are_written_with_commas(given: str) -> None:
    assert read_class_names(given) == NAMES


@pytest.mark.parametrize(
    "content",
    [
        b"blue box\nyellow box",
        b"blue box\nyellow box\n\n",
        b"\xef\xbb\xbfblue box\r\nyellow box\r\n",
        b"  blue box\t\nyellow box \n",
    ],
    ids=["no newline at the end", "newlines at the end", "mark and CRLF", "spaces"],
)
def test_a_text_file_has_a_name_a_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert read_class_names(str(tmp_path / "names.txt")) == NAMES


def test_a_name_may_hold_a_comma_and_a_slash_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("on/off\nbox, blue\n", encoding="utf-8")
    assert read_class_names(str(tmp_path / "names")) == ("on/off", "box, blue")


def test_a_folder_of_the_classes_name_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "box").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_class_names("box") == ("box",)


def test_a_manifests_class_maps_are_merged_over_its_lines(tmp_path: Path) -> None:
    given = manifest(tmp_path, line({}), line({"1": "yellow box"}), line({"0": "blue box"}))
    assert read_class_names(given) == NAMES


def test_two_labels_of_the_same_classes_agree(tmp_path: Path) -> None:
    both = line({"0": "blue box", "1": "yellow box"})
    both |= line({"0": "blue box", "1": "yellow box"}, "bb-adjusted")
    other = {"verified-metadata": {"class-name": "good", "type": "groundtruth/label-verification"}}
    assert read_class_names(manifest(tmp_path, both | other)) == NAMES


def test_a_manifest_is_known_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    given = manifest(tmp_path, line({"0": "box"}), name="names.txt")
    assert read_class_names(given) == ("box",)


BAD_MANIFESTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "contradiction": (
        (line({"0": "box"}), line({}), line({"0": "crate"})),
        "line 3: bb calls class 0 'crate' but line 1 'box'",
    ),
    "two labels": (
        (line({"0": "box"}), line({"0": "crate"}, "other")),
        "line 2: the labels bb and other differ in class 0",
    ),
    "a class more": (
        (line({"0": "box"}), line({"0": "box", "1": "crate"}, "other")),
        "line 2: the labels bb and other differ in class 1",
    ),
    "hole": (
        (line({"0": "box"}), line({"2": "crate"})),
        "line 2: class 'crate' has an id past 1",
    ),
    "no zero": ((line({"1": "box"}),), "line 1: class 'box' has an id past 0"),
    "empty class-maps": ((line({}), line({})), "names no class in a class-map"),
    "no class-map": (({"source-ref": "s3://a/1.jpg"},), "names no class in a class-map"),
    "class-map is a list": ((line(["box"]),), "line 1: the class-map of bb-metadata is no object"),
    "name is empty": ((line({"0": " "}),), "line 1: bb: '0': ' ' is no class id with a name"),
    "name is a number": ((line({"0": 7}),), "line 1: bb: '0': '7' is no class id"),
    "id is a word": ((line({"box": "0"}),), "line 1: bb: 'box': '0' is no class id"),
    "id is negative": ((line({"-1": "box"}),), "'-1': 'box' is no class id"),
    "id has a zero before": ((line({"00": "box"}),), "'00': 'box' is no class id"),
    "id is huge": ((line({"9" * 5000: "box"}),), "is no class id"),
    "a list": ((line({"0": "box"}), []), "line 2 is no JSON object"),
    "many holes": (
        (line({"0": "box", "90000": "crate"}),),
        "past 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, … (89999 in all), which no line names",
    ),
    "long names": ((line({"0": "b" * 9000}), line({"0": "c" * 9000})), "(9000 characters)' but"),
    "a long name after a hole": ((line({"1": "b" * 9000}),), "(9000 characters)' has an id past 0"),
    "a long label": ((line(["box"], "b" * 9000),), "b… (9009 characters) is no object"),
    "long labels": (
        (line({"0": "box"}, "b" * 9000), line({"0": "crate"}, "c" * 9000)),
        "c… (9000 characters) differ in class 0",
    ),
}


@pytest.mark.parametrize(("lines", "problem"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
def test_a_bad_manifest_is_one_line_that_tells_where(
    lines: tuple[Any, ...], problem: str, tmp_path: Path
) -> None:
    given = manifest(tmp_path, *lines)
    with pytest.raises(InputError) as caught:
        read_class_names(given)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"class names: {given}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


BAD_FILES: dict[str, tuple[bytes, str, str]] = {
    "blank line": (b"a\n\nb\n", "names.txt", "line 2 is empty, which would shift the ids"),
    "empty": (b"", "names.txt", "line 1 is empty"),
    "no UTF-8": (b"a\nb\xff\n", "names.txt", "line 2 is no UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "names.txt", "line 1 is no UTF-8"),
    "text as a manifest": (b"box\n", "out.manifest", "line 1 is no JSON object"),
    "cut JSON": (b'{"a": 1}\n{"bb-meta', "out.jsonl", "line 2 is no JSON object"),
    "deep JSON": (b'{"a":' * 100_000, "out.jsonl", "line 1 is no JSON object"),
    "empty manifest": (b"", "out.manifest", "names no class"),
}


@pytest.mark.parametrize(("content", "name", "problem"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_one_line_that_tells_where(
    content: bytes, name: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem) as caught:
        read_class_names(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", "name 1 of --classes is empty"),
        ("blue box,,yellow box", "name 2 of --classes is empty"),
        ("blue box, ", "name 2 of --classes is empty"),
        ("no/such/names", "no/such/names does not exist; give an existing file, or names"),
        ("names.txt", "names.txt does not exist"),
        ("Output.MANIFEST", "does not exist"),
        ("/", "/ is no file"),
        ("s3://bucket", "names no object but a folder"),
        ("S3://bucket", "names no object but a folder"),
        ("x" * 5000 + ".txt", r"x… \(5004 characters\) can't be read \(File name too long\)"),
        ("a\0b.txt", r"can't be read \(no possible path\)"),
    ],
)
def test_names_that_are_none_are_refused(
    given: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=problem):
        read_class_names(given)


@pytest.mark.parametrize("given", ["a\0b", "box" * 2000])
def test_a_text_that_can_be_no_path_is_a_name(given: str) -> None:
    assert read_class_names(given) == (given,)


def test_a_pipe_or_a_device_of_the_classes_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("ff")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for given in ("ff", "zero", str(tmp_path / "ff"), "/dev/zero"):
        with pytest.raises(InputError, match=r"can't be read \(it is no ordinary file\)"):
            read_class_names(given)


def test_a_file_that_may_not_be_read_is_told_as_that() -> None:
    with (
        locked_folder() as folder,
        pytest.raises(InputError, match=r"c\.txt can't be read \(Permission denied\)"),
    ):
        read_class_names(str(folder / "c.txt"))
