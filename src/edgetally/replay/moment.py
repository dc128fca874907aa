"""`Moment`: what one recorded frame showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgetally.detections import Detections


class Moment(NamedTuple):
    """time: seconds. is_certain: people drew the boxes, so that no score decides about them."""

    time: float
    detections: Detections
    is_certain: bool
