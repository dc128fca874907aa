"""`model_wanted`: the model that a changed configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError
from edgetally.service.loading import load_unless
from edgetally.service.model_in_use import load_model, named, weak_thresholds
from edgetally.service.model_places import bundle_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from edgetally.config.model import ModelConfig
    from edgetally.service.model_in_use import LoadedModel, ModelInUse

_LOADED_FOR = ("path", "engine", "precision", "tuning")  # else only thresholds differ


def model_wanted(
    config: ModelConfig,
    before: ModelConfig,
    models: ModelInUse,
    is_stopping: Callable[[], bool],
    undo: ExitStack,
    *,
    anew: bool,
) -> LoadedModel | None:
    """Return the model to switch to; None where the one in use is as configured.

    undo: gets what is to be done where it is not switched to after all. Raises as `Detector`.
    """
    if config == before and not anew:
        return None
    current = models.current
    if not anew and all(getattr(config, key) == getattr(before, key) for key in _LOADED_FOR):
        current.detector.report_from(*weak_thresholds(config))
        undo.callback(lambda: current.detector.report_from(*weak_thresholds(before)))
        return named(current.detector, config, current.names)
    # A link may lead to another model by now, which is tried before it is taken.
    path = config.path if config.path != before.path else current.detector.bundle.folder
    loaded = load_unless(is_stopping, lambda: load_model(config, bundle_at(path), current.names))
    if loaded is None:
        raise EdgetallyError("the service is stopping")
    undo.callback(loaded.detector.close)
    return loaded
