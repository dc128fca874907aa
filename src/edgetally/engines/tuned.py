"""What `edgetally tune` found best, kept in a file: which engine "auto" is on this device.

The file holds a choice for each bundle and kind of device, so that several can share it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from edgetally.engines.device import Device, this_device
from edgetally.engines.settings import EngineSettings
from edgetally.errors import EdgetallyError
from edgetally.ordinary_file import read_ordinary
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

_FORMAT: Literal["edgetally.tuning/1"] = "edgetally.tuning/1"
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
    """The best way to run one bundle (by its hash; name is for people) on one device.

    threads and streams as in `EngineSettings`. frames_per_second and milliseconds (one frame
    alone) are what was measured, of the engine by itself.
    """

    bundle: str
    name: str = ""
    device: Device
    engine: Literal["openvino", "onnxruntime", "mxnet"]
    precision: Literal["fp32", "bf16", "int8"]
    threads: Count | None
    streams: Count | None
    frames_per_second: float
    milliseconds: float

    @model_validator(mode="after")
    def _fits_its_device(self) -> Self:
        for number in (self.threads, self.streams):
            if number is not None and number > self.device.cores:
                raise ValueError(f"threads and streams must be at most {self.device.cores}")
        return self

    @property
    def settings(self) -> EngineSettings:
        """Threads and streams, as an engine takes them."""
        return EngineSettings(self.threads, self.streams)


class _File(_Value):
    format: Literal["edgetally.tuning/1"] = _FORMAT
    choices: tuple[TunedChoice, ...] = ()


@dataclass(frozen=True)
class _Content:
    """What a file holds: the choices that can be read, and whether others are damaged."""

    choices: tuple[TunedChoice, ...] = ()
    is_damaged: bool = False


class _NotOursError(Exception):
    """A file that is someone else's, or of a later version, and must not be written over."""


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


def tuned_choice(
    bundle: str, path: Path | None = None, *, name: str | None = None
) -> TunedChoice | None:
    """Find the choice for a bundle, by its hash, on this device; None where there is none.

    path: the file; absent: `tuning_path`. name: the bundle's. One warning tells of a file that is
    broken, and of a choice that was made with another processor, count of cores or version of a
    runtime, or for another bundle of that name.
    """
    place = path or tuning_path()
    if place is None:
        return None
    try:
        content = _read(place)
    except FileNotFoundError:
        if path is not None:
            _log.warning("%s does not exist; %s, or leave model.tuning away", place, _REMEDY)
        return None
    except _NotOursError as error:
        _log.warning("%s; name another file with model.tuning or EDGETALLY_TUNING", error)
        return None
    ours = [choice for choice in content.choices if choice.bundle == bundle]
    device = this_device()
    for choice in reversed(ours):
        if choice.device == device:
            return choice
    if ours:
        difference = shortened(_difference(ours[-1].device, device))
        _log.warning("%s was measured with %s; %s", place, difference, _REMEDY)
    elif content.is_damaged:
        _log.warning("%s holds a choice that is damaged; %s", place, _REMEDY)
    elif name and any(choice.name == name for choice in content.choices):
        _log.warning("%s was measured with another bundle %s; %s", place, name, _REMEDY)
    return None


def refuse_unwritable(path: Path | None = None) -> Path:
    """Raise the EdgetallyError that `write_choice` would, before time is spent on a choice.

    Returns the path of the file, which stays as it is; its folder is made.
    """
    place = path or tuning_path()
    if place is None:
        raise EdgetallyError("this user has no home folder; set EDGETALLY_TUNING to a file")
    with _writing(place):
        _replaceable(place)
        with tempfile.TemporaryFile(dir=place.parent):
            return place


def write_choice(choice: TunedChoice, path: Path | None = None) -> Path:
    """Put a choice into the file, in place of older ones for its bundle and kind of device.

    path: the file; absent: `tuning_path`. Of a damaged file, what can be read is kept. Returns the
    path. EdgetallyError where it can't be written, and for a file that is someone else's or of a
    later version; then it stays as it was. Of two that write at once, neither choice is lost.
    """
    place = refuse_unwritable(path)
    with _writing(place), _locked(place.parent):
        before = _replaceable(place)
        kept = [old for old in before if not _replaced(old, choice)][1 - _MOST_CHOICES :]
        content = _File(choices=(*kept, choice)).model_dump_json(by_alias=True, indent=2) + "\n"
        _write_whole(place, content)
    return place


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise EdgetallyError(
            f"{place} can't be written ({error.strerror or error}); set EDGETALLY_TUNING to a file "
            "that can"
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder, because the file itself is replaced.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replaceable(place: Path) -> tuple[TunedChoice, ...]:
    """Return what is kept of a file that is to be replaced. _NotOursError where it must not be."""
    try:
        return _read(place).choices
    except FileNotFoundError:
        return ()
    except _NotOursError as error:
        raise EdgetallyError(
            f"{error}; it is left as it is: set EDGETALLY_TUNING to another file"
        ) from None


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
    """Whether both are of one bundle on one kind of device, whatever the versions."""
    versions = {"runtimes": new.device.runtimes}
    return (old.bundle, old.device.model_copy(update=versions)) == (new.bundle, new.device)


def _read(place: Path) -> _Content:
    """Raise FileNotFoundError where there is no file, _NotOursError where it is no file of ours."""
    try:
        content = read_ordinary(place, _MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _NotOursError(f"{place} can't be read ({error.strerror})") from None
    if not content.strip():
        return _Content()
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        parsed = None
    told = parsed.get("format") if isinstance(parsed, dict) else None
    if not isinstance(told, str) or not told.startswith(_FORMAT.partition("/")[0]):
        raise _NotOursError(f"{place} is not a file of edgetally tune")
    if told != _FORMAT:
        raise _NotOursError(f"{place} is of another version of edgetally ({shortened(told)})")
    rows = parsed.get("choices")
    if not isinstance(rows, list):
        return _Content(is_damaged=True)
    choices = [choice for row in rows if (choice := _choice(row)) is not None]
    return _Content(tuple(choices), is_damaged=len(choices) < len(rows))


def _choice(row: object) -> TunedChoice | None:
    try:
        return TunedChoice.model_validate(row, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _difference(then: Device, now: Device) -> str:
    if then.processor != now.processor:
        return f"another processor ({then.processor})"
    if then.instructions != now.instructions:
        return "the same processor with other instructions (a virtual machine may hide some)"
    if then.held_to != now.held_to:
        return f"ONEDNN_MAX_CPU_ISA {then.held_to}, not {now.held_to}"
    if then.cores != now.cores:
        return f"{then.cores} cores, not {now.cores}"
    names = sorted(then.runtimes.keys() | now.runtimes.keys())
    name = next(name for name in names if then.runtimes.get(name) != now.runtimes.get(name))
    return f"{name} {then.runtimes.get(name, 'absent')}, not {now.runtimes.get(name, 'absent')}"
