"""The root CA, where components look for it: GG_ROOT_CA_PATH."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edgetally.errors import InputError
from edgetally.nucleus.device.artifacts import make_folder

if TYPE_CHECKING:
    from pathlib import Path

_READABLE = 0o444


def place_authority(given: Path | None, root: Path) -> str:
    """Copy a root CA below a nucleus's folder, where every user may read it; return where.

    Nothing where none is given: the variable is empty on a nucleus that has none, too. InputError
    where it can't be copied.
    """
    if given is None:
        return ""
    place = root / "credentials" / "ca.pem"
    aside = place.with_name(".ca.pem")
    try:
        make_folder(place.parent, root)
        shutil.copyfile(given, aside)
        aside.chmod(_READABLE)
        aside.replace(place)
    except OSError as error:
        raise InputError(f"{given}: can't be copied to {place}: {error.strerror}") from None
    return str(place)
