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
from edgetally.nucleus.lifecycle import Skipping, Step
from edgetally.nucleus.recipe import Artifact, Recipe, read_recipe
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
        ("ComponentName: x", "ComponentVersion: it is missing"),
        (
            "ComponentName: x\nComponentVersion: 1.0.0\nManifests: [{Platform: {os: windows}}]",
            "no manifest for linux",
        ),
    ],
)
def test_what_is_no_recipe_for_this_device_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(path, JAVA)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ComponentName", "../../../victim", "is no component's name"),
        ("ComponentName", "..", "is no component's name"),
        ("ComponentName", ".", "is no component's name"),
        ("ComponentName", "a/b", "is no component's name"),
        ("ComponentName", "", "is no component's name"),
        ("ComponentName", "n" * 129, "is no component's name"),
        ("ComponentName", 7, "7 is no text; put it in quotes"),
        ("ComponentVersion", "../..", "is no component version"),
        ("ComponentVersion", "one", "is no component version"),
        ("ComponentVersion", "1.0", "is no component version"),
        ("ComponentVersion", 1, "1 is no text; put it in quotes"),
        ("ComponentVersion", None, "it is missing"),
        ("ComponentDependencies", 5, "5 is no map"),
        ("ComponentConfiguration", [], r"\[\] is no map"),
        ("Manifests", 5, "5 is no list"),
        ("Manifests", {}, r"\{\} is no list"),
    ],
)
def test_a_wrong_value_is_told_with_file_and_key(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**_least(), key: value}))
    with pytest.raises(InputError, match=f"^{path}: {key}: .*{said}"):
        read_recipe(path, JAVA)


@pytest.mark.parametrize("kind", [LITE, JAVA])
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("Artifacts", 5, "5 is no list"),
        ("Artifacts/0", 5, "5 is no map"),
        ("Artifacts/0/Uri", None, "it is missing"),
        ("Artifacts/0/Uri", "s3://bucket/..", "names no file"),
        ("Artifacts/0/Uri", "s3://bucket/", "names no file"),
        ("Lifecycle", 5, "5 is no map"),
        ("Lifecycle/install", 5, "5 is no text"),
        ("Lifecycle/run", "echo \0", "it holds a NUL character"),
        ("Lifecycle/run", "echo \ud800", "it holds half of a character"),
        ("Lifecycle/run/Script", None, "it is missing"),
        ("Lifecycle/Setenv", 5, "5 is no map"),
        ("Lifecycle/Setenv/A=B", "1", "no name of an environment variable"),
        ("Lifecycle/Setenv/", "1", "no name of an environment variable"),
        ("Lifecycle/Setenv/A", "\0", "it holds a NUL character"),
        ("Lifecycle/Setenv/A", [1], "is no text"),
        *(
            ("Lifecycle/install/Timeout", wrong, "is no number of seconds above 0")
            for wrong in ("abc", None, -1, 0, float("nan"), float("inf"), True, "", [1], 10**400)
        ),
    ],
)
def test_a_wrong_value_in_a_manifest_is_told_with_file_and_key(
    kind: Kind, key: str, value: object, said: str
) -> None:
    whole: Any = value
    for name in reversed(key.split("/")):
        whole = [whole] if name == "0" else {name: whole}
        if name == "Timeout":
            whole["Script"] = "make"
    manifest = {"Platform": {"os": "linux", "runtime": "*"}, **whole}
    with pytest.raises(InputError, match=f"^recipe: Manifests/0/{key}: .*{said}"):
        read_recipe({**_least(), "Manifests": [manifest]}, kind)


@pytest.mark.parametrize("kind", [LITE, JAVA])
def test_numbers_may_be_written_as_text_and_text_as_numbers(kind: Kind) -> None:
    install = {"Script": "make", "Timeout": "7", "RequiresPrivilege": "true"}
    environment = {"NUMBER": 7, "FLAG": True, "TEXT": "x"}
    read = _read({"install": install, "Setenv": environment}, kind)
    assert read.install == Step("make", needs_root=True, timeout=7.0)
    assert read.environment == {"NUMBER": "7", "FLAG": "true", "TEXT": "x"}


@pytest.mark.parametrize("empty", ["", "null", "{}", "{DefaultConfiguration: }"])
def test_a_configuration_may_be_empty(tmp_path: Path, empty: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"ComponentName: x\nComponentVersion: 1.0.0\nComponentConfiguration: {empty}\nManifests: "
    )
    assert read_recipe(path, LITE).defaults == {}


def _read(lifecycle: dict[str, Any], kind: Kind) -> Recipe:
    manifest = {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": lifecycle}
    return read_recipe({**_least(), "Manifests": [manifest]}, kind)


@pytest.mark.parametrize("step", ["startup", "bootstrap", "shutdown", "recover"])
@pytest.mark.parametrize("kind", [LITE, JAVA])
def test_a_step_that_is_not_run_is_told(kind: Kind, step: str) -> None:
    read = _read({step: "exec it", "run": "exec it"}, kind)
    assert read.left_out == (f"{step} is not run by this stand-in",)


def test_keys_in_capitals_are_for_the_java_nucleus_alone() -> None:
    lifecycle = {"Run": {"script": "exec it", "TIMEOUT": 7}}
    assert _read(lifecycle, JAVA).run == Step("exec it", timeout=7.0)
    on_lite = _read(lifecycle, LITE)
    assert on_lite.run is None
    assert on_lite.left_out == (
        "Run is not run by this stand-in",
        "nothing to run: it has neither install nor run",
    )


def test_what_has_nothing_to_run_is_told() -> None:
    nothing = "nothing to run: it has neither install nor run"
    assert read_recipe({**_least(), "Manifests": []}, LITE).left_out == (nothing,)
    assert read_recipe({**_least(), "Lifecycle": {"all": {"run": "it"}}}, JAVA).left_out == (
        "the Lifecycle outside of Manifests is not run by this stand-in",
        nothing,
    )


def test_a_skipif_is_for_the_java_nucleus_alone() -> None:
    lifecycle = {"run": {"Script": "exec it", "Skipif": "! exists /a b"}}
    run = _read(lifecycle, JAVA).run
    assert run is not None
    assert run.skipping == Skipping("/a b", is_file=True, is_negated=True)
    on_lite = _read(lifecycle, LITE)
    assert on_lite.run == Step("exec it")
    assert on_lite.left_out == ("Manifests/0/Lifecycle/run: Skipif is ignored, as lite ignores it",)
    with pytest.raises(InputError, match="Skipif: 'never' is neither 'onpath PROGRAM' nor"):
        _read({"run": {"Script": "exec it", "Skipif": "never"}}, JAVA)


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
