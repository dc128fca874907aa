"""`Recount`: somebody counted; and how that is written down and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import InputError
from edgetally.messaging.messages import StockEventMessage, event_id, utc
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgetally.counting.ledger import Correction, Entry
    from edgetally.messaging.messages import ModelReference
    from edgetally.messaging.topics import Topics

_MOST = 10_000_000  # a barcode that was scanned in its place is more
_LONGEST_AUTHOR = 128
_LONGEST_NOTE = 1000


@dataclass(frozen=True)
class Recount:
    """So much of a class is at a site, says its author.

    request_id: of the message that asked for it; a message that comes again changes nothing.
    """

    site: str
    class_name: str
    count: int
    author: str
    note: str = ""
    request_id: str | None = None

    def check(self, sites: Collection[str], classes: Collection[str]) -> None:
        """Refuse what can't be true. InputError.

        sites, classes: those that there are.
        """
        if self.site not in sites:
            raise InputError(f"there is no site {_quoted(self.site)}; there are {listed(sites)}")
        if self.class_name not in classes:
            raise InputError(
                f"the model has no class {_quoted(self.class_name)}; it has {listed(classes)}"
            )
        if not 0 <= self.count <= _MOST:
            raise InputError(f"count {self.count} is no stock; give 0 to {_MOST}")
        _check_text("author", self.author, _LONGEST_AUTHOR)
        if not self.author.strip():
            raise InputError("the author is missing; say who counted")
        _check_text("note", self.note, _LONGEST_NOTE)


def site_meant(given: str | None, sites: Sequence[str]) -> str:
    """Return the site that was given, or the only one. InputError where there are several."""
    if given is not None:
        return given
    if len(sites) > 1:
        raise InputError(f"there are several sites; name one of {listed(sites)}")
    return sites[0]


def correct(
    entry: Entry, recount: Recount, time: float, topics: Topics, model: ModelReference
) -> Correction:
    """Write a recount that was checked into the ledger, and put the message that tells of it out.

    time: seconds since the Unix epoch. One whose message came before changes nothing; InputError
    where that one said something else.
    """
    if recount.request_id is not None:
        before = entry.correction_of(recount.request_id)
        if before is not None:
            if (before.site, before.class_name, before.count) == (
                recount.site,
                recount.class_name,
                recount.count,
            ):
                return before
            raise InputError(
                f"requestId {_quoted(recount.request_id)} was that of another correction; give "
                "each its own"
            )
    correction = entry.correct(
        recount.site,
        recount.class_name,
        recount.count,
        recount.author,
        recount.note,
        time,
        recount.request_id,
    )
    sequence = entry.next_sequence(topics.stock_events)
    message = StockEventMessage(
        time=utc(time),
        thing=topics.thing,
        sequence=sequence,
        model=model,
        id=event_id(correction.site, correction.class_name, sequence),
        site=correction.site,
        class_=correction.class_name,
        count=correction.count,
        before=correction.before,
        author=correction.author,
        note=correction.note,
        request_id=correction.request_id,
    )
    entry.enqueue(topics.stock_events, message.to_json(), "stock")
    return correction


def _check_text(what: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise InputError(f"the {what} has {len(text)} characters; {longest} at most")
    if not text.isprintable():
        raise InputError(f"the {what} holds characters that can't be shown; leave them out")


def _quoted(text: str) -> str:
    return repr(shortened(text, 80))
