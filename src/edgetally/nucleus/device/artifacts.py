"""A component's artifacts, put where a deployment puts them."""

from __future__ import annotations

import shutil
import stat
import zipfile
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.recipe import Recipe
    from edgetally.nucleus.variables import Folders

_READABLE = 0o444  # as on lite
_RUNNABLE = 0o555


def place_artifacts(recipe: Recipe, given: Path | None, folders: Folders) -> None:
    """Copy a version's files from a folder, and unpack what its recipe says is to be unpacked.

    given: holds `NAME/VERSION/FILE`, as a build leaves them, or the files themselves. What
    another deployment of the same version left goes first. InputError where a file is missing.
    """
    for folder in (folders.artifacts, folders.decompressed):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder, folders.root)
    for path in _others(recipe, given):
        shutil.copyfile(path, folders.artifacts / path.name)
        (folders.artifacts / path.name).chmod(_READABLE)
    for artifact in recipe.artifacts:
        source = _find(recipe, artifact.name, given)
        target = folders.artifacts / artifact.name
        try:
            shutil.copyfile(source, target)
            target.chmod(_RUNNABLE if artifact.is_executable else _READABLE)
            if artifact.is_archive:
                _unpack(
                    target, folders.decompressed / target.stem, is_executable=artifact.is_executable
                )
        except (OSError, zipfile.BadZipFile) as error:
            raise EdgetallyError(f"{source}: can't be placed: {error}") from None


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder below `root` that every user can reach, whatever our umask is."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.parents):
        if path == root:
            break
        path.chmod(_RUNNABLE | stat.S_IWUSR)


def _others(recipe: Recipe, given: Path | None) -> list[Path]:
    """Return what is there and not in the recipe; a local deployment brings it all the same."""
    named = {artifact.name for artifact in recipe.artifacts}
    folder = given / recipe.name / recipe.version if given is not None else None
    if folder is None or not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_file() and path.name not in named]


def _find(recipe: Recipe, name: str, given: Path | None) -> Path:
    if given is None:
        raise InputError(
            f"{recipe.name} {recipe.version} needs the artifact {name}; name its folder"
        )
    of_version = f"{recipe.name}/{recipe.version}/{name}"
    for path in (given / of_version, given / "artifacts" / of_version, given / name):
        if path.is_file():
            return path
    raise InputError(f"{given}: no artifact {of_version}; build the component first")


def _unpack(archive: Path, folder: Path, *, is_executable: bool) -> None:
    """Unpack as a nucleus does, which takes no modes from the archive."""
    make_folder(folder, folder.parent)
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            target = folder / entry.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{archive}: {entry.filename} would be outside of its folder")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise InputError(f"{archive}: {entry.filename} is a link; a nucleus makes none")
            if entry.is_dir():
                make_folder(target, folder)
                continue
            make_folder(target.parent, folder)
            with opened.open(entry) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            target.chmod(_RUNNABLE if is_executable else _READABLE)
