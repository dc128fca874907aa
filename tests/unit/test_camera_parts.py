"""Cameras as nucleus lite has room for them: values of 1,024 bytes, and text in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import parse_config
from edgetally.config.camera_parts import in_parts, put_together
from edgetally.config.from_nucleus import config_of_nucleus
from edgetally.config.lite_value import LARGEST, bytes_of
from edgetally.errors import InputError

MODEL = {"model": {"path": "boxes"}}
CAMERAS = [{"name": f"dock-{number}", "source": f"rtsp://10.0.0.{number}/"} for number in range(99)]
TEXT = json.dumps(CAMERAS)


@pytest.mark.parametrize(
    ("value", "kept"),
    [  # as version 2.6 wrote them into its config.db
        ("ä", '"ä"'),
        ("😀x", '"😀x"'),
        ("/", '"/"'),
        ('"\\', '"\\"\\\\"'),
        ("\n\t\x01\x7f", '"\\u000A\\u0009\\u0001\x7f"'),
        (None, "null"),
        (False, "false"),
        (0.36, "0.35999999999999999"),
        (1e-7, "9.9999999999999995e-08"),
        ([], "[]"),
        ([1, {"a": [True, "b"], "c": 2}], '[1,{"a":[true,"b"],"c":2}]'),
    ],
)
def test_a_value_takes_what_lite_keeps_of_it(value: Any, kept: str) -> None:
    assert bytes_of(value) == len(kept.encode())


@given(st.text(min_size=1, max_size=3000))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_in_parts_that_lite_keeps(text: str) -> None:
    whole = in_parts(text)
    parts = whole["cameraParts"]
    assert "".join(parts[str(number)] for number in range(1, len(parts) + 1)) == text
    assert all(bytes_of(part) <= LARGEST for part in parts.values())
    assert whole["cameras"] == f"{len(parts)} parts"


def test_parts_mean_the_list_whatever_an_earlier_deployment_left_beside_them() -> None:
    parts = in_parts(TEXT)
    parts["cameraParts"]["99"] = "left by an earlier one"
    assert (
        config_of_nucleus(MODEL | parts, "x").cameras
        == parse_config(MODEL | {"cameras": CAMERAS}, "x").cameras
    )
    few = MODEL | parts | {"cameras": CAMERAS[:1]}
    assert [camera.name for camera in config_of_nucleus(few, "x").cameras] == ["dock-0"]
    few["cameras"] = json.dumps(CAMERAS[:2])
    assert len(config_of_nucleus(few, "x").cameras) == 2


@pytest.mark.parametrize("left", [{}, None, {"1": "["}, {"1": "[", "2": 5}])
def test_a_part_that_is_missing_is_named(left: Any) -> None:
    with pytest.raises(InputError, match=r"^configuration x: cameraParts\.[12] is missing, of 2 "):
        put_together({"cameras": "2 parts", "cameraParts": left}, "x")


def test_parts_that_do_not_belong_together_are_told() -> None:
    with pytest.raises(InputError, match="the 2 cameraParts are no JSON when put together"):
        put_together({"cameras": "2 parts", "cameraParts": {"1": "[", "2": "["}}, "x")
