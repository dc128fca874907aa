"""Messages too big for their transport go in parts, and come together again."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.detections import Detections
from edgetally.messaging.messages import (
    CameraHealth,
    CameraInventory,
    FrameReference,
    HealthMessage,
    InventoryMessage,
    Message,
    ModelReference,
    SiteStock,
    Totals,
    utc,
)
from edgetally.messaging.parts import parts_of
from edgetally.messaging.schemas import json_schemas
from edgetally.messaging.seen import detections_message, inference_result_message
from edgetally.messaging.transports import RefusedError

NUCLEUS = 7_000
MODEL = ModelReference(name="boxes", version="1.2.0", sha256="ab" * 32)
COMMON: dict[str, Any] = {
    "time": utc(1_700_000_000.123),
    "thing": "dock-1",
    "sequence": 41,
    "model": MODEL,
}
CLASSES = ("blue box", "gelber Körper", "箱" * 9)
VALIDATORS = {
    schema["properties"]["schema"]["const"]: jsonschema.Draft202012Validator(schema)
    for schema in json_schemas().values()
}

names = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=6)
counts = st.integers(0, 10**7)


def seen_message(rows: int, *, asked: bool) -> Message:
    rng = np.random.default_rng(rows)
    found = Detections(
        np.sort(rng.random((rows, 2, 2)), axis=1).reshape(rows, 4).astype(np.float32),
        rng.random(rows).astype(np.float32),
        rng.integers(0, len(CLASSES), rows),
    )
    given: dict[str, Any] = {
        "classes": CLASSES,
        "frame": FrameReference(index=7, width=640, height=480),
        "time": 1_700_000_000.0,
        "thing": "dock-1",
        "camera": "door",
        "sequence": 41,
        "model": MODEL,
    }
    if asked:
        return inference_result_message(found, request_id="r-1", **given)
    return detections_message(found, **given)


@st.composite
def inventories(draw: st.DrawFn) -> Message:
    totals = st.builds(lambda n, m: Totals(in_=n, out=m), counts, counts)
    per_class = st.dictionaries(st.text(min_size=1, max_size=20), totals)
    numbers = st.dictionaries(st.text(min_size=1, max_size=20), counts)
    stock = st.builds(
        lambda n, m, k: SiteStock(baseline=n, in_=m, out=k, stock=n + m - k, seen=None, drift=None),
        counts,
        counts,
        counts,
    )
    cameras = {
        name: CameraInventory(
            lines={line: draw(per_class) for line in draw(names)},
            zones={zone: draw(numbers) for zone in draw(names)},
            in_view=draw(numbers),
        )
        for name in draw(names)
    }
    sites = {name: draw(st.dictionaries(st.text(max_size=9), stock)) for name in draw(names)}
    return InventoryMessage(
        **COMMON,
        cameras=cameras,
        sites=draw(st.sampled_from([None, sites])),
        stock=draw(numbers),
    )


def health_of(cameras: list[str]) -> Message:
    one = CameraHealth(
        state="lost",
        captured=0,
        processed=0,
        skipped_still=0,
        dropped={"newer": 3},
        reconnects=3,
        frame_age=None,
        fps_wanted=None,
        fps_processed=0,
        shortfall=0,
        latency=None,
    )
    return HealthMessage(
        **COMMON,
        state="running",
        cameras=dict.fromkeys(cameras, one),
        engine="openvino",
        precision="fp32",
        uptime=12.5,
    )


def united(first: Any, second: Any) -> Any:
    """What the documentation tells a receiver to do."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = first.keys() & second.keys()
        return {**first, **second, **{key: united(first[key], second[key]) for key in both}}
    return first + second if isinstance(first, list) else first


def put_together(parts: list[str]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for number, text in enumerate(parts, 1):
        part = json.loads(text)
        assert part.pop("part") == {"number": number, "of": len(parts)}
        whole = united(whole, part) if whole else part
    return whole


def check(message: Message, max_bytes: int) -> list[str]:
    """Every part fits and is valid, and together they are the message."""
    body = message.to_json()
    parts = parts_of(body, max_bytes)
    if len(body.encode()) <= max_bytes:
        assert parts == [body]
        return parts
    for part in parts:
        assert len(part.encode()) <= max_bytes
        assert part.startswith('{"schema":')
        VALIDATORS[json.loads(part)["schema"]].validate(json.loads(part))
    assert put_together(parts) == json.loads(body)
    return parts


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(0, 400), max_bytes=st.integers(900, 20_000), asked=st.booleans())
def test_objects_in_parts_fit_are_valid_and_give_the_whole_message(
    rows: int, max_bytes: int, asked: bool
) -> None:
    check(seen_message(rows, asked=asked), max_bytes)


@settings(max_examples=60, deadline=None)
@given(message=inventories(), max_bytes=st.integers(1100, 6_000))
def test_totals_in_parts_fit_are_valid_and_give_the_whole_message(
    message: Message, max_bytes: int
) -> None:
    check(message, max_bytes)


@settings(max_examples=30, deadline=None)
@given(
    cameras=st.lists(st.text(min_size=1, max_size=64), unique=True, max_size=40),
    max_bytes=st.integers(1500, 9_000),
)
def test_health_in_parts_fits_is_valid_and_gives_the_whole_message(
    cameras: list[str], max_bytes: int
) -> None:
    check(health_of(cameras), max_bytes)


def test_a_camera_of_many_lines_and_classes_passes_a_nucleus() -> None:
    lines = {
        f"line {n}": {f"class {m}": Totals(in_=n, out=m) for m in range(30)} for n in range(20)
    }
    camera = CameraInventory(lines=lines, zones={}, in_view={})
    message = InventoryMessage(**COMMON, cameras={"dock": camera}, stock={"class 1": 3})
    assert len(check(message, NUCLEUS)) > 2


def test_parts_are_as_few_as_need_be_and_soon_made() -> None:
    message = seen_message(3000, asked=False)
    began = time.perf_counter()
    parts = check(message, NUCLEUS)
    assert time.perf_counter() - began < 5
    assert len(parts) < 1.15 * len(message.to_json().encode()) / (NUCLEUS - 400)


def test_what_cannot_be_divided_is_refused_by_its_name() -> None:
    message = InventoryMessage(**COMMON, cameras={}, stock={"a": 1, "long " * 200: 2})
    with pytest.raises(RefusedError, match=r"inventory/1 has \d+ bytes.*stock\.long .* too big"):
        parts_of(message.to_json(), 900)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"schema":"edgetally.count_event/1","line":"' + "x" * 999, "is no JSON"),
        ('{"schema":"edgetally.count_event/1","line":"' + "x" * 999 + '"}', "has 1045 bytes"),
        ('["' + "x" * 999 + '"]', "is no JSON object"),
    ],
)
def test_a_message_that_has_no_parts_is_refused(body: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        parts_of(body, 500)
