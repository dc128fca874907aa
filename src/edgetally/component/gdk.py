"""A build laid out as the Greengrass Development Kit's command line takes it to publish."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.component.building import Built, build_counter
from edgetally.component.names import COUNTER
from edgetally.component.open_to_all import make_folder, open_file, writing
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.component.checkout import Checkout
    from edgetally.component.target import Target

_BUILD = "greengrass-build"


def build_for_gdk(checkout: Checkout, project: Path, targets: Sequence[Target] = ()) -> Built:
    """Build the counter as the custom build of a project with a gdk-config.json.

    The kit then looks for the recipe under the name of the project's own, and for the artifacts
    under the version that its configuration has, be it NEXT_PATCH. Raises InputError where the
    project is none of the counter.
    """
    config = project / "gdk-config.json"
    try:
        asked = json.loads(config.read_text(encoding="utf-8"))["component"][COUNTER]["version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{config}: {error!r}; run it where the counter's is") from None
    version = checkout.version if asked == "NEXT_PATCH" else str(asked)
    with tempfile.TemporaryDirectory(prefix="edgetally-gdk-") as name:
        built = build_counter(checkout, Path(name), targets, version)
        recipe = project / _BUILD / "recipes" / (project / "recipe.json").resolve().name
        artifacts = project / _BUILD / "artifacts" / COUNTER / str(asked)
        copies = {recipe: built.recipe} | {artifacts / each.name: each for each in built.artifacts}
        for copy, original in copies.items():
            make_folder(copy.parent)
            with writing(copy):
                shutil.copyfile(original, copy)
                open_file(copy)
    return Built(recipe, tuple(path for path in copies if path != recipe))
