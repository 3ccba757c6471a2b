"""Outbox: order, sizes, sealing, setting aside, and every destination by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger

HERE, THERE = "here", "there"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.db", max_series=10)
    yield opened
    opened.close()


def add(ledger: Ledger, *bodies: bytes, to: Sequence[str] = (HERE,), at: int = 0, signal: Signal = Signal.LOGS) -> None:
    with ledger.transaction():
        for body in bodies:
            ledger.outbox.add(signal, body, to, received_unix_nano=at, ready_unix_nano=at, sealed=True)


def departing(ledger: Ledger, destination: str, max_bytes: int = 100) -> list[bytes]:
    return [payload.body for payload in ledger.outbox.departures(destination, Signal.LOGS, max_bytes)]


def test_payloads_leave_in_order_in_batches_of_a_size(ledger: Ledger) -> None:
    outbox = ledger.outbox
    add(ledger, b"aaaa", b"bb", b"cc", b"dddddddd")
    add(ledger, b"t", signal=Signal.TRACES)
    first = outbox.departures(HERE, Signal.LOGS, 6)
    assert [payload.body for payload in first] == [b"aaaa", b"bb"]
    with ledger.transaction():
        outbox.remove(HERE, first)
    assert departing(ledger, HERE, 1) == [b"cc"]
    with ledger.transaction():
        outbox.set_aside(HERE, outbox.departures(HERE, Signal.LOGS, 1), "400: no", max_bytes=100)
    assert departing(ledger, HERE, 1) == [b"dddddddd"]
    state = outbox.state(HERE)
    assert (state.pending, state.pending_bytes, state.refused) == (2, 8 + 1, 1)


def test_each_destination_has_its_own_turn_and_the_payload_stays_until_all_have_it(ledger: Ledger) -> None:
    outbox = ledger.outbox
    add(ledger, b"both", to=(HERE, THERE))
    with ledger.transaction():
        outbox.remove(HERE, outbox.departures(HERE, Signal.LOGS, 100))
    assert departing(ledger, HERE) == []
    assert departing(ledger, THERE) == [b"both"]
    assert outbox.destinations() == [THERE]
    with ledger.transaction():
        outbox.set_aside(THERE, outbox.departures(THERE, Signal.LOGS, 100), "no", max_bytes=100)
    assert outbox.oldest_unix_nano() == 0  # kept for a person to look at
    assert (outbox.state(HERE).pending_bytes, outbox.state(THERE).pending_bytes) == (0, 0)


def test_the_last_delivery_forgets_the_payload(ledger: Ledger) -> None:
    outbox = ledger.outbox
    add(ledger, b"both", to=(HERE, THERE))
    for destination in (HERE, THERE):
        with ledger.transaction():
            outbox.remove(destination, outbox.departures(destination, Signal.LOGS, 100))
    assert outbox.oldest_unix_nano() is None


def test_what_is_too_old_is_dropped_for_every_destination_and_counted(ledger: Ledger) -> None:
    outbox = ledger.outbox
    add(ledger, b"old", to=(HERE, THERE), at=10)
    add(ledger, b"new", to=(HERE, THERE), at=20)
    with ledger.transaction():
        assert outbox.expire(20, 100) == {HERE: 1, THERE: 1}
    assert departing(ledger, HERE) == departing(ledger, THERE) == [b"new"]
    assert outbox.pending_bytes(HERE) == 3
    assert outbox.oldest_unix_nano() == 20


def test_what_was_refused_is_dropped_with_its_reason_when_it_is_too_old(ledger: Ledger) -> None:
    outbox = ledger.outbox
    add(ledger, b"old", at=10)
    (old,) = outbox.departures(HERE, Signal.LOGS, 100)
    for _ in range(2):  # a commit in doubt is done again
        with ledger.transaction():
            outbox.set_aside(HERE, [old], "400: no", max_bytes=100)
    assert outbox.state(HERE).refused == 1
    with ledger.transaction():
        assert outbox.expire(11, 100) == {}  # nobody waited for it
    assert outbox.state(HERE).refused == 0
    assert outbox.destinations() == []


def test_an_undone_transaction_is_not_counted(ledger: Ledger) -> None:
    add(ledger, b"kept")
    try:
        with ledger.transaction():
            ledger.outbox.add(Signal.LOGS, b"lost", (HERE,), received_unix_nano=0, ready_unix_nano=0, sealed=True)
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert ledger.outbox.pending_bytes(HERE) == 4


def test_a_payload_waits_until_it_is_ripe_and_keeps_its_sealed_bytes(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    with ledger.transaction():
        ledger.outbox.add(Signal.TRACES, b"raw", (HERE,), received_unix_nano=40, ready_unix_nano=50, sealed=False)
    assert ledger.outbox.departures(HERE, Signal.TRACES, 100) == []
    assert ledger.outbox.ripe(49, 10) == []
    assert ledger.outbox.next_ripe_unix_nano() == 50
    (payload,) = ledger.outbox.ripe(50, 10)
    with ledger.transaction():
        ledger.outbox.seal(payload, b"priced")
    assert ledger.outbox.next_ripe_unix_nano() is None
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db", max_series=10)
    assert [p.body for p in again.outbox.departures(HERE, Signal.TRACES, 100)] == [b"priced"]
    assert again.outbox.pending_bytes(HERE) == 3  # as it came
    again.close()


def test_of_refused_payloads_no_more_is_kept_than_there_is_room_for(ledger: Ledger) -> None:
    outbox = ledger.outbox
    for body in (b"1234", b"56789", b"0"):
        add(ledger, body, to=(HERE, THERE))
    with ledger.transaction():
        outbox.set_aside(HERE, outbox.departures(HERE, Signal.LOGS, 100), "no", max_bytes=8)
    assert outbox.refused_bytes(HERE) == 5  # 4 and 1 bytes; 4 + 5 would be more than 8
    assert (outbox.state(HERE).refused, outbox.state(HERE).pending) == (2, 0)
    assert departing(ledger, THERE) == [b"1234", b"56789", b"0"]
    with ledger.transaction():
        outbox.remove(THERE, outbox.departures(THERE, Signal.LOGS, 100))
    assert ledger.database.connection.execute("SELECT body FROM outbox ORDER BY id").fetchall() == [(b"1234",), (b"0",)]
    outbox._forget()
    assert outbox.refused_bytes(HERE) == 5, "as the file says"
