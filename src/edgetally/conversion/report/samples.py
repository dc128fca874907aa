"""Sample detections for a page: a frame, and over copies of it what each form of a model found."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.conversion.report.markup import Markup, element, joined
from edgetally.detector.agreement import CONFIDENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgetally.detections import Detections

MOST_SAMPLES = 6
_MOST_BOXES = 40
_LONGEST_NAME = 24
_MOST_BYTES = 200_000
# (longest side in pixels, JPEG quality): the first that fits is taken.
_ENCODINGS = ((800, 82), (640, 75), (480, 60), (320, 45))
_UNITS = 1000  # a drawing's width in its own units
# Apart in hue and lightness, light enough to stand on dark ground; each class takes its own.
_COLOURS = ("#4cc9ff", "#ffb000", "#ff6bb3", "#7be04b", "#ff7a4d", "#c49bff", "#2fe0c0", "#ffe94d")


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame, uint8 BGR [H, W, 3], and the detections in it by form ("MXNet", "fp32", …)."""

    frame: NDArray[np.uint8]
    detections: Mapping[str, Detections]


def drawn(number: int, sample: Sample, classes: Sequence[str]) -> Markup:
    """Draw the forms of a sample side by side, as SVG over one JPEG that the page holds once."""
    height, width = sample.frame.shape[:2]
    tall = round(_UNITS * height / width, 1)
    picture = f"frame-{number}"
    figures: list[Markup] = []
    for form, found in sample.detections.items():
        placed = np.isfinite(found.boxes).all(axis=1)
        confident = found.select(placed & (found.scores >= CONFIDENT))
        shown = confident.select(np.argsort(-confident.scores, kind="stable")[:_MOST_BOXES])
        ground = (
            element("use", href=f"#{picture}")
            if figures
            else element(
                "image", id=picture, href=_data_uri(sample.frame), width=_UNITS, height=tall
            )
        )
        figures.append(
            element(
                "figure",
                element(
                    "svg",
                    ground,
                    *_boxes(shown, classes, tall),
                    viewBox=f"0 0 {_UNITS} {tall}",
                    role="img",
                    aria_label=f"Sample {number}, {form}: {_told(shown, classes)}",
                ),
                element(
                    "figcaption",
                    element("strong", form),
                    f": {len(confident)} with a score of {CONFIDENT:g} or more",
                    f", the best {len(shown)} drawn" if len(shown) < len(confident) else "",
                ),
            )
        )
    return element("div", joined(*figures), class_="sample")


def _boxes(found: Detections, classes: Sequence[str], tall: float) -> list[Markup]:
    parts = []
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
    for (xmin, ymin, xmax, ymax), score, class_id in reversed(list(rows)):  # the best on top
        colour = _COLOURS[class_id % len(_COLOURS)]
        x, y = xmin * _UNITS, ymin * tall
        width, height = max(xmax - xmin, 0) * _UNITS, max(ymax - ymin, 0) * tall
        parts.append(
            element(
                "rect",
                x=f"{x:.1f}",
                y=f"{y:.1f}",
                width=f"{width:.1f}",
                height=f"{height:.1f}",
                stroke=colour,
                vector_effect="non-scaling-stroke",
            )
        )
        # Above the box, or inside where there is no room above; never beyond the right edge.
        baseline = y - 9 if y > 45 else max(y, 0) + 38
        right = x > _UNITS * 0.7
        parts.append(
            element(
                "text",
                f"{_short(classes[class_id])} {score:.2f}",
                x=f"{x + width if right else max(x, 4):.1f}",
                y=f"{baseline:.1f}",
                fill=colour,
                paint_order="stroke",
                **({"text_anchor": "end"} if right else {}),
            )
        )
    return parts


def _told(found: Detections, classes: Sequence[str]) -> str:
    if not len(found):
        return "nothing"
    pairs = zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)
    return ", ".join(f"{_short(classes[class_id])} {score:.2f}" for class_id, score in pairs)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _data_uri(frame: NDArray[np.uint8]) -> str:
    content = b""
    for side, quality in _ENCODINGS:
        factor = min(1.0, side / max(frame.shape[:2]))
        size = [max(1, round(length * factor)) for length in frame.shape[1::-1]]
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        content = encoded.tobytes()
        if len(content) <= _MOST_BYTES:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
