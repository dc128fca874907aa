"""`Standing`: whether the service as a whole does what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.service.camera_loop import CameraLoop

NO_CAMERAS = "no cameras configured"


@dataclass(frozen=True)
class Standing:
    """starting: no frame was counted yet; running: one was; failed: none can be any more.

    reason: why it is not running; None where it is only a matter of time.
    """

    state: Literal["starting", "running", "failed"]
    reason: str | None = None

    @property
    def waits_for(self) -> str | None:
        """What somebody has to do before there is anything to count."""
        return self.reason if self.state == "starting" else None


def standing_of(loops: Sequence[CameraLoop], before: Standing | None) -> Standing:
    """Judge by the cameras; before: the latest judgement."""
    if not loops:
        return Standing("starting", NO_CAMERAS)
    broken = [loop for loop in loops if loop.error is not None]
    hanging = [loop for loop in loops if loop.error is None and loop.is_overdue]
    if len(broken) + len(hanging) == len(loops):
        reason = str(failure(broken[0])) if broken else str(hanging[0].health().problem)
        return Standing("failed", reason)
    was_running = before is not None and before.state == "running"
    if was_running or any(loop.processed for loop in loops):
        return Standing("running")
    return Standing("starting")


def failure(loop: CameraLoop) -> EdgetallyError:
    """Say which camera failed, and why."""
    if isinstance(loop.error, EdgetallyError):
        return loop.error
    error = EdgetallyError(f"camera {loop.camera.name} failed: {loop.error}")
    error.__cause__ = loop.error
    return error
