"""Build the components: recipes and artifacts, laid out as a nucleus's command line takes them.

    FOLDER/recipes/NAME-VERSION.json
    FOLDER/artifacts/NAME/VERSION/NAME.zip

An artifact is a zip that Python runs: `python3 NAME.zip WORK_FOLDER` is the install step. So it
needs no unpacking, which nucleus lite leaves out of a local deployment.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.component.archive import write_zip
from edgetally.component.names import COUNTER, MODEL
from edgetally.component.open_to_all import make_folder, open_file, writing
from edgetally.component.recipe import counter_recipe, read_recipe, recipe_text, with_artifacts
from edgetally.component.target import ARCHITECTURES, GLIBC, SERVED_PYTHONS
from edgetally.component.version import checked_version
from edgetally.component.wheel import build_wheel
from edgetally.component.wheelhouse import download_wheels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgetally.component.checkout import Checkout
    from edgetally.component.target import Target

# What the locked packages take once installed, where they are not at hand to be measured.
_INSTALLED = 700_000_000
_SPARE = 100_000_000  # an environment's own pip, compiled Python, and the nucleus's own files


@dataclass(frozen=True)
class Built:
    """What a build wrote."""

    recipe: Path
    artifacts: tuple[Path, ...]


def build_counter(
    checkout: Checkout, folder: Path, targets: Sequence[Target] = (), version: str | None = None
) -> Built:
    """Build the counter. targets: whose wheels go along; none: devices fetch them themselves.

    Raises InputError where the version is none or the folder takes nothing, EdgetallyError where
    pip fails.
    """
    version = checked_version(version or checkout.version)
    with (
        _aside(folder, COUNTER, version) as place,
        tempfile.TemporaryDirectory(prefix="edgetally-build-") as name,
    ):
        wheel = build_wheel(checkout, Path(name))
        platforms = list(dict.fromkeys(target.platform for target in targets))
        if platforms:
            zips = {}
            for platform in platforms:
                own = [target for target in targets if target.platform == platform]
                zips[ARCHITECTURES[platform]] = f"{COUNTER}-{ARCHITECTURES[platform]}.zip"
                path = place / zips[ARCHITECTURES[platform]]
                _write_counter(path, checkout, wheel, version, own)
        else:
            zips = dict.fromkeys(ARCHITECTURES.values(), f"{COUNTER}.zip")
            _write_counter(place / f"{COUNTER}.zip", checkout, wheel, version, ())
        recipe = counter_recipe(read_recipe(checkout.root / "recipes", COUNTER), version)
        return _finished(folder, place, with_artifacts(recipe, zips))


def build_model(
    checkout: Checkout, folder: Path, bundle_folder: Path, version: str | None = None
) -> Built:
    """Build the component of one model; its version is the bundle's, where none is given.

    Raises InputError where the bundle is not whole, the version is none or the folder takes
    nothing.
    """
    bundle = ModelBundle.load(bundle_folder)
    version = checked_version(version or bundle.version)
    names = [MANIFEST_NAME, *(file.path for file in bundle.files.values())]
    files: dict[str, bytes | Path] = {f"bundle/{name}": bundle_folder / name for name in names}
    files["__main__.py"] = checkout.root / "greengrass-component" / "unpack_model.py"
    for each in ("install_step.py", "place_model.sh"):
        files[each] = checkout.root / "greengrass-component" / each
    recipe = read_recipe(checkout.root / "recipes", MODEL) | {
        "ComponentVersion": version,
        "ComponentDescription": f"Model {bundle.name} {bundle.version} for {COUNTER}.",
    }
    with _aside(folder, MODEL, version) as place:
        write_zip(place / f"{MODEL}.zip", files, checkout.time)
        return _finished(folder, place, recipe)


def _write_counter(
    path: Path, checkout: Checkout, wheel: Path, version: str, targets: Sequence[Target]
) -> None:
    source = checkout.root / "greengrass-component"
    lock = checkout.root / "constraints" / "component.txt"
    files: dict[str, bytes | Path] = {
        "__main__.py": source / "launch.py",
        **{name: source / name for name in ("install.py", "install_step.py", "stamp.py")},
        "requirements.txt": lock,
        wheel.name: wheel,
    }
    with tempfile.TemporaryDirectory(prefix="edgetally-wheels-") as name:
        wheels = {
            target.python: download_wheels(lock, target, Path(name) / target.python)
            for target in targets
        }
        for each in chain.from_iterable(wheels.values()):
            files[f"wheels/{each.name}"] = each
        about: dict[str, Any] = {
            "version": version,
            "wheel": wheel.name,
            "pythons": list(wheels) or list(SERVED_PYTHONS),
            "served": list(SERVED_PYTHONS),
            "platforms": list(dict.fromkeys(target.platform for target in targets)),
            "glibc": GLIBC,
            # What a device takes of it is what its own Python needs.
            "wheels": {python: [each.name for each in own] for python, own in wheels.items()},
            "bytes": {python: _needed([wheel, *own]) for python, own in wheels.items()}
            or dict.fromkeys(SERVED_PYTHONS, _INSTALLED + _SPARE),
        }
        files["component.json"] = (json.dumps(about, indent=2) + "\n").encode()
        write_zip(path, files, checkout.time)


def _needed(wheels: Sequence[Path]) -> int:
    """Return the bytes that a device needs free: for the wheels, and what comes out of them."""
    packed = sum(path.stat().st_size for path in wheels)
    unpacked = 0
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            unpacked += sum(entry.file_size for entry in archive.infolist())
    return packed + unpacked + _SPARE


@contextlib.contextmanager
def _aside(folder: Path, component: str, version: str) -> Iterator[Path]:
    """Make a folder for artifacts: an earlier build stays as it is until they are whole."""
    place = folder / "artifacts" / component / f".{version}"
    shutil.rmtree(place, ignore_errors=True)
    make_folder(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _finished(folder: Path, place: Path, recipe: Mapping[str, Any]) -> Built:
    """Put a build in the place of the same component's earlier one; the recipe comes last."""
    text = recipe_text(recipe)
    recipes = make_folder(folder / "recipes")
    name, version = str(recipe["ComponentName"]), str(recipe["ComponentVersion"])
    with writing(folder):
        for earlier in recipes.glob(f"{name}-*.json"):
            earlier.unlink()
        for earlier in place.parent.iterdir():
            if earlier != place:
                shutil.rmtree(earlier)
        artifacts = place.rename(place.with_name(version))
        aside = recipes / f".{name}"
        aside.write_text(text, encoding="utf-8")
        path = open_file(aside).rename(recipes / f"{name}-{version}.json")
    return Built(path, tuple(sorted(artifacts.iterdir())))
