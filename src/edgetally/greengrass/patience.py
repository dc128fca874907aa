"""`Patience`: how long the link waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long the link waits for what, in seconds.

    answer: of a call, before it has failed and the connection is made anew.
    first_retry, longest_retry: between two attempts to connect; each waits a part of it by chance.
    denied: until a subscription that was denied, or a shadow that was not taken, is tried again.
    check_local, check_cloud: between two messages to oneself, to hear whether one still hears.
    echo: for such a message to come back; it gets two tries.
    deaf: between two renewals of subscriptions that stay deaf, at most.
    renewal: until a subscription is made anew in any case.
    configuration: between two looks whether the configuration changed without a word.
    quiet: after a word of a change, until the configuration is read: one word comes for each leaf.
    refused: of a nucleus that answers and takes neither token nor name, before that is hopeless.
    life: that a component lives at least. A nucleus lite that sees three starts in an hour gives
    a component up.
    """

    answer: float = 10.0
    first_retry: float = 0.1
    longest_retry: float = 15.0
    denied: float = 120.0
    check_local: float = 20.0
    check_cloud: float = 60.0
    echo: float = 5.0
    deaf: float = 600.0
    renewal: float = 600.0
    configuration: float = 15.0
    quiet: float = 0.5
    refused: float = 60.0
    life: float = 35 * 60.0
