"""How a source is named where people read it: without user, password and query."""

from __future__ import annotations

import re

PIPELINE_ARROW = " ! "
_URL_START = re.compile(r"[A-Za-z][\w+.-]*:/+")


def is_pipeline(source: str) -> bool:
    """Tell whether a source is a GStreamer pipeline, not a URL or a path."""
    return PIPELINE_ARROW in source and not _URL_START.match(source.strip())


def redact(source: str) -> str:
    """Return a source as it may be shown: without user, password and query.

    Whatever stands before an @ is masked, so a URL with a slash too few keeps its secret, too.
    Of a pipeline only the first element is named: any property may hold a password, and a
    password may look like an element.
    """
    if is_pipeline(source):
        first = re.match(r"\s*([A-Za-z]\w*)", source.partition(PIPELINE_ARROW)[0])
        return f"pipeline {first[1] if first else ''} ! ***".replace("  ", " ")
    # Up to the last @: people do not escape the @, / and ? of their passwords.
    shown = re.sub(r"^([A-Za-z][\w+.-]*:/+)?.*@", r"\1***@", source, flags=re.DOTALL)
    return re.sub(r"(:/.*?)\?.*", r"\1?***", shown, flags=re.DOTALL)
