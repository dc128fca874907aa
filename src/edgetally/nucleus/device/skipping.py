"""Whether a step is skipped, as its Skipif says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.nucleus.device.environment import PATH

if TYPE_CHECKING:
    from edgetally.nucleus.device.owner import Owner
    from edgetally.nucleus.lifecycle import Skipping
    from edgetally.nucleus.variables import Variables


def is_skipped(skipping: Skipping | None, variables: Variables, owner: Owner) -> bool:
    """Whether what it names is there. owner: whose home `~` is."""
    if skipping is None:
        return False
    what = variables.fill_known(skipping.what)
    if not skipping.is_file:
        return (shutil.which(what, path=PATH) is not None) != skipping.is_negated
    path = Path(owner.home + what[1:] if what.startswith("~/") else what)
    is_there = os.path.exists(variables.folders.work / path)  # noqa: PTH110 - unseen is not there
    return is_there != skipping.is_negated
