"""Tallies: what the records of a sender add up to besides cost, and the series that they become.

A tally is a running total, so that it does not grow with the number of records; which records are in it already, the
ledger knows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from spanledger.core.attribution import labels_of
from spanledger.core.posting import Reason
from spanledger.core.semconv import ADJUSTMENT_OF, METRICS, Metric
from spanledger.core.usage import Evidence, Signal, Source, UsageRecord
from spanledger.core.views import SeriesKey

SIGNAL_OF: dict[Evidence, Signal] = {Evidence.LOG: Signal.LOGS, Evidence.SPAN: Signal.TRACES}
"""The signal that records of a call come in."""


@dataclass(frozen=True, slots=True)
class TallyKey:
    """Whose total of what: a sender, a metric of ours, the metric's own labels in the order of its specification."""

    source: Source
    metric: Metric
    labels: tuple[tuple[str, str], ...]


def duplicate_tallies(repeated: Iterable[UsageRecord]) -> dict[TallyKey, int]:
    """Count records of calls that had come before, by sender and signal."""
    counts = Counter((record.source, SIGNAL_OF[record.evidence]) for record in repeated)
    return {
        TallyKey(source, Metric.DUPLICATES, (("signal", signal),)): count for (source, signal), count in counts.items()
    }


def tally_increments(grown: Iterable[tuple[TallyKey, int]]) -> dict[SeriesKey, int]:
    """Fold what tallies grew by into increments of the cumulative series; what shrank goes to the adjustment twins."""
    increments: defaultdict[SeriesKey, int] = defaultdict(int)
    for key, amount in grown:
        metric, labels = key.metric, dict(key.labels)
        if amount < 0:
            metric, labels = ADJUSTMENT_OF[metric], labels | {"reason": Reason.BETTER_RECORD.value}
        of_resource = labels_of(key.source) if METRICS[metric].resource_labels else ()
        increments[SeriesKey(metric, (*labels.items(), *of_resource))] += amount
        if metric is Metric.SIGNAL_TOKENS:
            # A signal that never came says 0 beside the others: nothing can be divided by what is not there.
            for signal in Signal:
                increments[SeriesKey(metric, (("signal", signal.value), *of_resource))] += 0
    return dict(increments)
