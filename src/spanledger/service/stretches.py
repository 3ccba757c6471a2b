"""Stretches: a group's calls and its client's sums over a time that can be looked at by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanledger.core.book import PriceBook
from spanledger.core.carried import leave_out_carried
from spanledger.core.control import CUT_NANO, Interval, intervals
from spanledger.core.metering import known_class
from spanledger.core.placing import STRADDLE_NANO
from spanledger.core.received import ReceivedCall
from spanledger.core.residual_charge import Aliases
from spanledger.core.settling import Policy, Sighting, settle
from spanledger.core.usage import Evidence
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled

_CONTEXT_NANO = 600 * 10**9
"""How far from the time in question a stretch without an end is read."""

_DENSE_CALLS = 2_000
"""A stretch of more calls is read no further than `CUT_NANO` from the time in question."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call and the records that stand for it; one at least."""

    received: ReceivedCall
    log: Sighting | None
    span: Sighting | None

    @property
    def standing(self) -> Sighting:
        """The record that the call is charged from."""
        standing = self.log or self.span
        assert standing is not None  # noqa: S101 - a call has at least one record
        return standing

    @property
    def group(self) -> str:
        """The group of its session; sums without a session may be of calls of several."""
        return self.standing.record.source.group


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of a group that can be reconciled by itself: no call in it may lie in an interval outside.

    `settled` are those of the intervals that it decides: all, unless the stretch would have had no end.
    """

    intervals: Sequence[Interval]
    settled: Sequence[Interval]
    calls: Sequence[Call]


class BookNames:
    """Model names as a price book sees them, with what is known of names that it does not know."""

    def __init__(self, book: PriceBook, aliases: Aliases) -> None:
        self._book = book
        self._aliases = aliases

    def canonical(self, name: str) -> str:
        """The id of the model, or of the one that served the name; of any other name, itself without decoration."""
        resolved = self._book.resolve(self._aliases.get(name, name))
        return resolved.name.name if resolved.prices is None else resolved.prices.id

    def known(self, name: str) -> bool:
        """Whether a name is that of a model, not a gateway's alias."""
        return self._book.resolve(name).prices is not None


def stretch_around(ledger: Ledger, policy: Policy, what: Unreconciled, aliases: Aliases, now_unix_nano: int) -> Stretch:
    """Widen a time until no interval and no call that may be on either side of an end is cut.

    Its calls are all of the time, those too that lie in no interval, as when sums were lost. Where processes overlap
    or calls follow one another without a pause there may be no such end: then what is further off than `_CONTEXT_NANO`
    does not change what is decided.
    """
    senders, callers = ledger.residuals.senders_of(what.source), ledger.residuals.callers_of(what.source)
    start, end = what.start_unix_nano, what.end_unix_nano
    context = _CONTEXT_NANO
    while True:
        spans = _intervals(ledger, senders, start - STRADDLE_NANO, end + STRADDLE_NANO)
        inside = [span for span in spans if span.end_unix_nano > start and span.start_unix_nano < end]
        wider = _hull(inside, start, end)
        if wider != (start, end):
            start, end = wider
            continue
        calls = _calls(ledger, policy, callers, start - STRADDLE_NANO, end + STRADDLE_NANO, aliases, now_unix_nano)
        wanted = _hull([span for span in spans if _may_hold(span, calls)], start, end)
        context = CUT_NANO if len(calls) > _DENSE_CALLS else context
        wider = (
            wanted[0] if start > what.start_unix_nano - context else start,
            wanted[1] if end < what.end_unix_nano + context else end,
        )
        if wider == (start, end):
            leave_out_carried(inside, [call.received for call in calls])
            return Stretch(inside, _settled(inside, what, is_cut=(wanted[0] < start, wanted[1] > end)), calls)
        start, end = wider


def _hull(spans: Sequence[Interval], start: int, end: int) -> tuple[int, int]:
    """The time from the first beginning to the last end of a time and some intervals."""
    first = min((span.start_unix_nano for span in spans), default=start)
    last = max((span.end_unix_nano for span in spans), default=end)
    return min(start, first), max(end, last)


def _may_hold(span: Interval, calls: Iterable[Call]) -> bool:
    """Whether a call may lie in an interval."""
    first, last = span.start_unix_nano - STRADDLE_NANO, span.end_unix_nano + STRADDLE_NANO
    return any(first <= call.received.end_unix_nano <= last for call in calls)


def _settled(inside: Sequence[Interval], what: Unreconciled, *, is_cut: tuple[bool, bool]) -> Sequence[Interval]:
    """Of a stretch that is cut at an end: the intervals around the time in question, the one at the cut left out."""
    if not any(is_cut):
        return inside
    first, last = what.start_unix_nano - CUT_NANO, what.end_unix_nano + CUT_NANO
    kept = inside[int(is_cut[0]) : len(inside) - int(is_cut[1])]
    return [span for span in kept if span.end_unix_nano > first and span.start_unix_nano < last]


def _intervals(ledger: Ledger, senders: Sequence[int], start: int, end: int) -> list[Interval]:
    grown = ledger.control.grown(senders, start, end, ledger.began_unix_nano)
    return intervals(one for one in grown if one.end_unix_nano > start and one.start_unix_nano < end)


def _calls(
    ledger: Ledger,
    policy: Policy,
    senders: Sequence[int],
    start: int,
    end: int,
    aliases: Aliases,
    now_unix_nano: int,
) -> list[Call]:
    """Calls that ended in a time, each once; records a little outside of it are looked at for their partners."""
    tolerance = policy.join_tolerance_nano
    buckets = ledger.evidence.of_senders(senders, start - tolerance, end + tolerance)
    found: list[Call] = []
    for sightings in buckets.values():
        found.extend(_calls_of(sightings, policy, aliases, now_unix_nano))
    return [call for call in found if start <= call.received.end_unix_nano <= end]


def _calls_of(sightings: Sequence[Sighting], policy: Policy, aliases: Aliases, now_unix_nano: int) -> Iterable[Call]:
    """Calls of a bucket, from the records that stand for them."""
    by_signal = {sighting.record.evidence: sighting for sighting in sightings}
    first = sightings[0].record.identity
    if len(by_signal) == len(sightings) and all(sighting.record.identity == first for sighting in sightings):
        # One call, one record of a signal: nothing to choose from.
        return [_call(first, by_signal.get(Evidence.LOG), by_signal.get(Evidence.SPAN), aliases)]
    settlement = settle(sightings, policy, now_unix_nano)
    of_calls: dict[str, dict[Evidence, Sighting]] = {}
    for sighting in settlement.standing:
        of_calls.setdefault(settlement.calls[sighting.record.identity], {})[sighting.record.evidence] = sighting
    return [_call(identity, by.get(Evidence.LOG), by.get(Evidence.SPAN), aliases) for identity, by in of_calls.items()]


def _call(identity: str, log: Sighting | None, span: Sighting | None, aliases: Aliases) -> Call:
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
    return Call(received, log, span)
