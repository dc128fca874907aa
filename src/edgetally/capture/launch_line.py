"""`LaunchLine`: a pipeline as OpenCV takes it, as arguments of gst-launch-1.0 with our sink."""

from __future__ import annotations

import re
from dataclasses import dataclass

# As GStreamer's own grammar: a quote counts at the start of a word or value, a backslash takes
# the next character's meaning away.
_WORD = re.compile(
    r"""(?: (?<![^=\s])"(?:\\.|[^"\\])*" | (?<![^=\s])'(?:\\.|[^'\\])*' | \\. | \S )+""",
    re.DOTALL | re.VERBOSE,
)
_PROPERTY = re.compile(r"([A-Za-z][\w:-]*)=(.*)", re.DOTALL)
_SINK = "appsink"


@dataclass(frozen=True)
class LaunchLine:
    """The words of a pipeline around the place where its pictures are taken.

    before, after: what comes up to there, and what other branches follow.
    sync: whether pictures wait for their time, as GStreamer writes it.
    caps: what appsink was told to accept; empty for anything.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    sync: str = "true"
    caps: str = ""

    def arguments(self, descriptor: int) -> list[str]:
        """Return the arguments of gst-launch-1.0 that write the pictures to a descriptor."""
        # What waits for its time stands before the queue that leaks: behind it, the queue would
        # leak whatever a file gives ahead of its time. Whoever drops has not yet converted.
        # rtpgstpay tells size and format in the stream and anew whenever they change; one packet
        # holds one picture of any size.
        taken = (
            f"identity sync={self.sync} ! "
            "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! "
            "videoconvert ! video/x-raw,format=BGR ! "
            f"rtpgstpay mtu=4294967295 ! fdsink sync=false fd={descriptor}"
        ).split()
        filtered = ["capsfilter", f"caps={self.caps}", "!"] if self.caps else []
        return ["-q", "--", *self.before, *filtered, *taken, *self.after]


def read_pipeline(pipeline: str) -> LaunchLine:
    """Find where a pipeline's pictures are taken: in its appsink or, without one, at its end.

    ValueError where it ends in another sink or has several.
    """
    words = pipeline_words(pipeline)
    sinks = [
        place for place, word in enumerate(words) if word == _SINK and _is_element(words, place)
    ]
    if len(sinks) > 1:
        raise ValueError("a GStreamer pipeline has one appsink; take the others away")
    if not sinks:
        while words and words[-1] == "!":
            words.pop()
        ends = [place for place in range(len(words)) if _is_element(words, place)]
        if ends and re.fullmatch(r"\w*sink", words[ends[-1]]):
            raise ValueError("a GStreamer pipeline ends in appsink, or without a sink")
        return LaunchLine((*words, "!"), ())
    (sink,) = sinks
    settings: dict[str, str] = {}
    place = sink + 1
    while place < len(words) and (found := _PROPERTY.fullmatch(words[place])):
        settings[found[1]] = found[2]
        place += 1
    return LaunchLine(
        tuple(words[:sink]),
        tuple(words[place:]),
        sync=settings.get("sync", "true"),
        caps=settings.get("caps", ""),
    )


def secrets_of(pipeline: str) -> frozenset[str]:
    """Return the words of a pipeline that are no element's and no property's name."""
    words = pipeline_words(pipeline)
    found: set[str] = set()
    for place, word in enumerate(words):
        if word == "!" or _is_element(words, place):
            continue
        named = _PROPERTY.fullmatch(word)
        found.add(named[2] if named else word)
    return frozenset(found)


def pipeline_words(pipeline: str) -> list[str]:
    """Split a pipeline as gst-launch-1.0 joins its arguments: quotes stay, spaces are bare.

    gst-launch-1.0 puts a backslash before each space in an argument, outside double quotes.
    """
    return [
        word if '"' in word else word.replace("\\ ", " ")
        for found in _WORD.finditer(pipeline)
        for word in _at_arrows(found[0])
    ]


def _at_arrows(word: str) -> list[str]:
    """Split elements and filters at arrows without a space; in a value, ! is a letter."""
    if _PROPERTY.fullmatch(word) or "'" in word or '"' in word:
        return [word]
    return [part for part in re.split(r"(?<!\\)(!)", word) if part]


def _is_element(words: list[str], place: int) -> bool:
    """Tell whether an element or a filter begins there, not a property or a branch."""
    return words[place] != "!" and (place == 0 or words[place - 1] == "!")
