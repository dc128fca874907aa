"""How a source is named where people read it: without anything that may be a secret.

Of a URL that is all but the scheme, the host and the port: passwords stand in paths, parameters and
fragments as well. What is no URL may be meant for one, and is treated as such.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from edgetally.capture.launch_line import secrets_of

_ELEMENT = r"[A-Za-z][\w-]*"
_ARROW = r"(?:^|\s)!(?=[A-Za-z(\s]|$)"
# An arrow with a space on a side, an element before one, or an element's property.
_PIPELINE = re.compile(
    rf"{_ARROW}|^\s*{_ELEMENT}(?:\s*!\s*(?=[A-Za-z(]|$)|\s+[A-Za-z][\w:-]*\s*=)", re.DOTALL
)
_URL = re.compile(r"([A-Za-z][\w+.-]*)://(.*)", re.DOTALL)
_URL_START = re.compile(r"\s*[A-Za-z][\w+.-]*:/")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)?(?::\d{1,5})?")
_SCHEME = r"(?:https?|rtmps?|rtps?|rtsps?|srt|tcp|udp)"
# "http:h", but neither "C:\clips" nor "test:640x480"; "http//h".
_BAD_SCHEME = re.compile(rf"\s*(?!test:[\dx]*$)([A-Za-z][A-Za-z+.-]+:|(?i:{_SCHEME})\W{{0,2}}//)")
_BARE_HOST = re.compile(r"\s*(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|[\w.-]+:\d{1,5}(?:[/?#]|$))")
_BARE_USER = re.compile(r"[^/]*:[^/]*@")


def is_pipeline(source: str) -> bool:
    """Tell whether a source is a GStreamer pipeline, not a URL or a path."""
    return bool(_PIPELINE.search(source)) and not _URL_START.match(source)


def is_nearly_url(source: str) -> bool:
    """Tell whether what has no :// was meant to be a URL."""
    return any(start.match(source) for start in (_BAD_SCHEME, _BARE_HOST, _BARE_USER))


def redact(source: str) -> str:
    """Return a source as it may be shown, in one line: without anything that may be a secret.

    Of a URL the scheme, the host and the port stay; of a pipeline only the first element is named:
    any property may hold a password, and a password may look like an element.
    """
    if is_pipeline(source):
        first = re.match(rf"\s*({_ELEMENT})(?=[\s!]|$)", source)
        return f"pipeline {first[1]} ! ***" if first else "pipeline ! ***"
    url = _URL.search(source)
    if url is None:
        return "***" if "://" in source else _printable(_path(source))
    scheme, rest = url.groups()
    before = "…" if source[: url.start()].strip() else ""
    shown = _path(rest) if scheme.lower() == "file" else _authority(rest.rstrip())
    return _printable(f"{before}{scheme}://{shown}")


def redact_message(message: str, source: str) -> str:
    """Return what others say of a source without URLs and without anything that it holds.

    Of a pipeline the elements' and the properties' names stay.
    """
    hidden = {
        form
        for secret in (secrets_of(source) if is_pipeline(source) else {source})
        for form in (secret, *_parts(secret), *_parts(unquote(secret)))
        if form.strip()
    }
    masked = re.sub(r"[A-Za-z][\w+.-]*:/+\S*", "***", _masked(message, hidden))
    return _printable(re.sub(r"\S*@\S*", "***", masked))


def _authority(rest: str) -> str:
    """Show what follows :// up to the port."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    _, at, host = authority.rpartition("@")
    # Where a password has a bare / or ?, an @ comes after it, and the host is not where it seems.
    if "@" in tail or not _HOST.fullmatch(host):
        return "***/…"
    return ("***@" if at else "") + host + (tail if tail in {"", "/"} else "/…")


def _path(text: str) -> str:
    """Show a path; of what may be a URL without its scheme no more than of a URL."""
    found = _BAD_SCHEME.match(text)
    if found and ("@" not in text or re.match(rf"(?i:{_SCHEME})\b", found[1])):  # not a user's name
        return f"{found[1]}…"
    if _BARE_HOST.match(text):
        return _authority(text.strip())
    before, at, after = text.rpartition("@")
    if not at:
        return re.sub(r"(\w=).*", r"\1***", text, flags=re.DOTALL)
    if re.search(r"[@?#&=;]", before):
        return "***"
    host = _HOST.match(after)
    shown = host[0] if host else ""
    return f"***@{shown}" + ("/…" if len(after) > len(shown) else "")


def _printable(text: str) -> str:
    # An end of line would begin a line of its own in the log.
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _parts(value: str) -> list[str]:
    """Return a value as it is once GStreamer has read it, and what a URL has between its signs."""
    bare = re.sub(r"\\(.)", r"\1", value[1:-1] if re.match(r"([\"']).*\1$", value) else value)
    return [bare, *(re.split(r"[/:@?&=;#]+", bare.partition("://")[2]) if "://" in bare else ())]


def _masked(message: str, hidden: set[str]) -> str:
    # Whole words, or a value of 0 would mask the end of "filesrc0".
    either = "|".join(re.escape(form) for form in sorted(hidden, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{either})(?!\w)", "***", message) if hidden else message
