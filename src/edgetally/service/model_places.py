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


def note_in_use(path: Path, in_use: Path, previous: Path | None) -> None:
    """Tell who places models which ones must stay, where models lie as that one places them.

    previous: the one before; None: not known, then the one that was told to be in use last.
    """
    work = path.parent
    with suppress(OSError, RuntimeError):
        if not path.is_symlink():
            return
        told = _led_to(work, _IN_USE)
        if previous is None and told is not None and told != in_use.resolve():
            previous = told
        # In this order, so that at no instant what was in use has no link.
        if previous is not None and (previous / MANIFEST_NAME).exists():
            _lead(work, _PREVIOUS, previous)
        _lead(work, _IN_USE, in_use)


def _lead(work: Path, name: str, folder: Path) -> None:
    # It may lie elsewhere, or belong to someone else.
    with suppress(OSError, ValueError, IndexError):
        target = folder.resolve().relative_to(work.resolve())
        if target.parts[0] != _MODELS or _led_to(work, name) == folder.resolve():
            return
        new = work / f".link-{name}"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(work / name)


def _led_to(work: Path, name: str) -> Path | None:
    with suppress(OSError):
        return (work / (work / name).readlink()).resolve()
    return None


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
