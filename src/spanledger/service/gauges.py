"""Gauges of the running service: who reads what, at each export of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from spanledger.core.gauges import Reading, reading
from spanledger.core.semconv import Gauge
from spanledger.ledger.ledger import Ledger

Reader = Callable[[int], Iterable[Reading]]
"""Takes readings at a time (Unix nanoseconds), on the ledger's thread."""


def readers(ledger: Ledger) -> tuple[Reader, ...]:
    """Every reader; a new gauge is a line in `core.semconv.GAUGES` and a reader here."""
    return (lambda _: _outbox(ledger),)


def readings(several: Sequence[Reader], now_unix_nano: int) -> list[Reading]:
    """Ask all readers."""
    return [one for reader in several for one in reader(now_unix_nano)]


def _outbox(ledger: Ledger) -> Iterable[Reading]:
    yield reading(Gauge.OUTBOX_PAYLOADS, ledger.outbox.size(), state="pending")
    yield reading(Gauge.OUTBOX_PAYLOADS, ledger.outbox.set_aside_size(), state="refused")
