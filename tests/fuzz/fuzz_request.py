"""Fuzz what anyone may send: python tests/fuzz/fuzz_request.py -atheris_runs=100000."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import atheris
import cv2
import numpy as np
from fuzzing import fuzz

with atheris.instrument_imports(
    include=["edgetally.requests", "edgetally.capture.picture_size"], enable_loader_override=False
):
    from edgetally.requests import (
        RefusedRequestError,
        decode_picture,
        parse_inference,
        parse_recount,
    )

_PICTURE = np.zeros((6, 8, 3), np.uint8)
_JPEG, _PNG = (cv2.imencode(kind, _PICTURE)[1].tobytes() for kind in (".jpg", ".png"))
_RECOUNT = {"requestId": "r-1", "class": "blue box", "count": 40, "author": "mia", "note": "x"}
_SEEDS = (
    json.dumps({"requestId": "r-1", "camera": "dock", "scoreThreshold": 0.25}).encode(),
    json.dumps({"filepath": "images/cat.jpg"}).encode(),
    json.dumps({"imageBase64": base64.b64encode(_PNG).decode()}).encode(),
    json.dumps(_RECOUNT).encode(),
    _JPEG,
    _PNG,
)


def try_one(data: bytes) -> None:
    """Read as each kind of request, and as a picture; a refusal always carries an id."""
    for parse in (parse_inference, parse_recount):
        try:
            request_id = parse(data, lambda: "made up").request_id
        except RefusedRequestError as refusal:
            request_id = refusal.request_id
        if not 0 < len(request_id) <= 128:
            raise AssertionError("an answer would have no id")
    with suppress(RefusedRequestError):
        image = decode_picture(data)
        if image.size > 3 * 25_000_000:
            raise AssertionError("more was decoded than is allowed")


if __name__ == "__main__":
    fuzz(try_one, _SEEDS)
