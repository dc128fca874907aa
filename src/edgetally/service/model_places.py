"""Where models lie: what a configured path leads to, and what lies beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.service.model_record import PlacedModel

_MODELS = "models"  # the layout of greengrass-component/place_model.sh
_PREVIOUS = "previous"
_IN_USE = "in-use"

Fingerprint = tuple[object, ...]


def fingerprint(path: Path) -> Fingerprint | None:
    """Tell cheaply what is at a path: it changes where another bundle is; None: nothing is."""
    try:
        folder = path.resolve()
        with os.scandir(folder) as entries:
            stats = sorted((entry.name, entry.stat()) for entry in entries)
    except (OSError, RuntimeError):
        return None
    files = ((name, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in stats)
    return str(folder), *files


def bundle_at(path: Path) -> ModelBundle:
    """Read the bundle that a path leads to now, wherever a link in it leads later."""
    try:
        folder = path.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} leads nowhere ({error}); give model.path a bundle") from None
    return ModelBundle.load(folder)


def is_still_there(model: PlacedModel | None) -> bool:
    """Tell whether a model that was used lies where it did, unchanged as far as its hash tells."""
    with suppress(EdgetallyError, OSError):
        return model is not None and ModelBundle.load(model.folder).sha256 == model.sha256
    return False


def model_meant(
    wish: str, path: Path, in_use: PlacedModel | None, previous: PlacedModel | None
) -> ModelBundle:
    """Find the model that a message names: current, previous, or `<name>-<version>`.

    InputError where there is none. What is in the message is compared, and never a path.
    """
    if wish == "current":
        return bundle_at(path)
    beside = _models_beside(path)
    if wish == "previous":
        if previous is not None and is_still_there(previous):
            return ModelBundle.load(previous.folder)
        with suppress(EdgetallyError):
            bundle = bundle_at(path.parent / _PREVIOUS)
            if path.is_symlink() and (in_use is None or bundle.sha256 != in_use.sha256):
                return bundle
        raise InputError(f"there is no model before the one in use; there are {_listed(beside)}")
    found = {name: folder for folder, names in beside.items() for name in names if name == wish}
    if not found:
        raise InputError(
            f"there is no model {shortened(wish, 80)!r}; there are {_listed(beside)}, and the "
            "words previous and current"
        )
    return ModelBundle.load(found[wish])


def note_in_use(path: Path, folder: Path) -> None:
    """Tell who places models which one must stay, where models lie as that one places them."""
    work = path.parent
    try:
        target = folder.resolve().relative_to(work.resolve())
        if not path.is_symlink() or target.parts[0] != _MODELS or _leads(work, target):
            return
        new = work / f".link-{_IN_USE}"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(work / _IN_USE)
    except (OSError, ValueError, IndexError):  # it lies elsewhere, or belongs to someone else
        return


def _leads(work: Path, target: Path) -> bool:
    with suppress(OSError):
        return (work / _IN_USE).readlink() == target
    return False


def _models_beside(path: Path) -> dict[Path, tuple[str, str]]:
    """Return the folders of models beside the one that a link leads to, by their two names."""
    found: dict[Path, tuple[str, str]] = {}
    if not path.is_symlink():
        return found
    with suppress(OSError, RuntimeError):
        for folder in sorted(path.resolve().parent.iterdir()):
            if (folder / MANIFEST_NAME).exists() and not folder.name.startswith("."):
                with suppress(EdgetallyError, OSError):
                    bundle = ModelBundle.load(folder)
                    found[folder] = (f"{bundle.name}-{bundle.version}", folder.name)
    return found


def _listed(beside: dict[Path, tuple[str, str]]) -> str:
    return listed([name for name, _ in beside.values()]) or "none"
