"""What `edgetally tune` found best, kept in a file: which engine "auto" is on this device.

The file holds a choice for each bundle and kind of device, so that several can share it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from edgetally.engines.device import Device, this_device
from edgetally.engines.settings import EngineSettings
from edgetally.errors import EdgetallyError, InputError
from edgetally.ordinary_file import read_ordinary

_MOST_BYTES = 1 << 20
_MOST_CHOICES = 100  # the oldest go
_REMEDY = "run edgetally tune again"
_log = logging.getLogger(__name__)

Count = Annotated[int, Field(ge=1, le=1024)]


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )


class TunedChoice(_Value):
    """The best way to run one bundle (by its hash) on one device.

    threads and streams as in `EngineSettings`. frames_per_second and milliseconds (one frame
    alone) are what was measured, of the engine by itself.
    """

    bundle: str
    device: Device
    engine: Literal["openvino", "onnxruntime", "mxnet"]
    precision: Literal["fp32", "bf16", "int8"]
    threads: Count | None
    streams: Count | None
    frames_per_second: float
    milliseconds: float

    @property
    def settings(self) -> EngineSettings:
        """Threads and streams, as an engine takes them."""
        return EngineSettings(self.threads, self.streams)


class _File(_Value):
    format: Literal["edgetally.tuning/1"] = "edgetally.tuning/1"
    choices: tuple[TunedChoice, ...] = ()


def tuning_path() -> Path | None:
    """Where the file is unless someone names another; None where this user has no home.

    $EDGETALLY_TUNING, else `edgetally/tuning.json` in the state folder of the XDG Base Directory
    Specification 0.8 ($XDG_STATE_HOME, which counts only if absolute; else ~/.local/state).
    """
    if named := os.environ.get("EDGETALLY_TUNING"):
        return Path(named)
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        try:
            state = Path.home() / ".local" / "state"
        except RuntimeError:
            return None
    return state / "edgetally" / "tuning.json"


def tuned_choice(bundle: str, path: Path | None = None) -> TunedChoice | None:
    """Find the choice for a bundle, by its hash, on this device; None where there is none.

    path: the file; absent: `tuning_path`. A file that is broken, and a choice that was made with
    another processor, count of cores or version of a runtime, is told in one warning.
    """
    place = path or tuning_path()
    if place is None:
        return None
    try:
        choices = _read(place)
    except FileNotFoundError:
        if path is not None:
            _log.warning("%s does not exist; %s, or leave model.tuning away", place, _REMEDY)
        return None
    except InputError as error:
        _log.warning("%s", error)
        return None
    ours = [choice for choice in choices if choice.bundle == bundle]
    device = this_device()
    for choice in reversed(ours):
        if choice.device == device:
            return choice
    if ours:
        _log.warning(
            "%s was measured with %s; %s", place, _difference(ours[-1].device, device), _REMEDY
        )
    return None


def write_choice(choice: TunedChoice, path: Path | None = None) -> Path:
    """Put a choice into the file, in place of older ones for its bundle and kind of device.

    path: the file; absent: `tuning_path`. A broken file is replaced. Returns the path.
    EdgetallyError where it can't be written; then the old file stays as it was.
    """
    place = path or tuning_path()
    if place is None:
        raise EdgetallyError("this user has no home folder; set EDGETALLY_TUNING to a file")
    try:
        before = _read(place)
    except (FileNotFoundError, InputError):
        before = ()
    kept = [old for old in before if not _replaced(old, choice)][1 - _MOST_CHOICES :]
    content = _File(choices=(*kept, choice)).model_dump_json(by_alias=True, indent=2) + "\n"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(place, content)
    except OSError as error:
        raise EdgetallyError(
            f"{place} can't be written ({error.strerror or error}); set EDGETALLY_TUNING to a file "
            "that can"
        ) from None
    return place


def _write_whole(place: Path, content: str) -> None:
    """Replace a file at once: a device that loses power has the old or the new one."""
    number, aside = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(aside).chmod(0o644)  # who tunes need not be who counts
        Path(aside).replace(place)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _replaced(old: TunedChoice, new: TunedChoice) -> bool:
    return (old.bundle, old.device.processor, old.device.instructions, old.device.cores) == (
        new.bundle,
        new.device.processor,
        new.device.instructions,
        new.device.cores,
    )


def _read(place: Path) -> tuple[TunedChoice, ...]:
    """Raise FileNotFoundError where there is no file, InputError where it is broken."""
    try:
        content = read_ordinary(place, _MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{place} can't be read ({error.strerror}); {_REMEDY}") from None
    try:
        return _File.model_validate(json.loads(content), by_alias=True, by_name=False).choices
    except (ValidationError, ValueError, RecursionError):
        raise InputError(f"{place} is not a file of edgetally tune, or broken; {_REMEDY}") from None


def _difference(then: Device, now: Device) -> str:
    if (then.processor, then.instructions) != (now.processor, now.instructions):
        return f"another processor ({then.processor})"
    if then.cores != now.cores:
        return f"{then.cores} cores, not {now.cores}"
    names = sorted(then.runtimes.keys() | now.runtimes.keys())
    name = next(name for name in names if then.runtimes.get(name) != now.runtimes.get(name))
    return f"{name} {then.runtimes.get(name, 'absent')}, not {now.runtimes.get(name, 'absent')}"
