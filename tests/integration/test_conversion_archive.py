"""What an artifact may be, and what is refused about archives and folders."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.conversion.artifact.archive import (
    HYPERPARAMETERS_NAME,
    PARAMS_NAME,
    SYMBOL_NAME,
    TrainingArtifact,
)
from edgetally.conversion.artifact.params import write_params
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable


def symbol(*operators: str) -> bytes:
    """Write a chain of operators after `data`, the last one the head."""
    names = ("null", *operators)
    nodes = [
        {"op": op, "name": op if i else "data", "inputs": [[i - 1, 0, 0]] if i else []}
        for i, op in enumerate(names)
    ]
    return json.dumps({"nodes": nodes, "heads": [[len(nodes) - 1, 0, 0]]}).encode()


DETECTOR = symbol("Convolution", "_contrib_MultiBoxDetection")
WEIGHTS = write_params({"arg:w": np.arange(6, dtype=np.float32)})
SETTINGS = json.dumps({"num_classes": "2", "image_shape": "300"}).encode()
TRIO = {SYMBOL_NAME: DETECTOR, PARAMS_NAME: WEIGHTS, HYPERPARAMETERS_NAME: SETTINGS}
PAIR = {"ssd-symbol.json": DETECTOR, "ssd-0012.params": WEIGHTS}

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", **fields: Any) -> Entry:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def entries(members: dict[str, bytes]) -> list[Entry]:
    return [entry(name, content) for name, content in members.items()]


def packed(
    path: Path, members: list[Entry], mode: str = "w:gz", form: int = tarfile.PAX_FORMAT
) -> Path:
    with tarfile.open(path, mode, format=form) as tar:  # type: ignore[call-overload]
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def folder(path: Path, members: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, content in members.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["", "./", "out/model/", "deep/" * 18])
def test_sagemakers_artifact_is_read_from_any_tar(
    form: int, mode: str, prefix: str, tmp_path: Path
) -> None:
    members = [
        entry("out", type=tarfile.DIRTYPE),
        entry("größe.txt" if form != tarfile.USTAR_FORMAT else "notes.txt", b"x" * 700),
        *entries({prefix + name: content for name, content in TRIO.items()}),
    ]
    found = TrainingArtifact.read(packed(tmp_path / "model.tar.gz", members, mode, form))
    assert found.name == "model_algo_1"
    assert found.hyperparameters == {"num_classes": "2", "image_shape": "300"}
    assert [node.op for node in found.graph.nodes][-1] == "_contrib_MultiBoxDetection"
    assert found.params["arg:w"].tolist() == list(range(6))


def test_names_too_long_for_a_header_are_read(tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        members = entries({"deep/" * 60 + name: content for name, content in TRIO.items()})
        path = packed(tmp_path / f"{form}.tar.gz", members, form=form)
        assert TrainingArtifact.read(path).name == "model_algo_1"


@pytest.mark.parametrize("place", ["folder", "archive", "symbol"])
def test_an_exported_network_is_read_with_its_name_and_no_hyperparameters(
    place: str, tmp_path: Path
) -> None:
    source = folder(tmp_path / "export", PAIR)
    if place == "archive":
        members = entries({f"export/{name}": content for name, content in PAIR.items()})
        source = packed(tmp_path / "export.tar.gz", members)
    elif place == "symbol":
        (source / "other-symbol.json").write_bytes(DETECTOR)
        (source / "other-0000.params").write_bytes(WEIGHTS)
        source /= "ssd-symbol.json"
    found = TrainingArtifact.read(source)
    assert (found.name, found.hyperparameters) == ("ssd", {})
    assert found.params["arg:w"].tolist() == list(range(6))


def test_what_gluon_exports_is_read(tmp_path: Path) -> None:
    mx = import_mxnet()
    net = mx.gluon.nn.HybridSequential(prefix="tiny_")
    with net.name_scope():
        net.add(mx.gluon.nn.Conv2D(2, 1), mx.gluon.nn.BatchNorm())
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros((1, 3, 4, 4)))
    net.export(str(tmp_path / "tiny-ssd"), epoch=7)
    found = TrainingArtifact.read(tmp_path)
    assert (found.name, found.hyperparameters) == ("tiny-ssd", {})
    assert found.params["arg:tiny_conv0_weight"].shape == (2, 3, 1, 1)
    assert "aux:tiny_batchnorm0_running_var" in found.params


@pytest.mark.parametrize("place", ["folder", "archive", "symbol"])
def test_sagemakers_files_win_over_others_beside_them(place: str, tmp_path: Path) -> None:
    members = {"a-symbol.json": b"", "b-symbol.json": b"", "model.pt": b""} | TRIO | PAIR
    source = folder(tmp_path / "job", members)
    if place == "archive":
        source = packed(tmp_path / "model.tar.gz", entries(members))
    found = TrainingArtifact.read(source / SYMBOL_NAME if place == "symbol" else source)
    assert (found.name, found.hyperparameters["num_classes"]) == ("model_algo_1", "2")


UNSAFE: dict[str, tuple[Entry, str]] = {
    "above": (entry("../escaped", b"x"), "'../escaped', a path that leaves the archive"),
    "above, within": (entry("a/../../b", b"x"), "'a/../../b', a path that leaves"),
    "above, on Windows": (entry("a\\..\\b", b"x"), "a path that leaves the archive"),
    "absolute": (entry("/etc/passwd", b"x"), "'/etc/passwd', an absolute path"),
    "absolute folder": (entry("/etc", type=tarfile.DIRTYPE), "'/etc/', an absolute path"),
    "absolute, on Windows": (entry("C:/x", b"x"), "'C:/x', an absolute path"),
    "symbolic link": (
        entry("a", type=tarfile.SYMTYPE, linkname="b"),
        "'a', a symbolic link; give the model.tar.gz as the training job wrote it",
    ),
    "hard link": (entry("a", type=tarfile.LNKTYPE, linkname="b"), "'a', a hard link"),
    "device": (entry("a", type=tarfile.CHRTYPE), "'a', a device"),
    "block device": (entry("a", type=tarfile.BLKTYPE), "'a', a device"),
    "named pipe": (entry("a", type=tarfile.FIFOTYPE), "'a', a named pipe"),
    "sparse": (entry("a", type=tarfile.GNUTYPE_SPARSE), "'a', a sparse file"),
    "sparse, in pax": (
        entry("a", pax_headers={"GNU.sparse.major": "1"}),
        "holds a sparse file",
    ),
    "other type": (entry("a", type=b"V"), "'a', a member of type b'V'"),
    "two lines": (entry("../a\nb"), r"'../a\nb', a path that leaves"),
    "long": (entry("../" + "x" * 5000), "x…', a path that leaves"),
    "path in pax": (entry("a", pax_headers={"path": "/a"}), "'/a', an absolute path"),
}


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(("member", "problem"), UNSAFE.values(), ids=UNSAFE.keys())
def test_a_member_that_no_training_job_writes_is_refused_wherever_it_lies(
    member: Entry, problem: str, last: bool, tmp_path: Path
) -> None:
    members = [*entries(TRIO), member] if last else [member, *entries(TRIO)]
    with pytest.raises(InputError) as caught:
        TrainingArtifact.read(packed(tmp_path / "model.tar.gz", members))
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'model.tar.gz'} holds ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def claiming(size: int, name: str = PARAMS_NAME) -> bytes:
    """Return the header of a member of that size, without its data."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def refusal(source: Path) -> str:
    """Return the line with which a source is refused, having looked at time and memory."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(InputError) as caught:
            TrainingArtifact.read(source)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        assert time.process_time() - begun < 5
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    return str(caught.value)


ZEROS = bytes(1 << 20)


def end_mark() -> bytes:
    return bytes(1024)


def bombs() -> dict[str, tuple[Callable[[Any], object], str]]:
    def zeros(*starts: bytes) -> Callable[[Any], object]:
        return lambda out: (
            [out.write(start) for start in starts] + [out.write(ZEROS) for _ in range(40)]
        )

    def text(out: Any) -> None:
        for _ in range(40):
            out.write(b"x" * len(ZEROS))

    return {
        "text, not a tar": (text, "is not a whole tar archive (a damaged header)"),
        "zeros": (zeros(), "more data after its end"),
        "zeros after the end": (zeros(claiming(0, "a"), end_mark()), "more data after its end"),
        "a terabyte": (zeros(claiming(1 << 40)), "and so more than 1024 MiB"),
        "2^88 bytes": (zeros(claiming((1 << 88) - 1)), "and so more than 1024 MiB"),
        "a gigabyte with the one before": (
            zeros(claiming(1 << 20, "a"), ZEROS, claiming(1 << 30, "c")),
            "'c', and so more than 1024 MiB",
        ),
        "huge symbol": (zeros(claiming(9 << 20, SYMBOL_NAME)), "too large to be a model's"),
        "huge hyperparameters": (zeros(claiming(2 << 20, HYPERPARAMETERS_NAME)), "too large"),
        "huge unwanted, cut": (zeros(claiming(100 << 20, "a")), "it ends too early"),
    }


@pytest.mark.parametrize(("make", "problem"), bombs().values(), ids=bombs().keys())
def test_what_expands_without_end_is_not_followed(
    make: Callable[[Any], object], problem: str, tmp_path: Path
) -> None:
    source = tmp_path / "model.tar.gz"
    with gzip.open(source, "wb", compresslevel=1) as out:
        make(out)
    assert source.stat().st_size < 1 << 20
    assert problem in refusal(source)


def test_a_header_that_claims_much_is_refused(tmp_path: Path) -> None:
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, 1 << 20
        (tmp_path / "model.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + ZEROS)
        assert "a header of 1048576 bytes" in refusal(tmp_path / "model.tar")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "model.tar"
    source.write_bytes(claiming(0, "a") * 10_001 + end_mark())
    assert "holds more than 10000 members" in refusal(source)


def test_an_archive_without_its_end_is_cut(tmp_path: Path) -> None:
    whole = packed(tmp_path / "model.tar", entries(TRIO), "w").read_bytes().rstrip(b"\0")
    for end in (len(whole) // 2, len(whole) + -len(whole) % 512, 512, 100):
        (tmp_path / "cut.tar").write_bytes(whole[:end].ljust(end, b"\0"))
        assert "is not a whole tar archive (it ends too early)" in refusal(tmp_path / "cut.tar")


@pytest.mark.parametrize("position", [0, 100, 130, 150, 160, 400, 511])
def test_a_damaged_header_is_told(position: int, tmp_path: Path) -> None:
    content = bytearray(packed(tmp_path / "model.tar", entries(TRIO), "w").read_bytes())
    start = content.rindex(HYPERPARAMETERS_NAME.encode())
    content[start + position] ^= 0x15
    (tmp_path / "model.tar").write_bytes(content)
    assert "a damaged header" in refusal(tmp_path / "model.tar")


CLASSIFICATION = "this is the artifact of SageMaker's image classification algorithm, not of object"
SEGMENTATION = "this is the artifact of SageMaker's semantic segmentation algorithm, not of object"
FOREIGN: dict[str, tuple[dict[str, bytes], str]] = {
    "nothing": ({}, f"lacks {SYMBOL_NAME} and {PARAMS_NAME} and {HYPERPARAMETERS_NAME}; give"),
    "notes only": ({"notes.txt": b""}, f"lacks {SYMBOL_NAME} and {PARAMS_NAME}"),
    "no symbol": ({PARAMS_NAME: WEIGHTS, HYPERPARAMETERS_NAME: SETTINGS}, f"lacks {SYMBOL_NAME};"),
    "no parameters": (
        {SYMBOL_NAME: DETECTOR, HYPERPARAMETERS_NAME: SETTINGS},
        f"lacks {PARAMS_NAME};",
    ),
    "no hyperparameters": (
        {SYMBOL_NAME: DETECTOR, PARAMS_NAME: WEIGHTS},
        f"lacks {HYPERPARAMETERS_NAME};",
    ),
    "export without symbol": ({"ssd-0012.params": WEIGHTS}, "lacks a symbol.json for ssd-0012"),
    "export without parameters": ({"ssd-symbol.json": DETECTOR}, "lacks ssd-0000.params, the"),
    "parameters of another": (
        {"ssd-symbol.json": DETECTOR, "yolo-0000.params": WEIGHTS},
        "lacks ssd-0000.params, the parameters of ssd-symbol.json",
    ),
    "several networks": (
        PAIR | {"a-symbol.json": DETECTOR, "a-0000.params": WEIGHTS},
        "(a-symbol.json, ssd-symbol.json, a-0000.params, ssd-0012.params); unpack it and name one",
    ),
    "several epochs": (
        PAIR | {"ssd-0013.params": WEIGHTS},
        "several parameter files (ssd-0012.params, ssd-0013.params); leave the one",
    ),
    "export with hyperparameters": (
        PAIR | {HYPERPARAMETERS_NAME: SETTINGS},
        f"lacks {SYMBOL_NAME} and {PARAMS_NAME} but holds hyperparams.json and ssd-symbol.json",
    ),
    "deployed": (
        {f"deploy_{name}": content for name, content in TRIO.items()},
        "this artifact was deployed already; give the training job's own model.tar.gz",
    ),
    "bundle": (
        {"bundle.json": b"{}", "deploy_model_algo_1-symbol.json": DETECTOR, "model.onnx": b""},
        "is a model bundle already (it holds bundle.json)",
    ),
    "image classification": (
        {
            "image-classification-symbol.json": symbol("SoftmaxOutput"),
            "image-classification-0007.params": WEIGHTS,
            "model-shapes.json": b"{}",
        },
        CLASSIFICATION,
    ),
    "image classification by image_shape": (
        TRIO | {HYPERPARAMETERS_NAME: b'{"image_shape": "3,224,224"}'},
        CLASSIFICATION,
    ),
    "image classification by num_layers": (
        TRIO | {HYPERPARAMETERS_NAME: b'{"num_layers": "50"}'},
        CLASSIFICATION,
    ),
    "image classification by its network": (
        TRIO | {SYMBOL_NAME: symbol("FullyConnected", "SoftmaxOutput")},
        "this network classifies pictures and finds no boxes",
    ),
    "exported classifier": (
        {"net-symbol.json": symbol("SoftmaxOutput"), "net-0000.params": WEIGHTS},
        "this network classifies pictures and finds no boxes",
    ),
    "semantic segmentation": (
        {"model_algo-1": b"", HYPERPARAMETERS_NAME: b'{"algorithm": "fcn"}'},
        SEGMENTATION,
    ),
    "semantic segmentation by its hyperparameters": (
        TRIO | {HYPERPARAMETERS_NAME: b'{"backbone": "resnet-50", "crop_size": "240"}'},
        SEGMENTATION,
    ),
    "Faster R-CNN": (
        {
            "f-symbol.json": symbol("_contrib_box_decode", "_contrib_box_nms", "_contrib_ROIAlign"),
            "f-0000.params": WEIGHTS,
        },
        "this network is a Faster R-CNN or Mask R-CNN, like those of GluonCV; only an SSD can be",
    ),
    "YOLO": (
        {
            "yolo3-symbol.json": symbol("sigmoid", "exp", "Concat", "_contrib_box_nms"),
            "yolo3-0000.params": WEIGHTS,
        },
        "this network is a YOLO, like those of GluonCV; only an SSD",
    ),
    "CenterNet": (
        {
            "net-symbol.json": symbol("Deconvolution", "sigmoid", "topk", "gather_nd"),
            "net-0000.params": WEIGHTS,
        },
        "this network is a CenterNet, like those of GluonCV; only an SSD",
    ),
    "a detector of another kind": (
        {"net-symbol.json": symbol("exp", "_contrib_box_nms"), "net-0000.params": WEIGHTS},
        "this network is a detector of GluonCV that is no SSD; only an SSD",
    ),
    "an archive within": (
        {"model.tar.gz": b"", "notes.txt": b""},
        "is no artifact but holds model.tar.gz; give that file itself",
    ),
    "TensorFlow": ({"saved_model.pb": b"", "labels.json": b""}, "this is a TensorFlow SavedModel"),
    "PyTorch": ({"model.pt": b""}, "this is a PyTorch model, not of the built-in Object Detection"),
    "PyTorch weights": ({"frcnn.pth": b"", "notes.txt": b""}, "this is a PyTorch model"),
}


@pytest.mark.parametrize("place", ["folder", "archive"])
@pytest.mark.parametrize(("members", "problem"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_detectors_artifact_is_named(
    members: dict[str, bytes], problem: str, place: str, tmp_path: Path
) -> None:
    if place == "folder":
        source = folder(tmp_path / "job", members)
    else:
        source = packed(tmp_path / "job.tar.gz", entries({f"1/{n}": c for n, c in members.items()}))
    line = refusal(source)
    assert problem in line
    assert line.startswith(str(source))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("model.pt", "this is a PyTorch model"),
        ("ssd-0012.params", "holds parameters only; give its folder, or the symbol.json beside it"),
        ("deploy_model_algo_1-symbol.json", "was deployed already"),
    ],
)
def test_a_single_file_that_is_no_artifact_is_named(
    name: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(DETECTOR)
    assert problem in refusal(tmp_path / name)


def test_links_in_a_folder_are_followed_to_ordinary_files_only(tmp_path: Path) -> None:
    job = folder(tmp_path / "job", TRIO)
    (job / PARAMS_NAME).rename(tmp_path / "blob")
    (job / PARAMS_NAME).symlink_to(tmp_path / "blob")
    assert list(TrainingArtifact.read(job).params) == ["arg:w"]
    (tmp_path / "blob").unlink()
    assert f"{PARAMS_NAME} is a link to nothing" in refusal(job)
    (tmp_path / "blob").mkdir()
    assert f"{PARAMS_NAME} is no ordinary file" in refusal(job)
    (tmp_path / "blob").rmdir()
    os.mkfifo(tmp_path / "blob")
    assert f"{PARAMS_NAME} is no ordinary file" in refusal(job)


def test_a_source_that_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.tar.gz")
    assert "is no ordinary file" in refusal(tmp_path / "model.tar.gz")
    assert "does not exist" in refusal(tmp_path / "missing.tar.gz")
    assert "does not exist" in refusal(tmp_path / "missing" / "ssd-symbol.json")
    assert "can't be read (File name too long)" in refusal(Path("x" * 5000))
    assert "without a NUL character" in refusal(Path("a\0b"))


def test_a_file_too_large_for_its_kind_is_not_read(tmp_path: Path) -> None:
    job = folder(tmp_path / "job", TRIO)
    with (job / SYMBOL_NAME).open("wb") as file:
        file.truncate(1 << 40)
    assert "too large to be a model's" in refusal(job)


def test_the_origin_that_is_given_stands_in_errors(tmp_path: Path) -> None:
    source = packed(tmp_path / "model.tar.gz", [])
    with pytest.raises(InputError, match=r"^s3://jobs/model\.tar\.gz lacks"):
        TrainingArtifact.read(source, "s3://jobs/model.tar.gz")


def test_a_large_artifact_is_held_once(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).standard_normal(4 << 20).astype(np.float32)
    members = TRIO | {PARAMS_NAME: write_params({"arg:w": weights})}
    source = packed(tmp_path / "model.tar", entries(members), "w")
    tracemalloc.start()
    try:
        found = TrainingArtifact.read(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * weights.nbytes
    np.testing.assert_array_equal(found.params["arg:w"], weights)


@pytest.mark.parametrize("in_gzip", [True, False])
@pytest.mark.parametrize("packing", ["a zip archive", "packed with bzip2", "packed with xz"])
def test_another_packing_is_named(packing: str, in_gzip: bool, tmp_path: Path) -> None:
    content = packed(tmp_path / "model.tar", entries(TRIO), "w").read_bytes()
    if "zip archive" in packing:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as out:
            for name, member in TRIO.items():
                out.writestr(name, member)
        content = made.getvalue()
    else:
        content = bz2.compress(content) if "bzip2" in packing else lzma.compress(content)
    source = tmp_path / "model.tar.gz"
    source.write_bytes(gzip.compress(content) if in_gzip else content)
    told = f"holds, in gzip, what is {packing}" if in_gzip else f"is {packing}"
    assert f": this {told}; give the model.tar.gz that the job wrote" in refusal(source)


def test_gzip_in_gzip_is_told(tmp_path: Path) -> None:
    once = packed(tmp_path / "model.tar.gz", entries(TRIO)).read_bytes()
    (tmp_path / "twice.tar.gz").write_bytes(gzip.compress(once))
    assert "is packed with gzip twice; unpack it once" in refusal(tmp_path / "twice.tar.gz")


@pytest.mark.parametrize("leftover", ["PaxHeader", "PaxHeaders.1234", "out/PaxHeaders.0", "._"])
@pytest.mark.parametrize("members", [TRIO, PAIR], ids=["SageMaker's", "exported"])
def test_what_a_tar_or_macos_left_beside_the_files_is_passed_over(
    members: dict[str, bytes], leftover: str, tmp_path: Path
) -> None:
    slash = "" if leftover == "._" else "/"
    others = {f"{leftover}{slash}{name}": b"30 mtime=1" for name in members}
    for first, second in ((others, members), (members, others)):
        source = packed(tmp_path / "model.tar.gz", entries(first | second))
        assert TrainingArtifact.read(source).params["arg:w"].tolist() == list(range(6))


def test_macos_files_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    job = folder(tmp_path / "job", PAIR | {f"._{name}": b"" for name in PAIR})
    assert TrainingArtifact.read(job).name == "ssd"


def test_a_long_path_is_cut_in_errors() -> None:
    assert len(refusal(Path("x" * 5000))) < 400
    assert len(refusal(Path("a\0b" * 5000))) < 400
