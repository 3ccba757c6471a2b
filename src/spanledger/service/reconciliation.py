"""Reconciliation: a group's calls against its client's own sums, and postings for what the calls don't explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spanledger.core.control import Interval, increments, intervals
from spanledger.core.metering import known_class
from spanledger.core.posting import Charge, reconcile
from spanledger.core.pricing import PriceBook
from spanledger.core.residual import STRADDLE_NANO, Leftover, ReceivedCall, leftovers, near_border
from spanledger.core.residual_charge import residual_charge
from spanledger.core.settling import Policy, Sighting, held, settle
from spanledger.core.usage import ControlPoint, Evidence, UsageRecord
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled

_GROUPS_MAX = 100
"""Groups that one transaction takes."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time of a group that can be reconciled by itself: no call in it may lie in an interval outside."""

    intervals: Sequence[Interval]
    calls: Sequence[ReceivedCall]


class Reconciler:
    """Posts residuals. One thread at a time, inside the pipeline's transactions."""

    def __init__(self, ledger: Ledger, book: PriceBook, policy: Policy) -> None:
        self._ledger = ledger
        self._names = _BookNames(book)
        self._book = book
        self._policy = policy

    def note(self, records: Iterable[UsageRecord], points: Iterable[ControlPoint], now_unix_nano: int) -> None:
        """Note of which groups and times something came."""
        touched: dict[str, Unreconciled] = {}
        for record in records:
            _touch(touched, Unreconciled(record.source, record.time_unix_nano, record.time_unix_nano))
        for point in points:
            _touch(touched, Unreconciled(point.source, point.start_unix_nano, point.time_unix_nano))
        if touched:
            self._ledger.residuals.note(touched, now_unix_nano + self._policy.residual_wait_nano)

    def next_due_unix_nano(self) -> int | None:
        """When there will be something to do; None when nothing came."""
        return self._ledger.residuals.next_due_unix_nano()

    def advance(self, now_unix_nano: int) -> bool:
        """Reconcile the groups that are due; True when there may be more."""
        due = self._ledger.residuals.due(now_unix_nano, _GROUPS_MAX)
        for what in due:
            self._reconcile(what, now_unix_nano)
        self._ledger.residuals.done(what.source.group for what in due)
        return len(due) == _GROUPS_MAX

    def _reconcile(self, what: Unreconciled, now_unix_nano: int) -> None:
        senders = self._ledger.residuals.senders_of(what.source)
        stretch = self._stretch(senders, what, now_unix_nano)
        if not stretch.intervals:
            return
        desired: dict[str, Charge] = {}
        kept: dict[str, Leftover] = {}
        served = {call.asked: call.served for call in stretch.calls if call.asked and call.served}
        for leftover in leftovers(stretch.intervals, stretch.calls, self._names):
            occurred = held(leftover.end_unix_nano, now_unix_nano, self._policy.clock_skew_max_nano)
            charge = residual_charge(leftover, self._book, served, occurred)
            desired[charge.identity], kept[charge.identity] = charge, leftover
        start, end = stretch.intervals[0].start_unix_nano, stretch.intervals[-1].end_unix_nano
        known = self._ledger.residuals.identities(what.source.group, start, end)
        if not known and not desired:
            return
        latest = self._ledger.postings.latest({*known, *desired})
        self._ledger.postings.add(reconcile(desired, latest, now_unix_nano))
        self._ledger.residuals.keep(kept)

    def _stretch(self, senders: Sequence[int], what: Unreconciled, now_unix_nano: int) -> _Stretch:
        """Widen a time until no interval and no call that may be on either side of an end is cut."""
        start, end = what.start_unix_nano - STRADDLE_NANO, what.end_unix_nano + STRADDLE_NANO
        while True:
            found = self._intervals(senders, start, end)
            if not found:
                return _Stretch((), ())
            first, last = found[0].start_unix_nano, found[-1].end_unix_nano
            calls = self._calls(senders, first - STRADDLE_NANO, last + STRADDLE_NANO, now_unix_nano)
            wanted_start = first - STRADDLE_NANO if near_border(calls, first) else first
            wanted_end = last + STRADDLE_NANO if near_border(calls, last) else last
            if wanted_start >= start and wanted_end <= end:
                return _Stretch(found, calls)
            start, end = min(start, wanted_start), max(end, wanted_end)

    def _intervals(self, senders: Sequence[int], start: int, end: int) -> list[Interval]:
        points = self._ledger.control.of_senders(senders, start, end)
        grown = increments(points, self._ledger.began_unix_nano)
        return intervals(one for one in grown if one.end_unix_nano > start and one.start_unix_nano < end)

    def _calls(self, senders: Sequence[int], start: int, end: int, now_unix_nano: int) -> list[ReceivedCall]:
        """Calls that ended in a time, each once; records a little outside of it are looked at for their partners."""
        tolerance = self._policy.join_tolerance_nano
        buckets = self._ledger.evidence.of_senders(senders, start - tolerance, end + tolerance)
        found: list[ReceivedCall] = []
        for sightings in buckets.values():
            found.extend(_calls_of(sightings, self._policy, now_unix_nano))
        return [call for call in found if start <= call.end_unix_nano <= end]


class _BookNames:
    """Model names as a price book sees them."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book

    def same(self, one: str, other: str) -> bool:
        if one == other:
            return True
        left, right = self._book.resolve(one), self._book.resolve(other)
        if left.prices is not None and right.prices is not None:
            return left.prices is right.prices
        return left.name.name == right.name.name

    def known(self, name: str) -> bool:
        return self._book.resolve(name).prices is not None


def _touch(touched: dict[str, Unreconciled], what: Unreconciled) -> None:
    group = what.source.group
    known = touched.get(group)
    if known is not None:
        start = min(known.start_unix_nano, what.start_unix_nano)
        what = replace(known, start_unix_nano=start, end_unix_nano=max(known.end_unix_nano, what.end_unix_nano))
    touched[group] = what


def _calls_of(sightings: Sequence[Sighting], policy: Policy, now_unix_nano: int) -> Iterable[ReceivedCall]:
    """Calls of a bucket, from the records that stand for them."""
    calls = settle(sightings, policy, now_unix_nano).calls
    records: dict[str, dict[Evidence, UsageRecord]] = {}
    for sighting in sightings:
        records.setdefault(calls[sighting.record.identity], {})[sighting.record.evidence] = sighting.record
    return [_received_call(identity, of_call) for identity, of_call in records.items()]


def _received_call(identity: str, records: Mapping[Evidence, UsageRecord]) -> ReceivedCall:
    log, span = records.get(Evidence.LOG), records.get(Evidence.SPAN)
    record = log or span
    assert record is not None  # noqa: S101 - a call has at least one record
    return ReceivedCall(
        identity=identity,
        end_unix_nano=record.time_unix_nano,
        asked="" if span is None else span.model,
        served="" if log is None else log.model,
        query_class=known_class(record.query_source),
        speed=record.speed,
        tokens=record.tokens,
    )
