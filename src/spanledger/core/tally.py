"""Tallies: what the records of a sender add up to besides cost, and the series that they become.

A tally is a running total, so that it does not grow with the number of records; which records are in it already, the
ledger knows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from spanledger.core.attribution import labels_of
from spanledger.core.semconv import METRICS, Metric
from spanledger.core.usage import Evidence, Signal, Source, UsageRecord
from spanledger.core.views import SeriesKey

_SIGNALS = {Evidence.LOG: Signal.LOGS, Evidence.SPAN: Signal.TRACES}


@dataclass(frozen=True, slots=True)
class TallyKey:
    """Whose total of what: a sender, a metric of ours, the metric's own labels in the order of its specification."""

    source: Source
    metric: Metric
    labels: tuple[tuple[str, str], ...]


def duplicate_tallies(repeated: Iterable[UsageRecord]) -> dict[TallyKey, int]:
    """Count records of calls that had come before, by sender and signal."""
    counts = Counter((record.source, _SIGNALS[record.evidence]) for record in repeated)
    return {
        TallyKey(source, Metric.DUPLICATES, (("signal", signal),)): count for (source, signal), count in counts.items()
    }


def tally_increments(grown: Iterable[tuple[TallyKey, int]]) -> dict[SeriesKey, int]:
    """Fold what tallies grew by into increments of the cumulative series."""
    increments: defaultdict[SeriesKey, int] = defaultdict(int)
    for key, amount in grown:
        of_resource = labels_of(key.source) if METRICS[key.metric].resource_labels else ()
        increments[SeriesKey(key.metric, (*key.labels, *of_resource))] += amount
    return dict(increments)
