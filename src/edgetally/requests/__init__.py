"""Requests: what messages ask for, read and bounded before anything is done for them."""

from edgetally.requests.parsing import (
    LARGEST_BODY,
    InferenceRequest,
    ModelWish,
    RecountRequest,
    RefusedRequestError,
    parse_inference,
    parse_model_wish,
    parse_recount,
)
from edgetally.requests.pictures import decode_picture, read_picture

__all__ = [
    "LARGEST_BODY",
    "InferenceRequest",
    "ModelWish",
    "RecountRequest",
    "RefusedRequestError",
    "decode_picture",
    "parse_inference",
    "parse_model_wish",
    "parse_recount",
    "read_picture",
]
