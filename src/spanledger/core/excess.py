"""Excess: what the client's sums of an interval hold beyond calls, by query class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from spanledger.core.control import Counts, Interval
from spanledger.core.received import ReceivedCall
from spanledger.core.usage import QueryClass

ClassCounts = dict[QueryClass, Counts]

_NOTHING = Counts()
_INPUT, _OUTPUT, _CACHE_READ, _CACHE_WRITE = 40, 200, 4, 50
"""What a token of each class costs in proportion (Opus 5.5, in tenths): to tell the smaller of two residuals."""


def weight(counts: Counts) -> int:
    """What counts cost in proportion, those alone that are positive."""
    return (
        max(0, counts.input) * _INPUT
        + max(0, counts.output) * _OUTPUT
        + max(0, counts.cache_read) * _CACHE_READ
        + max(0, counts.cache_write) * _CACHE_WRITE
    )


def held_beyond(span: Interval, calls: Iterable[ReceivedCall]) -> ClassCounts:
    """The sums less the calls; negative where the calls are more."""
    held: defaultdict[QueryClass, Counts] = defaultdict(Counts)
    for line, total in span.lines.items():
        held[line.query_class] = held[line.query_class].plus(total.counts)
    for call in calls:
        held[call.query_class] = held[call.query_class].minus(call.counts)
    return dict(held)


def excess_by_class(held: Mapping[QueryClass, Counts]) -> ClassCounts:
    """What is positive of what is held. What says no class is held against every class."""
    nameless = held.get(QueryClass.UNKNOWN, _NOTHING)
    excess = {query_class: counts.positive for query_class, counts in held.items()}
    if not any(nameless):
        return excess
    over = _NOTHING
    for query_class, counts in held.items():
        if query_class is not QueryClass.UNKNOWN:
            over = over.plus(_NOTHING.minus(counts).positive)
    excess[QueryClass.UNKNOWN] = nameless.positive.minus(over).positive
    spare = _NOTHING.minus(nameless).positive
    for query_class in sorted(excess):
        used = excess[query_class].common(spare)
        excess[query_class], spare = excess[query_class].minus(used), spare.minus(used)
    return excess
