"""Gauges of the running service: who reads what, at each export of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from spanledger.core.gauges import Gauge, Reading, reading
from spanledger.core.semconv import Metric
from spanledger.core.settling import Prices
from spanledger.ledger.ledger import Ledger
from spanledger.service.price_gauges import book_readings, price_readings

Reader = Callable[[int], Iterable[Reading]]
"""Takes readings at a time (Unix nanoseconds), on the ledger's thread."""


def readers(
    ledger: Ledger, destinations: Sequence[str], prices: Callable[[], Prices], refused_loads: Callable[[], int]
) -> tuple[Reader, ...]:
    """Every reader; a new gauge is a line in `core.gauges.GAUGES` and a reader here."""
    return (
        lambda now_unix_nano: _outbox(ledger, destinations, now_unix_nano),
        lambda _: _unconfirmed(ledger, destinations),
        lambda _: book_readings(prices().book, refused_loads()),
        lambda now_unix_nano: price_readings(prices().book, ledger.series.states(), now_unix_nano),
    )


def readings(several: Sequence[Reader], now_unix_nano: int) -> list[Reading]:
    """Ask all readers."""
    return [one for reader in several for one in reader(now_unix_nano)]


def _outbox(ledger: Ledger, destinations: Sequence[str], now_unix_nano: int) -> Iterable[Reading]:
    for destination in destinations:
        state = ledger.outbox.state(destination)
        yield reading(Gauge.OUTBOX_PAYLOADS, state.pending, destination=destination, state="pending")
        yield reading(Gauge.OUTBOX_PAYLOADS, state.refused, destination=destination, state="refused")
        yield reading(Gauge.OUTBOX_BYTES, state.pending_bytes, destination=destination)
        oldest = now_unix_nano if state.oldest_unix_nano is None else state.oldest_unix_nano
        yield reading(Gauge.OUTBOX_AGE, max(0, now_unix_nano - oldest), destination=destination)


def _unconfirmed(ledger: Ledger, destinations: Sequence[str]) -> Iterable[Reading]:
    for destination in destinations:
        amount = ledger.deltas.unconfirmed(destination, Metric.COST)
        yield reading(Gauge.UNCONFIRMED_COST, amount, destination=destination)
