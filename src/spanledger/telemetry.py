"""What the component counts of itself: every drop, refusal and repetition has a counter."""

from __future__ import annotations

import threading
from enum import StrEnum


class Counter(StrEnum):
    """Things that are counted; a bounded set."""

    BODIES_UNREADABLE = "bodies_unreadable"
    COMMITS_FAILED = "commits_failed"
    DUPLICATES = "duplicates"
    EXPORTS_RETRIED = "exports_retried"
    METRIC_EXPORTS_FAILED = "metric_exports_failed"
    PAYLOADS_EXPIRED = "payloads_expired"
    PAYLOADS_NOT_FORWARDED = "payloads_not_forwarded"
    PAYLOADS_SET_ASIDE = "payloads_set_aside"
    PRICE_LOADS_REFUSED = "price_loads_refused"
    RECORDS_REJECTED = "records_rejected"
    RECORDS_REJECTED_BY_DESTINATION = "records_rejected_by_destination"
    SERIES_OVERFLOWED = "series_overflowed"


class Counters:
    """Counts since the start of the process; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(Counter, 0)

    def add(self, counter: Counter, amount: int = 1) -> None:
        """Count something."""
        if amount:
            with self._lock:
                self._counts[counter] += amount

    def snapshot(self) -> dict[Counter, int]:
        """All counts, those of zero too."""
        with self._lock:
            return dict(self._counts)
