"""Reconciliation: a group's calls against its client's own sums, and postings for what the calls don't explain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spanledger.core.control import Interval, increments, intervals
from spanledger.core.metering import known_class
from spanledger.core.posting import Charge, Reason, Status, correct, reconcile
from spanledger.core.pricing import PriceBook
from spanledger.core.residual import STRADDLE_NANO, Alias, Leftover, ReceivedCall, leftovers, near_border
from spanledger.core.residual_charge import Aliases, LongWrites, long_writes, residual_charge
from spanledger.core.settling import Policy, Prices, Sighting, charge_for, held, settle
from spanledger.core.usage import ControlPoint, Evidence, Temporality, UsageRecord
from spanledger.core.verdict import with_long_writes
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled

_GROUPS_MAX = 100
"""Groups that one transaction takes."""

_SLOTS = 2
"""Looks at a busy group in the time that a record waits for its reconciliation."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call and the records that stand for it; one at least."""

    received: ReceivedCall
    log: Sighting | None
    span: Sighting | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time of a group that can be reconciled by itself: no call in it may lie in an interval outside."""

    intervals: Sequence[Interval]
    calls: Sequence[_Call]


class Reconciler:
    """Posts residuals. One thread at a time, inside the pipeline's transactions."""

    def __init__(self, ledger: Ledger, prices: Prices, policy: Policy) -> None:
        self._ledger = ledger
        self._names = _BookNames(prices.book)
        self._prices = prices
        self._policy = policy

    def note(self, records: Iterable[UsageRecord], points: Iterable[ControlPoint], now_unix_nano: int) -> None:
        """Note of which groups and times something came."""
        touched: dict[str, Unreconciled] = {}
        for record in records:
            _touch(touched, Unreconciled(record.source, record.time_unix_nano, record.time_unix_nano))
        for point in points:
            # What a cumulative point adds begins at the point before it, and ends where the next one's begins.
            is_delta = point.temporality is Temporality.DELTA
            start = point.start_unix_nano if is_delta else point.time_unix_nano
            _touch(touched, Unreconciled(point.source, start, point.time_unix_nano))
        if touched:
            # No sooner than a lone span is posted, which the sums may tell more of.
            wait = max(self._policy.residual_wait_nano, self._policy.join_window_nano)
            self._ledger.residuals.note(touched, _in_slot(now_unix_nano + wait, wait // _SLOTS))

    def next_due_unix_nano(self) -> int | None:
        """When there will be something to do; None when nothing came."""
        return self._ledger.residuals.next_due_unix_nano()

    def advance(self, now_unix_nano: int) -> bool:
        """Reconcile the groups that are due; True when there may be more."""
        due = self._ledger.residuals.due(now_unix_nano, _GROUPS_MAX)
        self._ledger.residuals.done([what.source.group for what in due], now_unix_nano)
        for what in due:
            self._reconcile(what, now_unix_nano)
        return len(due) == _GROUPS_MAX

    def _reconcile(self, what: Unreconciled, now_unix_nano: int) -> None:
        senders = self._ledger.residuals.senders_of(what.source)
        user_id = what.source.user_id
        aliases = self._ledger.residuals.aliases(user_id)
        stretch = self._stretch(senders, what, aliases, now_unix_nano)
        left, learnt = leftovers(stretch.intervals, [call.received for call in stretch.calls], self._names)
        learnt |= {alias for call in stretch.calls if (alias := self._alias(call)) is not None}
        if learnt and self._ledger.residuals.learn(user_id, learnt):
            aliases = self._ledger.residuals.aliases(user_id)
            self._note_again(self._ledger.residuals.unpriced_of(user_id), now_unix_nano)
        long = [long_writes(leftover, self._prices) for leftover in left]
        self._post_residuals(what.source.group, stretch, list(zip(left, long, strict=True)), aliases, now_unix_nano)
        self._refine_spans(stretch.calls, long, aliases, now_unix_nano)

    def _note_again(self, where: Iterable[Unreconciled], now_unix_nano: int) -> None:
        """Note that groups must be looked at again, for something became known that concerns them."""
        touched: dict[str, Unreconciled] = {}
        for what in where:
            _touch(touched, what)
        self._ledger.residuals.note(touched, now_unix_nano + 1)

    def _alias(self, call: _Call) -> Alias | None:
        """What the span and the log of one call say of a name that is no model's."""
        if call.log is None or call.span is None or self._names.known(call.span.record.model):
            return None
        return Alias(call.span.record.model, call.log.record.model)

    def _post_residuals(
        self,
        group: str,
        stretch: _Stretch,
        left: Sequence[tuple[Leftover, LongWrites]],
        aliases: Aliases,
        now_unix_nano: int,
    ) -> None:
        if not stretch.intervals:
            return
        desired: dict[str, Charge] = {}
        kept: dict[str, Leftover] = {}
        for leftover, long in left:
            if any(leftover.counts):
                occurred = held(leftover.end_unix_nano, now_unix_nano, self._policy.clock_skew_max_nano)
                charge = residual_charge(leftover, long, self._prices.book, aliases, occurred)
                desired[charge.identity], kept[charge.identity] = charge, leftover
        start, end = stretch.intervals[0].start_unix_nano, stretch.intervals[-1].end_unix_nano
        known = self._ledger.residuals.identities(group, start, end)
        if not known and not desired:
            return
        latest = self._ledger.postings.latest({*known, *desired})
        self._ledger.postings.add(reconcile(desired, latest, now_unix_nano))
        self._ledger.residuals.keep(kept)

    def _refine_spans(
        self, calls: Sequence[_Call], long: Iterable[LongWrites], aliases: Aliases, now_unix_nano: int
    ) -> None:
        """Correct what stands on a span alone by what the sums tell of its cache writes, and an alias of its model."""
        shares: dict[str, tuple[int, bool]] = {}
        for writes in long:
            shares.update((identity, (count, writes.is_certain)) for identity, count in writes.of_calls.items())
        spans = {call.received.identity: call.span for call in calls if call.log is None and call.span is not None}
        latest = self._ledger.postings.latest(spans) if spans else {}
        for identity, last in latest.items():
            span = spans[identity]
            if not last.live or last.charge.record_digest != span.record.digest:
                continue
            refined = self._refined(last.charge, span, shares.get(identity), aliases)
            if refined != last.charge:
                self._ledger.postings.add(correct(last, refined, Reason.REFINED, now_unix_nano))

    def _refined(self, charge: Charge, span: Sighting, share: tuple[int, bool] | None, aliases: Aliases) -> Charge:
        record = span.record
        served = aliases.get(record.model)
        if charge.status is Status.UNPRICED and served is not None:
            aliased = replace(span, record=replace(record, model=served))
            charge = charge_for(aliased, self._prices, self._policy)
        if charge.status is Status.UNPRICED:
            return charge
        tokens, is_certain = record.tokens, not record.tokens.cache_write_unspecified
        if share is not None:
            tokens, is_certain = with_long_writes(record.tokens, share[0]), share[1]
        return replace(charge, tokens=tokens, status=Status.EXACT if is_certain else Status.PROVISIONAL)

    def _stretch(self, senders: Sequence[int], what: Unreconciled, aliases: Aliases, now_unix_nano: int) -> _Stretch:
        """Widen a time until no interval and no call that may be on either side of an end is cut."""
        start, end = what.start_unix_nano - STRADDLE_NANO, what.end_unix_nano + STRADDLE_NANO
        while True:
            found = self._intervals(senders, start, end)
            if not found:
                return _Stretch((), self._calls(senders, start, end, aliases, now_unix_nano))
            first, last = found[0].start_unix_nano, found[-1].end_unix_nano
            calls = self._calls(senders, first - STRADDLE_NANO, last + STRADDLE_NANO, aliases, now_unix_nano)
            received = [call.received for call in calls]
            wanted_start = first - STRADDLE_NANO if near_border(received, first) else first
            wanted_end = last + STRADDLE_NANO if near_border(received, last) else last
            if wanted_start >= start and wanted_end <= end:
                return _Stretch(found, calls)
            start, end = min(start, wanted_start), max(end, wanted_end)

    def _intervals(self, senders: Sequence[int], start: int, end: int) -> list[Interval]:
        points = self._ledger.control.of_senders(senders, start, end)
        grown = increments(points, self._ledger.began_unix_nano)
        return intervals(one for one in grown if one.end_unix_nano > start and one.start_unix_nano < end)

    def _calls(self, senders: Sequence[int], start: int, end: int, aliases: Aliases, now_unix_nano: int) -> list[_Call]:
        """Calls that ended in a time, each once; records a little outside of it are looked at for their partners."""
        tolerance = self._policy.join_tolerance_nano
        buckets = self._ledger.evidence.of_senders(senders, start - tolerance, end + tolerance)
        found: list[_Call] = []
        for sightings in buckets.values():
            found.extend(_calls_of(sightings, self._policy, aliases, now_unix_nano))
        return [call for call in found if start <= call.received.end_unix_nano <= end]


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


def _in_slot(unix_nano: int, slot_nano: int) -> int:
    """Round a time up, so that what comes within a slot is looked at together."""
    return unix_nano if slot_nano == 0 else -(-unix_nano // slot_nano) * slot_nano


def _touch(touched: dict[str, Unreconciled], what: Unreconciled) -> None:
    group = what.source.group
    known = touched.get(group)
    if known is not None:
        start = min(known.start_unix_nano, what.start_unix_nano)
        what = replace(known, start_unix_nano=start, end_unix_nano=max(known.end_unix_nano, what.end_unix_nano))
    touched[group] = what


def _calls_of(sightings: Sequence[Sighting], policy: Policy, aliases: Aliases, now_unix_nano: int) -> Iterable[_Call]:
    """Calls of a bucket, from the records that stand for them."""
    settlement = settle(sightings, policy, now_unix_nano)
    of_calls: dict[str, dict[Evidence, Sighting]] = {}
    for sighting in settlement.standing:
        of_calls.setdefault(settlement.calls[sighting.record.identity], {})[sighting.record.evidence] = sighting
    return [_call(identity, by.get(Evidence.LOG), by.get(Evidence.SPAN), aliases) for identity, by in of_calls.items()]


def _call(identity: str, log: Sighting | None, span: Sighting | None, aliases: Aliases) -> _Call:
    standing = log or span
    assert standing is not None  # noqa: S101 - a call has at least one record
    record = standing.record
    received = ReceivedCall(
        identity=identity,
        end_unix_nano=record.time_unix_nano,
        asked="" if span is None else span.record.model,
        served=aliases.get(record.model, "") if log is None else record.model,
        query_class=known_class(record.query_source),
        speed=record.speed,
        tokens=record.tokens,
    )
    return _Call(received, log, span)
