"""From the body of a message, which anyone may have sent, to a request."""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import filterfalse
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from edgetally.errors import InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_BODY = 1 << 20
"""Bytes of the largest request that is read: what is parsed of it takes several times as much."""
_LONGEST_ID = 128
_ID = re.compile(rb'"requestId"\s*:\s*("(?:[^"\\]|\\.)*")')
_PLACE = re.compile(r"(?P<fault>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
_FAULTS = {
    "EOF": "it ends too soon",
    "trailing characters": "more follows after its end",
    "trailing comma": "there is a comma too many",
    "key must be a string": "a key must stand in double quotes",
    "expected `,`": "a comma or an end is missing",
    "expected `:`": "a colon is missing",
    "control character": "a text holds a control character that is not escaped",
    "invalid escape": "a text holds an escape that is none",
    "unexpected end of hex escape": "a text holds half a character",
    "lone leading surrogate": "a text holds half a character",
    "invalid unicode": "it is no UTF-8",
    "recursion limit": "it is nested too deep",
    "invalid number": "a number is written wrongly",
}
"""What the parser's words for a fault begin with, and what they mean to who wrote the request."""


class RefusedRequestError(InputError):
    """A request that is not answered. code: one word for programs; the text says why.

    request_id: what the answer carries.
    """

    def __init__(self, code: str, text: str, request_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.request_id = request_id


class _Body(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, alias_generator=to_camel, allow_inf_nan=False
    )


class _InferenceBody(_Body):
    # The second is what AWS's sample of inference on Greengrass took.
    file_path: str | None = Field(None, validation_alias=AliasChoices("filePath", "filepath"))
    camera: str | None = None
    image_base64: str | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class _RecountBody(_Body):
    site: str | None = None
    class_name: str = Field(alias="class")
    count: int
    author: str
    note: str = ""


class _ModelBody(_Body):
    model: Annotated[str, Field(min_length=1, max_length=200)]


_RECOUNT_KEYS = "requestId", *(str(field.alias) for field in _RecountBody.model_fields.values())
_B = TypeVar("_B", bound=_Body)


@dataclass(frozen=True)
class InferenceRequest:
    """A look at a picture: exactly one of file_path, camera and image (JPEG or PNG) is given."""

    request_id: str
    file_path: str | None
    camera: str | None
    image: bytes | None
    score_threshold: float | None


@dataclass(frozen=True)
class RecountRequest:
    """A correction of the stock; site: None: the only one. Not checked against what there is."""

    request_id: str
    site: str | None
    class_name: str
    count: int
    author: str
    note: str


@dataclass(frozen=True)
class ModelWish:
    """A model that is to be used: current, previous, or its name and version. Not checked."""

    request_id: str
    model: str


def parse_inference(body: bytes, new_id: Callable[[], str]) -> InferenceRequest:
    """Read a request for a look; new_id makes up an id where it has none.

    RefusedRequestError says what is wrong.
    """
    content, request_id = _read(body, new_id)
    request_id = request_id or new_id()
    if "filePath" in content and "filepath" in content:
        raise RefusedRequestError(
            "malformed", "filePath and filepath are the same; give one of them", request_id
        )
    asked = _checked(_InferenceBody, content, request_id)
    given = [asked.file_path, asked.camera, asked.image_base64]
    if sum(one is not None for one in given) != 1:
        raise RefusedRequestError(
            "malformed", "give one of filePath, camera and imageBase64", request_id
        )
    image = None
    if asked.image_base64 is not None:
        try:
            image = base64.b64decode(asked.image_base64, validate=True)
        except (binascii.Error, ValueError):  # ValueError: a character beyond ASCII
            raise RefusedRequestError(
                "malformed", "imageBase64 is no base64; give a JPEG or PNG in it", request_id
            ) from None
    return InferenceRequest(request_id, asked.file_path, asked.camera, image, asked.score_threshold)


def parse_recount(body: bytes, new_id: Callable[[], str]) -> RecountRequest:
    """Read a request for a correction. RefusedRequestError says what is wrong.

    It must have an id, by which one that comes twice is known.
    """
    content, request_id = _read(body, new_id)
    if request_id is None:
        raise RefusedRequestError(
            "malformed", "requestId is missing; give each correction its own", new_id()
        )
    for key in filterfalse(_RECOUNT_KEYS.__contains__, content):
        (near,) = difflib.get_close_matches(shortened(key, 40), _RECOUNT_KEYS, n=1, cutoff=0.0)
        raise RefusedRequestError(
            "malformed", f"unknown key {shortened(key, 40)!r}; did you mean {near!r}?", request_id
        )
    asked = _checked(_RecountBody, content, request_id)
    return RecountRequest(
        request_id, asked.site, asked.class_name, asked.count, asked.author, asked.note
    )


def parse_model_wish(body: bytes, new_id: Callable[[], str]) -> ModelWish:
    """Read a request for another model. RefusedRequestError says what is wrong."""
    content, request_id = _read(body, new_id)
    request_id = request_id or new_id()
    return ModelWish(request_id, _checked(_ModelBody, content, request_id).model)


def _read(body: bytes, new_id: Callable[[], str]) -> tuple[dict[str, Any], str | None]:
    """Return the object in a body, and its id where it has one."""
    if len(body) > LARGEST_BODY:
        raise RefusedRequestError(
            "tooBig",
            f"the request has more than {LARGEST_BODY} bytes",
            _id_in_beginning(body) or new_id(),
        )
    try:
        content = from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise RefusedRequestError(
            "malformed",
            f"the request is no JSON: {_fault(body, error)}",
            _id_in_text(body) or new_id(),
        ) from None
    if not isinstance(content, dict):
        raise RefusedRequestError("malformed", "the request is no JSON object", new_id())
    given = content.get("requestId")
    if given is not None and not _may_be_id(given):
        raise RefusedRequestError(
            "malformed",
            f"requestId must be text of 1 to {_LONGEST_ID} characters that can be shown",
            new_id(),
        )
    twin = _first_twin(body)
    if twin is not None:
        raise RefusedRequestError(
            "malformed", f"key {shortened(twin, 40)!r} stands twice", given or new_id()
        )
    return content, given


def _id_in_beginning(body: bytes) -> str | None:
    """Return the id of a request that is cut short, where it stands before the cut."""
    with suppress(ValueError):
        content = from_json(
            body[:LARGEST_BODY], allow_inf_nan=False, cache_strings="none", allow_partial=True
        )
        given = content.get("requestId") if isinstance(content, dict) else None
        return given if _may_be_id(given) else None
    return None


def _id_in_text(body: bytes) -> str | None:
    """Return the id in what is no JSON, where it says one and no other."""
    given = set(_ID.findall(body))
    with suppress(ValueError):
        found = json.loads(given.pop()) if len(given) == 1 else None
        return found if _may_be_id(found) else None
    return None


def _fault(body: bytes, error: ValueError) -> str:
    """Say what is wrong with what is no JSON, and where."""
    if not body.strip():
        return "it is empty"
    told = _PLACE.fullmatch(str(error))
    if told is None:
        return shortened(error)
    known = (ours for theirs, ours in _FAULTS.items() if told["fault"].startswith(theirs))
    fault = next(known, "what stands there is no value")
    return f"{fault} (line {told['line']}, column {told['column']})"


def _may_be_id(given: object) -> TypeGuard[str]:
    return isinstance(given, str) and 0 < len(given) <= _LONGEST_ID and given.isprintable()


def _first_twin(body: bytes) -> str | None:
    """Return a key that stands twice in one object: the first one's value would be lost."""
    twins: list[str] = []

    def keys_of(pairs: list[tuple[str, object]]) -> None:
        names = [key for key, _ in pairs]
        if len(set(names)) < len(names):
            twins.append(Counter(names).most_common(1)[0][0])

    # Numbers as they stand: Python converts no whole one of more than 4300 digits.
    json.loads(body, object_pairs_hook=keys_of, parse_int=str)
    return twins[0] if twins else None


def _checked(kind: type[_B], content: dict[str, Any], request_id: str) -> _B:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(shortened(key, 40) for key in first["loc"])
        raise RefusedRequestError(
            "malformed", f"{where}: {first['msg'].lower()}", request_id
        ) from None
