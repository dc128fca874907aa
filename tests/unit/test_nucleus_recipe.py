"""What the stand-in nucleus reads in a recipe, and what its variables stand for."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from edgetally.errors import InputError
from edgetally.nucleus import JAVA, LITE, Kind
from edgetally.nucleus.configuration import Configuration
from edgetally.nucleus.recipe import Artifact, read_recipe
from edgetally.nucleus.variables import Folders, Variables

YAML = """
ComponentName: com.example.One
ComponentVersion: "1.0.0"
ComponentConfiguration:
  DefaultConfiguration: {number: 7, flag: true, none: null, list: [1], text: word}
ComponentDependencies:
  com.example.Needed: {VersionRequirement: ">=1.0.0"}
  com.example.Liked: {VersionRequirement: ">=1.0.0", DependencyType: SOFT}
Manifests:
  - Platform: {os: windows}
    Lifecycle: {run: dir}
  - Platform: {os: linux, architecture: "*", runtime: "*"}
    Artifacts:
      - {Uri: "s3://bucket/some/where/one.zip", Unarchive: ZIP}
      - {Uri: "s3://bucket/one.sh", Permission: {Execute: ALL}}
    Lifecycle:
      Setenv: {COLOUR: blue}
      install: {Script: make, Timeout: 7, RequiresPrivilege: true}
      run: exec it
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(YAML)
    return path


def test_the_manifest_for_this_device_is_read(recipe: Path) -> None:
    read = read_recipe(recipe, LITE)
    assert (read.name, read.version) == ("com.example.One", "1.0.0")
    assert read.install is not None
    assert (read.install.script, read.install.timeout, read.install.needs_root) == ("make", 7, True)
    assert read.run is not None
    assert read.run.script == "exec it"
    assert read.environment == {"COLOUR": "blue"}
    assert read.artifacts == (
        Artifact("one.zip", is_archive=True),
        Artifact("one.sh", is_executable=True),
    )
    assert read.dependencies == ("com.example.Needed", "com.example.Liked")
    assert read.hard == ("com.example.Needed",)


def test_defaults_of_yaml_keep_their_types_or_become_strings_as_on_lite(recipe: Path) -> None:
    typed = read_recipe(recipe, JAVA).defaults
    assert typed == {"number": 7, "flag": True, "none": None, "list": [1], "text": "word"}
    assert read_recipe(recipe, LITE).defaults == {
        "number": "7",
        "flag": "true",
        "none": "null",
        "list": ["1"],
        "text": "word",
    }


def test_defaults_of_json_keep_their_types(tmp_path: Path) -> None:
    defaults = {"number": 7, "flag": True, "none": None}
    path = tmp_path / "recipe.json"
    path.write_text(
        json.dumps({**_least(), "ComponentConfiguration": {"DefaultConfiguration": defaults}})
    )
    assert read_recipe(path, LITE).defaults == defaults


def _least() -> dict[str, Any]:
    return {"ComponentName": "com.example.One", "ComponentVersion": "1.0.0"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "no recipe"),
        ("- 1", "it holds no map"),
        ("ComponentName: x", "ComponentVersion is missing"),
        (
            "ComponentName: x\nComponentVersion: '1'\nManifests: [{Platform: {os: windows}}]",
            "no manifest for linux",
        ),
        (
            "ComponentName: x\nComponentVersion: '1'\nManifests: [{Lifecycle: {run: {}}}]",
            "a lifecycle step without a Script",
        ),
    ],
)
def test_what_is_no_recipe_for_this_device_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(path, JAVA)


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(tmp_path / "missing.json", LITE)
    assert str(caught.value) == (
        f"{tmp_path / 'missing.json'}: can't be read: No such file or directory; give a recipe"
    )


@pytest.mark.parametrize(
    ("kind", "runtime", "is_taken"),
    [
        (LITE, {"runtime": "*"}, True),
        (LITE, {"runtime": "aws_nucleus_lite"}, True),
        (LITE, {"runtime": "aws_nucleus_classic"}, False),
        (LITE, {}, False),
        (JAVA, {"runtime": "*"}, True),
        (JAVA, {"runtime": "aws_nucleus_lite"}, False),
        (JAVA, {"runtime": "aws_nucleus_classic"}, False),
        (JAVA, {}, True),
    ],
)
def test_a_manifest_is_for_the_runtimes_that_a_nucleus_takes(
    kind: Kind, runtime: dict[str, str], is_taken: bool
) -> None:
    manifest = {"Platform": {"os": "linux", **runtime}, "Lifecycle": {"run": "exec it"}}
    with nullcontext() if is_taken else pytest.raises(InputError, match=r"whose runtime is \* or"):
        assert read_recipe({**_least(), "Manifests": [manifest]}, kind).run is not None


def _variables() -> Variables:
    folders = Folders(Path("/root"), "com.example.One", "1.0.0")
    return Variables(folders, "dock-1", Configuration({"a": {"b": 7}, "s": 'say "$HOME"'}))


def test_variables_stand_for_the_devices_names_and_folders() -> None:
    variables = _variables()
    assert variables.fill_known("{iot:thingName} {kernel:rootPath}") == "dock-1 /root"
    assert variables.fill_known("{work:path}") == "/root/work/com.example.One/"
    artifacts = "/root/packages/artifacts/com.example.One/1.0.0/"
    assert variables.fill_known("{artifacts:path}x") == f"{artifacts}x"
    assert variables.fill_known("{artifacts:decompressedPath}") == artifacts.replace(
        "artifacts/", "artifacts-unarchived/", 1
    )
    assert variables.fill_known("{configuration:/a/b} {configuration:/a}") == '7 {"b":7}'


def test_the_java_nucleus_leaves_what_it_does_not_know() -> None:
    script = 'echo ${HOME} {no:thing} {"a": 1} {configuration:/nothing}'
    assert _variables().fill_known(script) == script


def test_on_lite_a_value_is_quoted_for_the_shell() -> None:
    assert _variables().fill_script("echo {configuration:/s}") == 'echo say \\"\\$HOME\\"'


@pytest.mark.parametrize("script", ["echo ${HOME}", "f() { x; }", "{no:thing}", "echo {"])
def test_on_lite_every_brace_begins_a_variable(script: str) -> None:
    with pytest.raises(InputError):
        _variables().fill_script(script)
