"""What the component counts of itself: every drop, refusal and repetition has a counter."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spanledger.core.reasons import Reason

REASON = "reason"
DESTINATION = "destination"

COMMIT_DURATION = "spanledger.commit.duration"
COMMIT_DURATION_UNIT = "s"
COMMIT_DURATION_MEANING = "How long a commit took, its fsync included; it serves all requests that waited for it."


class Counter(StrEnum):
    """Things that are counted; a bounded set."""

    ADMIN_CONNECTIONS_CLOSED = "admin.connections_closed"
    COMMITS_FAILED = "commits.failed"
    CONNECTIONS_CLOSED = "receiver.connections_closed"
    DROPPED = "dropped"
    DUPLICATES = "duplicates"
    EXPORTS_RETRIED = "forward.retries"
    METRIC_EXPORTS_FAILED = "forward.metric_exports_failed"
    PAYLOADS_EXPIRED = "forward.payloads_expired"
    PAYLOADS_FORWARDED = "forward.payloads"
    PAYLOADS_NOT_FORWARDED = "forward.payloads_dropped"
    PAYLOADS_SET_ASIDE = "forward.payloads_refused"
    PRICE_LOADS_REFUSED = "price_book.loads_refused"
    RECORDS_RECEIVED = "receiver.records"
    RECORDS_REJECTED_BY_DESTINATION = "forward.records_rejected"
    REFUSED = "receiver.refused"
    REQUESTS_RECEIVED = "receiver.requests"
    SERIES_CUT = "series.cut"
    SERIES_OVERFLOWED = "series.overflowed"


@dataclass(frozen=True, slots=True)
class CounterSpec:
    """One counter: UCUM unit, meaning, and the label that tells its parts apart, if one does: reason or destination.

    One that is not exported stands in a series of the ledger already, which survives restarts.
    """

    counter: Counter
    unit: str
    description: str
    label: str | None = None
    is_exported: bool = True

    @property
    def name(self) -> str:
        """Name of the metric."""
        return f"spanledger.{self.counter.value}"


COUNTERS: dict[Counter, CounterSpec] = {
    spec.counter: spec
    for spec in (
        CounterSpec(Counter.REQUESTS_RECEIVED, "{request}", "Requests that were read and booked."),
        CounterSpec(Counter.RECORDS_RECEIVED, "{record}", "Records of model calls and control points in them."),
        CounterSpec(Counter.REFUSED, "{request}", "Requests refused by a receiver.", REASON),
        CounterSpec(Counter.DROPPED, "{record}", "Records refused alone, out of requests that were taken.", REASON),
        CounterSpec(Counter.CONNECTIONS_CLOSED, "{connection}", "Connections that a receiver closed.", REASON),
        CounterSpec(
            Counter.ADMIN_CONNECTIONS_CLOSED, "{connection}", "Connections that the admin port closed.", REASON
        ),
        CounterSpec(Counter.DUPLICATES, "{record}", "Records that were there already.", is_exported=False),
        CounterSpec(Counter.COMMITS_FAILED, "{commit}", "Commits that failed; their senders were told to try again."),
        CounterSpec(Counter.SERIES_OVERFLOWED, "{series}", "Labels that found no room under `metrics.max_series`."),
        CounterSpec(
            Counter.SERIES_CUT, "{series}", "New series with a label that was cut to `metrics.max_label_bytes`."
        ),
        CounterSpec(Counter.PAYLOADS_FORWARDED, "{payload}", "Payloads that a destination took.", DESTINATION),
        CounterSpec(
            Counter.EXPORTS_RETRIED, "{request}", "Requests to a destination that are tried again.", DESTINATION
        ),
        CounterSpec(
            Counter.PAYLOADS_SET_ASIDE, "{payload}", "Payloads that a destination refused for good.", DESTINATION
        ),
        CounterSpec(
            Counter.PAYLOADS_NOT_FORWARDED,
            "{payload}",
            "Payloads not kept for a destination: outbox full.",
            DESTINATION,
        ),
        CounterSpec(
            Counter.PAYLOADS_EXPIRED, "{payload}", "Payloads that waited too long for a destination.", DESTINATION
        ),
        CounterSpec(
            Counter.RECORDS_REJECTED_BY_DESTINATION,
            "{record}",
            "Records that a destination refused alone.",
            DESTINATION,
        ),
        CounterSpec(Counter.PRICE_LOADS_REFUSED, "{load}", "Changed price files that were refused."),
        CounterSpec(
            Counter.METRIC_EXPORTS_FAILED, "{request}", "Exports of our own metrics that did not arrive.", DESTINATION
        ),
    )
}
"""Every counter, in the order of the documentation."""

COUNTED_BY_REASON = frozenset(counter for counter, spec in COUNTERS.items() if spec.label == REASON)
"""Counters with a `reason` (`core.reasons.Reason`)."""


class Counters:
    """Counts since the start of the process; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Tally[tuple[Counter, str | None]] = Tally()

    def add(
        self, counter: Counter, amount: int = 1, *, reason: Reason | None = None, destination: str | None = None
    ) -> None:
        """Count something, with what the counter's label asks for."""
        if amount:
            with self._lock:
                self._counts[counter, destination if reason is None else reason] += amount

    def add_each(self, counter: Counter, amounts: Mapping[str, int]) -> None:
        """Count something by destination."""
        for destination, amount in amounts.items():
            self.add(counter, amount, destination=destination)

    def snapshot(self) -> dict[Counter, int]:
        """All counts over all reasons, those of zero too."""
        counts = dict.fromkeys(Counter, 0)
        for (counter, _), amount in self._copy().items():
            counts[counter] += amount
        return counts

    def by_label(self, counter: Counter) -> dict[str, int]:
        """Counts of a counter by reason or destination; those that never came up are absent."""
        return {
            value: amount
            for (counted, value), amount in self._copy().items()
            if counted is counter and value is not None
        }

    def _copy(self) -> dict[tuple[Counter, str | None], int]:
        with self._lock:
            return dict(self._counts)
