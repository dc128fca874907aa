"""Hearing oneself: when to speak, when one is deaf, and when one says so again."""

from __future__ import annotations

from edgetally.greengrass.loopback import Loopback


def ears() -> Loopback:
    return Loopback("k", every=10, within=2, longest=40, now=0)


def deafened(ears: Loopback, now: float) -> float:
    """Let two messages stay out; returns when that is found."""
    for _ in range(2):
        assert ears.due(now) is not None
        assert not ears.finds_deaf(now + 1.9)
        now += 2
        found = ears.finds_deaf(now)
    assert found
    return now


def test_one_that_comes_back_is_followed_after_a_while() -> None:
    loopback = ears()
    assert loopback.due(0) == b"k 1"
    assert loopback.due(0.5) is None
    assert loopback.heard(b"k 1", 1)
    assert loopback.due(10.9) is None
    assert loopback.due(11) == b"k 2"
    assert loopback.is_well


def test_others_messages_and_old_ones_prove_nothing() -> None:
    loopback = ears()
    loopback.due(0)
    assert not loopback.heard(b"other 1", 1)
    assert loopback.heard(b"k 1", 1)
    assert not loopback.heard(b"k 1", 1)
    loopback.due(11)
    assert not loopback.heard(b"k 1", 12)


def test_one_lost_message_is_no_deafness() -> None:
    loopback = ears()
    loopback.due(0)
    assert not loopback.finds_deaf(2)
    assert loopback.due(2) == b"k 2"
    assert loopback.heard(b"k 2", 3)
    assert loopback.is_well


def test_two_are_and_the_new_subscription_is_tried_at_once() -> None:
    loopback = ears()
    now = deafened(loopback, 0)
    assert not loopback.is_well
    assert loopback.due(now) is not None


def test_lasting_deafness_is_told_ever_more_seldom() -> None:
    loopback, now, waits = ears(), 0.0, []
    for _ in range(5):
        began = now
        while True:
            if loopback.due(now) is not None:
                waits.append(now - began)
                break
            now += 1
        loopback.finds_deaf(now + 2)
        now += 2
        loopback.due(now)
        now += 2
        assert loopback.finds_deaf(now)
    assert waits == [0, 0, 10, 20, 40]


def test_a_message_that_could_not_be_sent_proves_nothing() -> None:
    loopback = ears()
    loopback.due(0)
    loopback.not_sent(0.1)
    assert not loopback.finds_deaf(5)
    assert loopback.due(10) is None
    assert loopback.due(10.1) == b"k 2"
    assert not loopback.is_well
    assert loopback.heard(b"k 2", 10.2)
    assert loopback.is_well


def test_in_a_hurry_it_speaks_soon_but_not_all_the_time() -> None:
    loopback = ears()
    loopback.due(0)
    loopback.heard(b"k 1", 0.1)
    loopback.hurry()
    assert loopback.due(1.9) is None
    assert loopback.due(2) == b"k 2"
