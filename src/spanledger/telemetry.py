"""What the component counts of itself: every drop, refusal and repetition has a counter."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from enum import StrEnum

from spanledger.core.reasons import Reason


class Counter(StrEnum):
    """Things that are counted; a bounded set."""

    COMMITS_FAILED = "commits_failed"
    CONNECTIONS_CLOSED = "receiver.connections_closed"
    DROPPED = "dropped"
    DUPLICATES = "duplicates"
    EXPORTS_RETRIED = "exports_retried"
    METRIC_EXPORTS_FAILED = "metric_exports_failed"
    PAYLOADS_EXPIRED = "payloads_expired"
    PAYLOADS_NOT_FORWARDED = "payloads_not_forwarded"
    PAYLOADS_SET_ASIDE = "payloads_set_aside"
    PRICE_LOADS_REFUSED = "price_loads_refused"
    RECORDS_REJECTED_BY_DESTINATION = "records_rejected_by_destination"
    REFUSED = "receiver.refused"
    SERIES_OVERFLOWED = "series_overflowed"


COUNTED_BY_REASON = {
    Counter.REFUSED: "requests refused by a receiver",
    Counter.DROPPED: "records refused alone, out of requests that were taken",
    Counter.CONNECTIONS_CLOSED: "connections that a receiver closed",
}
"""Counters with a `reason` (`core.reasons.Reason`), and what they count."""


class Counters:
    """Counts since the start of the process; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Tally[tuple[Counter, Reason | None]] = Tally()

    def add(self, counter: Counter, amount: int = 1, *, reason: Reason | None = None) -> None:
        """Count something; the counters of `COUNTED_BY_REASON` with a reason, the others without."""
        if amount:
            with self._lock:
                self._counts[counter, reason] += amount

    def snapshot(self) -> dict[Counter, int]:
        """All counts over all reasons, those of zero too."""
        counts = dict.fromkeys(Counter, 0)
        for (counter, _), amount in self._copy().items():
            counts[counter] += amount
        return counts

    def by_reason(self, counter: Counter) -> dict[Reason, int]:
        """Counts of a counter by reason; reasons that never came up are absent."""
        return {
            reason: amount
            for (counted, reason), amount in self._copy().items()
            if counted is counter and reason is not None
        }

    def _copy(self) -> dict[tuple[Counter, Reason | None], int]:
        with self._lock:
            return dict(self._counts)
