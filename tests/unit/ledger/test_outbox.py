"""Outbox: order, sizes, sealing, setting aside."""

from __future__ import annotations

from pathlib import Path

from spanledger.core.usage import Signal
from spanledger.ledger.ledger import Ledger


def test_payloads_leave_in_order_in_batches_of_a_size(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    outbox = ledger.outbox
    with ledger.transaction():
        for body in (b"aaaa", b"bb", b"cc", b"dddddddd"):
            outbox.add(Signal.LOGS, body, ready_unix_nano=0, sealed=True)
        outbox.add(Signal.TRACES, b"t", ready_unix_nano=0, sealed=True)
    first = outbox.departures(Signal.LOGS, 6)
    assert [payload.body for payload in first] == [b"aaaa", b"bb"]
    with ledger.transaction():
        outbox.remove(first)
    assert [payload.body for payload in outbox.departures(Signal.LOGS, 1)] == [b"cc"]
    with ledger.transaction():
        outbox.set_aside(outbox.departures(Signal.LOGS, 1), "400: no")
    assert [payload.body for payload in outbox.departures(Signal.LOGS, 1)] == [b"dddddddd"]
    assert (outbox.size(), outbox.set_aside_size()) == (2, 1)
    ledger.close()


def test_a_payload_waits_until_it_is_ripe_and_keeps_its_sealed_bytes(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", max_series=10)
    with ledger.transaction():
        ledger.outbox.add(Signal.TRACES, b"raw", ready_unix_nano=50, sealed=False)
    assert ledger.outbox.departures(Signal.TRACES, 100) == []
    assert ledger.outbox.ripe(49, 10) == []
    assert ledger.outbox.next_ripe_unix_nano() == 50
    (payload,) = ledger.outbox.ripe(50, 10)
    with ledger.transaction():
        ledger.outbox.seal(payload, b"priced")
    assert ledger.outbox.next_ripe_unix_nano() is None
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db", max_series=10)
    assert [p.body for p in again.outbox.departures(Signal.TRACES, 100)] == [b"priced"]
    again.close()
