"""`ModelRecord`: which models a device had, which it uses, which it refused; kept on the disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgetally.bundle import ModelBundle
    from edgetally.config import Config

DIED = (
    "edgetally ended without a goodbye while it was tried, or new; ask for it by a message to "
    "model/set"
)
"""Why a model is refused that the process did not survive."""

_NAME = "model.json"
_LARGEST = 1 << 20
_MOST_TRUSTED = 8
_log = logging.getLogger(__name__)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class PlacedModel(_Value):
    """A bundle and where it lies, all links resolved."""

    folder: Path
    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, bundle: ModelBundle) -> Self:
        """Tell of a bundle that was loaded."""
        return cls(
            folder=bundle.folder.resolve(),
            name=bundle.name,
            version=bundle.version,
            sha256=bundle.sha256,
        )


class Refusal(_Value):
    """A model that was not taken; configured: what it was tried with, as `digest_of` tells it."""

    sha256: str
    reason: str
    configured: str


def digest_of(*configs: Config) -> str:
    """Return what changes where anything about models, or what a class counts for, does."""
    digest = hashlib.sha256()
    for config in configs:
        digest.update(config.model.model_dump_json().encode())
        digest.update(json.dumps(_classes_named(config)).encode())
    return digest.hexdigest()


def _classes_named(config: Config) -> list[str]:
    named: set[str] = set()
    for camera in config.cameras:
        named.update(*(line.classes for line in camera.lines))
        named.update(*(zone.classes for zone in camera.zones))
    return sorted(named)


class ModelRecord(_Value):
    """What a service must know of models when it starts again.

    path: the configuration's. chosen_against: where somebody chose the model in use by message,
    the hash of the one that path led to then. on_trial: the hash of a model that is being tried, or
    was taken a moment ago: whoever finds it here knows that the process did not survive it.
    was_spared: it was begun with once more all the same, for no other one fits the configuration.
    trusted: hashes of models that were in use, the latest first: they need no trial.
    """

    format: Literal["edgetally.model_record/1"] = "edgetally.model_record/1"
    path: str
    in_use: PlacedModel | None = None
    previous: PlacedModel | None = None
    chosen_against: str | None = None
    refused: Refusal | None = None
    on_trial: str | None = None
    was_spared: bool = False
    trusted: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path, path: Path) -> Self:
        """Read what is known of the models at `path`; nothing where another was configured."""
        try:
            content = read_ordinary(folder / _NAME, _LARGEST)
            record = cls.model_validate_json(content, by_alias=True, by_name=False)
        except FileNotFoundError:
            return cls(path=str(path))
        except (OSError, ValidationError) as error:
            reason = getattr(error, "strerror", None) or "it is no record of models"
            _log.warning("%s is left out: %s", folder / _NAME, reason)
            return cls(path=str(path))
        return record if record.path == str(path) else cls(path=str(path), trusted=record.trusted)

    def write(self, folder: Path) -> None:
        """Replace what was written before; a kill at any instant leaves the one or the other."""
        new = folder / f"{_NAME}.new"
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(self.model_dump_json(by_alias=True, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(folder / _NAME)
        except OSError as error:
            _log.warning(
                "%s can't be written (%s): after a restart, it is not known which model was in use",
                folder / _NAME,
                error.strerror,
            )
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def using(self, model: PlacedModel) -> Self:
        """Tell that a model is in use now."""
        if self.in_use == model:
            return self
        trusted = dict.fromkeys((model.sha256, *self.trusted))
        previous = self.in_use
        if previous is not None and previous.sha256 == model.sha256:
            previous = self.previous
        return self.model_copy(
            update={
                "in_use": model,
                "previous": previous,
                "trusted": tuple(trusted)[:_MOST_TRUSTED],
            }
        )
