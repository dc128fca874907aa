"""A build makes what a nucleus, its command line and the kit take; the same from a commit."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from component_checkout import ROOT, clone, commit_of, stand_in
from typer.testing import CliRunner

from edgetally.cli import app
from edgetally.component.building import build_counter, build_model
from edgetally.component.built import built_components
from edgetally.component.checkout import Checkout
from edgetally.component.gdk import build_for_gdk
from edgetally.component.names import COUNTER, MODEL
from edgetally.component.target import SERVED_PYTHONS, Target
from edgetally.component.wheel import build_wheel
from edgetally.component.wheelhouse import requirements_for
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle

SCHEMA = json.loads((ROOT / "tests/data/recipe_schema.json").read_text(encoding="utf-8"))


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def folder_of(bundle: ModelBundle) -> Path:
    return bundle.file("onnx").parent


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A stand-in whose packages come from a folder."""
    root = stand_in(tmp_path / "small")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "index"))
    return Checkout.at(root)


def test_a_commit_gives_the_same_bytes_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    origin = commit_of(ROOT, tmp_path / "origin")
    builds = []
    for name in ("one", "another/and deeper"):
        root = tmp_path / name
        root.parent.mkdir(exist_ok=True)
        build_counter(Checkout.at(clone(origin, root)), root / "out")
        builds.append(everything(root / "out"))
    assert builds[0] == builds[1]


_OTHER_GENERATOR = """
import re
import zipfile
from pathlib import Path

from setuptools import build_meta


def build_wheel(folder, *more):
    name = build_meta.build_wheel(folder, *more)
    path = Path(folder) / name
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in reversed(files.items()):
            if each.endswith("/WHEEL"):
                content = re.sub(rb"Generator: .*", b"Generator: another (99.0)", content)
            if each.endswith("/RECORD"):
                content = b"\\r\\n".join(reversed(content.splitlines()))
            archive.writestr(each, content)
    return name
"""


def test_a_wheel_is_the_same_whatever_packed_it(small: Checkout, tmp_path: Path) -> None:
    usual = build_wheel(small, tmp_path / "usual")
    project = small.root / "pyproject.toml"
    (small.root / "src" / "another.py").write_text(_OTHER_GENERATOR)
    project.write_text(
        project.read_text().replace(
            'build-backend = "setuptools.build_meta"',
            'build-backend = "another"\nbackend-path = ["src"]',
        )
    )
    assert build_wheel(small, tmp_path / "other").read_bytes() == usual.read_bytes()
    into = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(into)]
    subprocess.run([*command, str(usual)], check=True)
    assert (into / "edgetally" / "cli.py").is_file()


@pytest.mark.parametrize(
    ("file", "is_changed"),
    [
        ("src/edgetally/zone.py", True),
        ("pyproject.toml", True),
        ("greengrass-component/install.py", True),
        ("greengrass-component/place_model.sh", True),
        ("constraints/component.txt", True),
        ("recipes/io.edgetally.Model.json", True),
        ("greengrass-component/gdk-config.json", False),
        ("greengrass-component/build/artifacts/a.zip", False),
    ],
)
def test_a_change_of_what_goes_into_an_artifact_is_noticed(
    tmp_path: Path, file: str, is_changed: bool
) -> None:
    root = commit_of(ROOT, tmp_path / "root")
    assert Checkout.at(root).caution is None
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write("\n")
    assert (Checkout.at(root).caution is not None) is is_changed


def test_git_need_not_trust_who_owns_the_checkout(tmp_path: Path) -> None:
    root = commit_of(ROOT, tmp_path / "root")
    own = Checkout.at(root)
    if os.geteuid() == 0:
        os.chown(root, 12345, 12345)
        os.chown(root / ".git", 12345, 12345)
    assert Checkout.at(root) == own
    (root / "README.md").write_text("another")
    assert Checkout.at(root).caution is not None


def test_what_git_is_told_to_ignore_is_not_built(tmp_path: Path) -> None:
    root = commit_of(ROOT, tmp_path / "root")
    wheel = build_wheel(Checkout.at(root), tmp_path / "usual").read_bytes()
    (root / "src" / "edgetally" / "extra.py").write_text("print('here')")
    (root / ".git" / "info" / "exclude").write_text("extra.py")
    assert build_wheel(Checkout.at(root), tmp_path / "other").read_bytes() == wheel
    (root / ".git" / "info" / "exclude").write_text("")
    with (root / ".git" / "config").open("a") as settings:
        settings.write("[status]\n\tshowUntrackedFiles = no\n")
    assert Checkout.at(root).caution is not None
    assert build_wheel(Checkout.at(root), tmp_path / "more").read_bytes() != wheel


def test_sources_without_a_commit_are_built_and_that_is_told(small: Checkout) -> None:
    assert small.caution is not None
    assert "no commit is known here" in small.caution
    assert Path("src/edgetally/cli.py") in small.sources()


def test_the_checkout_around_the_working_folder_is_found_by_an_installed_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = commit_of(ROOT, tmp_path / "root")
    monkeypatch.setattr("edgetally.__file__", str(tmp_path / "lib/site/edgetally/__init__.py"))
    monkeypatch.chdir(root / "greengrass-component")
    assert Checkout.here().root.resolve() == root
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is no checkout of edgetally"):
        Checkout.here()


@pytest.mark.parametrize("output", ["", "."])
def test_a_build_into_the_checkout_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    root = commit_of(ROOT, tmp_path / "root")
    monkeypatch.chdir(root)
    monkeypatch.setattr("edgetally.__file__", str(root / "src/edgetally/__init__.py"))
    before = everything(root / "recipes")
    ended = CliRunner().invoke(app, ["component", "build", "--output", output])
    assert "is the checkout itself; give a folder of its own" in str(ended.exception)
    assert everything(root / "recipes") == before


def test_a_build_may_be_read_by_all_whatever_the_umask(
    small: Checkout, bundle: ModelBundle, tmp_path: Path
) -> None:
    project = small.root / "greengrass-component"
    before = os.umask(0o077)
    try:
        build_model(small, tmp_path / "out" / "deeper", folder_of(bundle))
        build_counter(small, tmp_path / "out" / "deeper")
        build_for_gdk(small, project)
    finally:
        os.umask(before)
    made = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    made += [project / "greengrass-build", *(project / "greengrass-build").rglob("*")]
    assert len([path for path in made if path.is_file()]) == 6
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("nowhere", ["/proc/x", "README.md", "/dev/null/x"])
def test_a_folder_that_takes_nothing_is_named_in_one_line(
    small: Checkout, bundle: ModelBundle, nowhere: str
) -> None:
    folder = small.root / nowhere
    with pytest.raises(InputError, match=rf"^{folder}/.* can't be written: .*; give a folder"):
        build_counter(small, folder)
    with pytest.raises(InputError, match="can't be written"):
        build_model(small, folder, folder_of(bundle))


@pytest.mark.parametrize(
    ("python", "remedy"),
    [(SERVED_PYTHONS, "build the component with --python "), ((), "install Python 3.98 or 3.99,")],
)
def test_a_device_with_another_python_than_the_wheels_is_told_what_helps(
    tmp_path: Path, python: tuple[str, ...], remedy: str
) -> None:
    artifact = tmp_path / "counter.zip"
    about = {"pythons": ["3.98", "3.99"], "served": python, "platforms": ["x86_64"]}
    with zipfile.ZipFile(artifact, "w") as archive:
        archive.write(ROOT / "greengrass-component" / "launch.py", "__main__.py")
        archive.write(ROOT / "greengrass-component" / "install_step.py", "install_step.py")
        archive.writestr("component.json", json.dumps(about))
    command = [sys.executable, str(artifact), str(tmp_path / "work")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert remedy in line


def test_the_counter_without_wheels_is_less_than_a_megabyte_and_is_complete(tmp_path: Path) -> None:
    built = build_counter(Checkout.at(ROOT), tmp_path)
    (artifact,) = built.artifacts
    assert artifact.stat().st_size < 1_000_000
    assert built.recipe == tmp_path / "recipes" / f"{COUNTER}-0.1.0.json"
    assert artifact == tmp_path / "artifacts" / COUNTER / "0.1.0" / f"{COUNTER}.zip"
    with zipfile.ZipFile(artifact) as archive:
        names = set(archive.namelist())
    assert {"__main__.py", "install.py", "requirements.txt", "component.json"} < names
    assert "edgetally-0.1.0-py3-none-any.whl" in names
    assert built_components(tmp_path)[COUNTER].files == (artifact,)
    jsonschema.validate(json.loads(built.recipe.read_text()), SCHEMA)


def test_with_wheels_each_platform_has_an_artifact_of_its_own(
    small: Checkout, tmp_path: Path
) -> None:
    targets = [Target.of("x86_64", "3.11"), Target.of("x86_64", "3.12")]
    built = build_counter(small, tmp_path / "out", [*targets, Target.of("aarch64", "3.11")])
    assert [path.name for path in built.artifacts] == [
        f"{COUNTER}-aarch64.zip",
        f"{COUNTER}-amd64.zip",
    ]
    with zipfile.ZipFile(built.artifacts[1]) as archive:
        assert "wheels/greeting-1.0-py3-none-any.whl" in archive.namelist()
        about = json.loads(archive.read("component.json"))
    assert (about["pythons"], about["platforms"]) == (["3.11", "3.12"], ["x86_64"])
    assert about["served"] == list(SERVED_PYTHONS)
    recipe = json.loads(built.recipe.read_text())
    assert [manifest["Artifacts"][0]["Uri"][-12:] for manifest in recipe["Manifests"]] == [
        "er-amd64.zip",
        "-aarch64.zip",
    ]


def test_a_later_build_takes_the_place_of_an_earlier_one(small: Checkout, tmp_path: Path) -> None:
    for version in ("0.1.0", "0.2.0"):
        build_counter(small, tmp_path / "out", version=version)
    assert built_components(tmp_path / "out")[COUNTER].version == "0.2.0"
    assert [path.name for path in (tmp_path / "out/artifacts" / COUNTER).iterdir()] == ["0.2.0"]


def test_wheels_that_are_not_to_be_had_are_told_in_one_line(
    small: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(EdgetallyError, match=r"wheels for x86_64 with Python 3.11 .*greeting==1.0"):
        build_counter(small, tmp_path / "out", [Target.of("x86_64", "3.11")])


def test_a_build_that_fails_leaves_the_earlier_one_as_it_was(
    small: Checkout, bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_counter(small, tmp_path / "out", [Target.of("x86_64", "3.11")])
    build_model(small, tmp_path / "out", folder_of(bundle))
    before = everything(tmp_path / "out")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(EdgetallyError):
        build_counter(small, tmp_path / "out", [Target.of("x86_64", "3.11")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as on a full disk
    try:
        with pytest.raises(InputError, match="can't be written: File too large"):
            build_model(small, tmp_path / "out", folder_of(bundle))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert everything(tmp_path / "out") == before


def test_a_models_component_holds_its_bundle_and_has_its_version(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    checkout = Checkout.at(ROOT)
    built = build_model(checkout, tmp_path / "one", folder_of(bundle))
    assert built.recipe.name == f"{MODEL}-{bundle.version}.json"
    with zipfile.ZipFile(built.artifacts[0]) as archive:
        names = set(archive.namelist())
    assert {"__main__.py", "place_model.sh", "bundle/bundle.json"} < names
    jsonschema.validate(json.loads(built.recipe.read_text()), SCHEMA)
    build_model(checkout, tmp_path / "two", folder_of(bundle))
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


@pytest.mark.parametrize(
    "version", ["7", "1.2.3-..", "1.2.3-rc.01", "1.2.3-", "1.2.3+a..b", "01.2.3", "1.2.\u0663"]
)
def test_a_models_version_must_be_one_of_a_component(
    bundle: ModelBundle, tmp_path: Path, version: str
) -> None:
    with pytest.raises(InputError, match="is no component version; give --version"):
        build_model(Checkout.at(ROOT), tmp_path, folder_of(bundle), version)


@pytest.mark.parametrize("version", ["1.2.3-rc.1+build.05", "0.0.0--", "1.2.3-0a.0"])
def test_each_semantic_version_is_one(bundle: ModelBundle, tmp_path: Path, version: str) -> None:
    built = build_model(Checkout.at(ROOT), tmp_path, folder_of(bundle), version)
    jsonschema.validate(json.loads(built.recipe.read_text()), SCHEMA)


@pytest.mark.parametrize("version", ["0.1.0", "NEXT_PATCH"])
def test_the_kit_finds_recipe_and_artifact_where_it_looks(
    small: Checkout, tmp_path: Path, version: str
) -> None:
    project = small.root / "greengrass-component"
    config = json.loads((project / "gdk-config.json").read_text())
    config["component"][COUNTER]["version"] = version
    (project / "gdk-config.json").write_text(json.dumps(config))
    build_for_gdk(small, project)
    folder = project / "greengrass-build"
    assert (folder / "artifacts" / COUNTER / version / f"{COUNTER}.zip").is_file()
    recipe = folder / "recipes" / (project / "recipe.json").resolve().name
    assert json.loads(recipe.read_text())["ComponentName"] == COUNTER


def test_a_locks_lines_are_chosen_for_the_device_and_not_for_this_machine() -> None:
    lock = (
        "old==1 ; python_full_version < '3.11' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "new==2 ; python_full_version == '3.11.*' \\\n    --hash=sha256:cc\n"
        "windows==3 ; sys_platform == 'win32' \\\n    --hash=sha256:dd\n"
        "arm==4 ; platform_machine == 'aarch64' \\\n    --hash=sha256:ee\n"
        "all==5 \\\n    --hash=sha256:ff\n"
    )
    chosen = requirements_for(lock, Target.of("aarch64", "3.10"))
    assert chosen == (
        "old==1 --hash=sha256:aa --hash=sha256:bb\narm==4 --hash=sha256:ee\n"
        "all==5 --hash=sha256:ff\n"
    )
    assert requirements_for(lock, Target.of("x86_64", "3.11")).startswith("new==2 --hash")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--platform", "aarch64"], "add --wheelhouse"),
        (["--wheelhouse", "--platform", "riscv64"], "give x86_64 or aarch64"),
        (["--wheelhouse", "--python", "3.9"], "give one of 3.10, 3.11, 3.12, 3.13"),
        (["--model", "x", "--wheelhouse"], "leave --wheelhouse out"),
        (["--source", "/"], "is no checkout of edgetally"),
        (["--version", "1.0"], "is no component version"),
        (["--gdk"], "leave --output out"),
        (
            ["--gdk", "--model", "x", "--version", "1.0.0"],
            "leave --output and --model and --version out",
        ),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    arguments: list[str], problem: str, tmp_path: Path
) -> None:
    command = ["component", "build", "--output", str(tmp_path), *arguments]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, InputError)
    assert problem in str(refused.exception)
