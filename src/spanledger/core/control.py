"""Control totals: the client's own sums, cut into intervals of time that calls can be held against.

A sum says how much in which interval, never which call. Points may come as deltas or cumulative, late, twice, or not at
all; what is made of them here depends on the set of points alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from spanledger.core.semconv import METRIC_CLIENT_COST
from spanledger.core.usage import ControlPoint, QueryClass, Source, Speed, Temporality, Tokens

BASELINE_AGE_NANO = 600 * 10**9
"""A cumulative series that began this long before the ledger holds what others have counted (design §4)."""

CUT_NANO = 120 * 10**9
"""Where a chain of overlapping increments is cut: whenever so much time is full, by the clock."""

TOKEN_PLACES = {"input": 0, "output": 1, "cacheRead": 2, "cacheCreation": 3}
"""Places in `Counts` by the client's own words for classes of tokens."""


class Counts(NamedTuple):
    """The four token classes that a client's sums tell apart."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        """Counts of a call's tokens."""
        return cls(tokens.input, tokens.output, tokens.cache_read, tokens.cache_write)

    def plus(self, other: Counts) -> Counts:
        """Sum, class by class."""
        return Counts(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )

    def minus(self, other: Counts) -> Counts:
        """Difference, class by class; may be negative."""
        return Counts(
            self.input - other.input,
            self.output - other.output,
            self.cache_read - other.cache_read,
            self.cache_write - other.cache_write,
        )

    def common(self, other: Counts) -> Counts:
        """The lesser of both, class by class."""
        return Counts(*(min(a, b) for a, b in zip(self, other, strict=True)))

    @property
    def positive(self) -> Counts:
        """Without what is negative."""
        if min(self) >= 0:
            return self
        return Counts(*(max(0, count) for count in self))

    def holds(self, other: Counts) -> bool:
        """Whether there is as much or more of each class."""
        return min(self.minus(other)) >= 0


NO_COUNTS = Counts()


@dataclass(frozen=True, slots=True)
class Line:
    """What sums are kept apart by: the model asked for, the class of the query, the speed served."""

    model: str
    query_class: QueryClass
    speed: Speed


@dataclass(frozen=True, slots=True)
class Increment:
    """What one series grew by in (start, end], client's clock. Either counts or a cost in pico-USD.

    `carried` is how much of the counts may come from the process before, see `core.carried`.
    """

    line: Line
    source: Source
    start_unix_nano: int
    end_unix_nano: int
    counts: Counts
    cost_picousd: int
    carried: Counts = NO_COUNTS


@dataclass(slots=True)
class LineTotal:
    """A line's share of an interval."""

    source: Source
    counts: Counts = field(default_factory=Counts)
    cost_picousd: int = 0
    carried: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class Interval:
    """A time (start, end] and what the sums grew by in it.

    Processes that share a session report in overlapping intervals; these are one here, for no call tells its process.
    Only where a chain of them would have no end it is cut, see `intervals`.
    """

    start_unix_nano: int
    end_unix_nano: int
    lines: dict[Line, LineTotal] = field(default_factory=dict)
    longest_nano: int = 0

    def add(self, increment: Increment) -> None:
        """Add what a series grew by."""
        self.start_unix_nano = min(self.start_unix_nano, increment.start_unix_nano)
        self.end_unix_nano = max(self.end_unix_nano, increment.end_unix_nano)
        self.longest_nano = max(self.longest_nano, increment.end_unix_nano - increment.start_unix_nano)
        total = self.lines.get(increment.line)
        if total is None:
            total = self.lines[increment.line] = LineTotal(increment.source)
        total.counts = total.counts.plus(increment.counts)
        total.cost_picousd += increment.cost_picousd
        if any(increment.carried):
            total.carried = total.carried.plus(increment.carried)

    def absorb(self, other: Interval) -> None:
        """Take over all of another interval."""
        self.start_unix_nano = min(self.start_unix_nano, other.start_unix_nano)
        self.end_unix_nano = max(self.end_unix_nano, other.end_unix_nano)
        self.longest_nano = max(self.longest_nano, other.longest_nano)
        for line, share in self.lines.items():
            total = other.lines.setdefault(line, LineTotal(share.source))
            total.counts = total.counts.plus(share.counts)
            total.cost_picousd += share.cost_picousd
            total.carried = total.carried.plus(share.carried)
        self.lines = other.lines


def increments(points: Iterable[ControlPoint], ledger_began_unix_nano: int) -> list[Increment]:
    """Say what each point adds to what is known before it.

    A delta adds itself. A cumulative point adds what it exceeds all points before it by: a restart has another start
    time, so one that is lower is another process's that nothing tells apart, and no reset. Of a series older than the
    ledger the first point known is a baseline and adds nothing.
    """
    found: list[Increment] = []
    cumulative: defaultdict[tuple[str, str, int], list[ControlPoint]] = defaultdict(list)
    for point in points:
        if point.temporality is Temporality.DELTA:
            found.append(_increment(point, point.start_unix_nano, point.amount))
        else:
            cumulative[point.metric, point.series, point.start_unix_nano].append(point)
    for series in cumulative.values():
        found.extend(_of_series(sorted(series, key=lambda point: point.time_unix_nano), ledger_began_unix_nano))
    return [increment for increment in found if any(increment.counts) or increment.cost_picousd]


def is_older(start_unix_nano: int, ledger_began_unix_nano: int) -> bool:
    """Whether a cumulative series began so long before the ledger that what it held then was counted by others."""
    return start_unix_nano < ledger_began_unix_nano - BASELINE_AGE_NANO


def intervals(found: Iterable[Increment]) -> list[Interval]:
    """Join increments that overlap in time; intervals that only touch stay apart. In order of time.

    A chain of short increments is cut at fixed times, `CUT_NANO` apart, by when each ends: so two intervals that follow
    one another may overlap, and a long chain need not be read as a whole. No more than two overlap anywhere, and none
    lies within another, so that a call can only be in one of two that follow one another.
    """
    joined: list[Interval] = []
    for increment in sorted(found, key=_order):
        start, end = increment.start_unix_nano, increment.end_unix_nano
        last = Interval(start, end, longest_nano=end - start)
        if _joins(joined, last):
            last = joined.pop()
        last.add(increment)
        while _joins(joined, last):
            last.absorb(joined.pop())
        joined.append(last)
    return joined


def _joins(joined: Sequence[Interval], last: Interval) -> bool:
    """Whether an interval is one with the last of those that are joined."""
    return bool(joined) and last.start_unix_nano < joined[-1].end_unix_nano and not _is_cut(joined, last)


def _is_cut(joined: Sequence[Interval], last: Interval) -> bool:
    """Whether an interval stays apart from the one before it, which it overlaps."""
    if len(joined) > 1 and last.start_unix_nano < joined[-2].end_unix_nano:
        return False
    before = joined[-1]
    if last.start_unix_nano <= before.start_unix_nano:
        return False
    is_long = max(before.longest_nano, last.longest_nano) > CUT_NANO
    return not is_long and before.end_unix_nano // CUT_NANO != last.end_unix_nano // CUT_NANO


def _of_series(points: Sequence[ControlPoint], ledger_began_unix_nano: int) -> Iterable[Increment]:
    first = points[0]
    highest = first.amount if is_older(first.start_unix_nano, ledger_began_unix_nano) else 0
    start = first.start_unix_nano
    for point in points:
        increment = _increment(point, start, max(0, point.amount - highest))
        if point is first and 0 < point.carried <= point.amount - highest:
            increment = replace(increment, carried=_counts(point, point.carried))
        yield increment
        highest, start = max(highest, point.amount), point.time_unix_nano


def _increment(point: ControlPoint, start_unix_nano: int, amount: int) -> Increment:
    is_cost = point.metric == METRIC_CLIENT_COST
    return Increment(
        line=Line(point.model, point.query_class, point.speed),
        source=point.source,
        start_unix_nano=min(start_unix_nano, point.time_unix_nano - 1),
        end_unix_nano=point.time_unix_nano,
        counts=_counts(point, amount),
        cost_picousd=amount if is_cost else 0,
    )


def _counts(point: ControlPoint, amount: int) -> Counts:
    """An amount in the class of a point; a cost has none."""
    place = None if point.metric == METRIC_CLIENT_COST else TOKEN_PLACES.get(point.token_type)
    return Counts() if place is None else Counts(*(amount if n == place else 0 for n in range(4)))


def _order(increment: Increment) -> tuple[int, int, str, str, str, Counts, int, str]:
    line = increment.line
    return (
        increment.end_unix_nano,
        increment.start_unix_nano,
        line.model,
        line.query_class,
        line.speed,
        increment.counts,
        increment.cost_picousd,
        increment.source.resource_digest + increment.source.client_version,
    )
