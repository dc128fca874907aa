"""`first_model`: the model that a service begins with."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgetally.bundle import ModelBundle
from edgetally.counting.camera_counter import check_classes
from edgetally.errors import EdgetallyError
from edgetally.service.model_in_use import load_model
from edgetally.service.model_places import bundle_at, is_still_there
from edgetally.service.model_record import DIED, ModelRecord

if TYPE_CHECKING:
    from edgetally.config import Config
    from edgetally.service.model_in_use import LoadedModel

_log = logging.getLogger(__name__)


def first_model(config: Config) -> LoadedModel:
    """Load the model that was in use last, where a link leads to models; else what is configured.

    Where the link leads to another one, `ModelExchange` tries that beside it. One that the process
    did not survive is left out. Raises as `Detector` does where none can be loaded.
    """
    path = config.model.path
    record = ModelRecord.read(config.storage.path, path)
    last, is_unfit = record.in_use, False
    if last is not None and last.sha256 == record.on_trial:
        last = record.previous
    if last is not None and path.is_symlink() and is_still_there(last):
        try:
            return _loaded(config, ModelBundle.load(last.folder))
        except EdgetallyError as error:
            _log.warning("model %s %s is not used any more: %s", last.name, last.version, error)
            is_unfit = True
    bundle = bundle_at(path)
    if is_unfit and bundle.sha256 == record.on_trial:
        # It may have been the power that went; but not twice.
        if record.was_spared:
            raise EdgetallyError(f"model {bundle.name} {bundle.version} is left out: {DIED}")
        record.model_copy(update={"was_spared": True}).write(config.storage.path)
    return load_model(config.model, bundle)


def _loaded(config: Config, bundle: ModelBundle) -> LoadedModel:
    check_classes(config.cameras, bundle.classes)
    return load_model(config.model, bundle)
