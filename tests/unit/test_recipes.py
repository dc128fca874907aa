"""The recipes are such that both nuclei take them, and say what the code says."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from typer.testing import CliRunner

from edgetally.cli import app
from edgetally.component.access_control import access_control
from edgetally.component.checkout import Checkout
from edgetally.component.names import COUNTER, MODEL
from edgetally.component.nucleus_lite import fitting, room_left
from edgetally.component.recipe import (
    counter_recipe,
    read_recipe,
    recipe_text,
    with_artifacts,
)
from edgetally.config import parse_config
from edgetally.config.camera_parts import put_together
from edgetally.config.lite_value import LARGEST, bytes_of, leaves
from edgetally.errors import InputError
from edgetally.messaging.topics import Topics
from edgetally.nucleus.access import is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/data/recipe_schema.json").read_text(encoding="utf-8"))
REMEDY = "run scripts/generate_recipes.py and commit recipes"


def written(name: str) -> dict[str, Any]:
    return read_recipe(ROOT / "recipes", name)


def all_topics(topics: Topics, camera: str) -> set[str]:
    """Every topic that the class has, so that a new one is not forgotten in the policies."""
    plain = {
        str(getattr(topics, name))
        for name, kind in vars(Topics).items()
        if isinstance(kind, property)
    }
    return plain | {topics.detections(camera), topics.events(camera)}


def allowed(operation: str, topic: str, policies: dict[str, Any] | None = None) -> bool:
    return is_allowed(
        access_control("edgetally") if policies is None else policies,
        operation,
        topic,
        lambda resource: resource.replace("{iot:thingName}", "dock-1"),
    )


@pytest.mark.parametrize("name", [COUNTER, MODEL])
def test_a_recipe_follows_the_documented_format(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(written(name), SCHEMA)
    assert written(name)["ComponentName"] == name


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("another key's case", lambda r, m: r.update(componentVersion="1.0.0")),
        ("a plugin", lambda r, m: r.update(ComponentType="aws.greengrass.plugin")),
        ("a step that lite lacks", lambda r, m: m["Lifecycle"].update(shutdown="true")),
        ("another step that lite lacks", lambda r, m: m["Lifecycle"].update(recover="true")),
        (
            "a condition that lite lacks",
            lambda r, m: m["Lifecycle"]["install"].update(Skipif="exists /x"),
        ),
        (
            "a dependency's artifacts",
            lambda r, m: m["Lifecycle"].update(run="{io.other:artifacts:path}/x"),
        ),
        ("a brace of the shell's", lambda r, m: m["Lifecycle"].update(run="{ true; }")),
        ("a platform by pattern", lambda r, m: m["Platform"].update(architecture="/a.*/")),
        ("a platform without runtime", lambda r, m: m["Platform"].pop("runtime")),
        ("another system", lambda r, m: m["Platform"].update(os="windows")),
        ("an artifact by another case", lambda r, m: m["Artifacts"].append({"URI": "s3://x/y"})),
        ("no version", lambda r, m: r.update(ComponentVersion="1.0")),
        ("a version with an empty part", lambda r, m: r.update(ComponentVersion="1.2.3-..")),
        ("a version with a leading zero", lambda r, m: r.update(ComponentVersion="1.2.3-rc.01")),
        ("no manifest", lambda r, m: r.update(Manifests=[])),
    ],
)
def test_a_recipe_that_a_nucleus_refuses_is_refused(
    what: str, spoil: Callable[[dict[str, Any], dict[str, Any]], object]
) -> None:
    recipe = copy.deepcopy(written(COUNTER))
    spoil(recipe, recipe["Manifests"][0])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(recipe, SCHEMA)


def test_the_committed_recipe_is_that_of_the_code() -> None:
    recipe = counter_recipe(written(COUNTER), Checkout.at(ROOT).version)
    committed = (ROOT / "recipes" / f"{COUNTER}.json").read_text(encoding="utf-8")
    assert committed == recipe_text(recipe), REMEDY


def test_the_kits_configuration_has_the_same_version_and_recipe() -> None:
    folder = ROOT / "greengrass-component"
    config = json.loads((folder / "gdk-config.json").read_text(encoding="utf-8"))
    assert config["component"][COUNTER]["version"] == Checkout.at(ROOT).version
    assert json.loads((folder / "recipe.json").read_text(encoding="utf-8")) == written(COUNTER)


def test_what_the_recipe_configures_lacks_cameras_alone() -> None:
    default = written(COUNTER)["ComponentConfiguration"]["DefaultConfiguration"]
    del default["accessControl"]
    default["cameras"] = [{"name": "dock", "source": "0"}]
    parse_config(default, "the recipe's")


@pytest.mark.parametrize(
    ("publish", "subscribe"),
    [("PublishToTopic", "SubscribeToTopic"), ("PublishToIoTCore", "SubscribeToIoTCore")],
)
def test_every_topic_is_allowed_one_way_and_for_this_thing_alone(
    publish: str, subscribe: str
) -> None:
    own, others = Topics("edgetally", "dock-1"), Topics("edgetally", "dock-2")
    said = {topic for topic in all_topics(own, "door") if allowed(publish, topic)}
    heard = {topic for topic in all_topics(own, "door") if allowed(subscribe, topic)}
    assert said | heard == all_topics(own, "door")
    echoes = {own.events("door"), own.stock_events} if "IoT" in publish else set()
    assert said & heard == {own.loopback} | echoes
    for topic in all_topics(others, "door"):
        assert not allowed(publish, topic)
        assert not allowed(subscribe, topic)


@pytest.mark.parametrize("names", [("edgetally", "yard"), ("site",), ("site", "yard")])
def test_policies_of_other_topics_let_leave_what_waits_under_the_usual_ones(
    names: tuple[str, ...],
) -> None:
    policies, usual = access_control(*names), Topics("edgetally", "dock-1")
    own, another = Topics(names[0], (*names, "dock-1")[1]), Topics("edgetally", "dock-2")

    def may(operation: str, topic: str) -> bool:
        return allowed(operation, topic, policies)

    left = {own.health, own.events("door"), *all_topics(usual, "door")}
    for operation in ("PublishToTopic", "PublishToIoTCore"):
        assert all(may(operation, topic) for topic in left)
        assert not may(operation, another.health)
    for topics in (own, usual):  # events are told as delivered once they come back
        assert may("SubscribeToIoTCore", topics.events("+"))
    assert not may("SubscribeToIoTCore", usual.model_set)
    taken = room_left(access_control("edgetally")) - room_left(policies)
    assert taken <= 40  # of the room that nucleus lite has


def test_the_page_shows_the_policies_of_the_recipe() -> None:
    page = (ROOT / "docs/greengrass.md").read_text(encoding="utf-8")
    shown = json.loads(page.split("```json\n")[1].split("```")[0])
    policies = access_control("edgetally")
    for service, by_name in shown.items():
        for name, policy in by_name.items():
            found = policies[service][name]
            assert policy["operations"] == found["operations"]
            assert set(policy["resources"]) == set(found["resources"])


@pytest.mark.parametrize("name", [COUNTER, MODEL])
def test_no_step_asks_for_privilege(name: str) -> None:
    for manifest in written(name)["Manifests"]:
        for step in manifest["Lifecycle"].values():
            assert not step.get("RequiresPrivilege")


@pytest.mark.parametrize("name", [COUNTER, MODEL])
def test_each_has_a_run_step_for_which_nucleus_lite_waits(name: str) -> None:
    for manifest in written(name)["Manifests"]:
        assert set(manifest["Lifecycle"]) == {"install", "run"}


def test_the_service_gets_the_nucleuss_signals_itself() -> None:
    for manifest in written(COUNTER)["Manifests"]:
        assert manifest["Lifecycle"]["run"]["Script"].startswith("exec ")


@pytest.mark.parametrize("name", [COUNTER, MODEL])
def test_both_architectures_are_served(name: str) -> None:
    served = {each["Platform"]["architecture"] for each in written(name)["Manifests"]}
    assert served == {"amd64", "aarch64"}


def test_an_artifact_of_one_architecture_leaves_the_others_manifest_out() -> None:
    recipe = with_artifacts(written(COUNTER), {"aarch64": f"{COUNTER}-aarch64.zip"})
    (manifest,) = recipe["Manifests"]
    assert manifest["Artifacts"][0]["Uri"].endswith(f"/{COUNTER}-aarch64.zip")
    assert f"/{COUNTER}-aarch64.zip " in manifest["Lifecycle"]["install"]["Script"]
    jsonschema.validate(recipe, SCHEMA)


def test_nucleus_lite_has_room_for_what_the_recipe_configures_and_more() -> None:
    default = written(COUNTER)["ComponentConfiguration"]["DefaultConfiguration"]
    assert room_left(default) > 200


def test_many_cameras_become_text_that_nucleus_lite_has_room_for() -> None:
    door = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
    cameras = [{"name": "dock", "source": "0", "lines": [door]}]
    few = {"cameras": cameras}
    assert fitting(few) == few
    full = written(COUNTER)["ComponentConfiguration"]["DefaultConfiguration"]
    some = fitting({**full, "cameras": cameras * 3})
    assert json.loads(some["cameras"]) == cameras * 3
    many = fitting({"cameras": cameras * 25})
    assert many["cameras"] == "4 parts"
    for each in (some, many):
        assert room_left(each) >= 0
        assert all(bytes_of(value) <= LARGEST for _, value in leaves(each))
    content = {"model": {"path": "x"}, "cameras": cameras * 25}
    assert put_together(many | {"model": {"path": "x"}}, "x") == content
    with pytest.raises(InputError, match=r"would have [0-9,]+, [0-9,]+ of them in cameras; name"):
        fitting({"cameras": cameras * 200})


def test_as_many_cameras_fit_nucleus_lite_as_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = " ".join((ROOT / "docs/deploy.md").read_text(encoding="utf-8").split())
    found = re.search(
        r"(\d+) cameras with a line each fit, (\d+) with a zone of four corners each, or (\d+)",
        guide,
    )
    assert found is not None
    door = {"name": "door", "from": [0, 0.36], "to": [1, 0.36], "inDirection": [0, 1]}
    room = {"name": "room", "polygon": [[0, 0], [1, 0], [1, 0.36], [0, 0.36]]}
    shapes = ({"lines": [door]}, {"zones": [room]}, {"lines": [door], "zones": [room]})
    build, config = tmp_path / "build", tmp_path / "docks.yaml"
    zips = {name: f"{COUNTER}-{name}.zip" for name in ("amd64", "aarch64")}
    recipe = with_artifacts(written(COUNTER), zips)
    artifacts = build / "artifacts" / COUNTER / recipe["ComponentVersion"]
    for folder in (artifacts, build / "recipes"):
        folder.mkdir(parents=True)
    for name in zips.values():
        (artifacts / name).touch()
    (build / "recipes" / "counter.json").write_text(recipe_text(recipe))
    monkeypatch.setenv("PATH", str(tmp_path))  # no nucleus here
    command = ["component", "local", "--dry-run", "--build", str(build), "--config", str(config)]

    def fits(count: int, shape: dict[str, Any]) -> bool:
        cameras = [
            {"name": f"dock-{each}", "source": f"rtsp://10.0.0.{each}/stream"} | shape
            for each in range(1, count + 1)
        ]
        config.write_text(json.dumps({"cameras": cameras}))
        refusal = CliRunner().invoke(app, command).exception
        assert refusal is None or "on nucleus lite" in str(refusal)
        return refusal is None

    for number, shape in zip(found.groups(), shapes, strict=True):
        assert fits(int(number), shape)
        assert not fits(int(number) + 1, shape)


def test_what_nucleus_lite_does_not_take_is_named_with_its_largest_part() -> None:
    long = {"publish": access_control("site/" + "hall" * 80)}
    path = (
        r"publish\.aws\.greengrass\.ipc\.pubsub\.io\.edgetally\.Counter:pubsub:publish\.resources"
    )
    with pytest.raises(InputError, match=f"^{path} has [0-9,]+ bytes as JSON"):
        fitting(long)
    block = {"operations": ["aws.greengrass#PublishToTopic"], "resources": ["a"] * 20}
    policies = {f"more-{number}": block for number in range(10)}
    with pytest.raises(InputError, match=r" of them in accessControl; let a policy name several"):
        fitting({"cameras": [], "accessControl": {"aws.greengrass.ipc.pubsub": policies}})


def test_a_recipe_too_large_for_a_nucleus_is_refused() -> None:
    with pytest.raises(InputError, match="larger than 16384 bytes"):
        recipe_text({"ComponentName": "io.large", "ComponentDescription": "x" * 17_000})
