"""Stretches: a group's calls and its client's sums over a time that can be looked at by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanledger.core.book import PriceBook
from spanledger.core.control import Interval, increments, intervals
from spanledger.core.metering import known_class
from spanledger.core.residual import STRADDLE_NANO, ReceivedCall, near_border
from spanledger.core.residual_charge import Aliases
from spanledger.core.settling import Policy, Sighting, settle
from spanledger.core.usage import Evidence
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled


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


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of a group that can be reconciled by itself: no call in it may lie in an interval outside."""

    intervals: Sequence[Interval]
    calls: Sequence[Call]


class BookNames:
    """Model names as a price book sees them."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book

    def same(self, one: str, other: str) -> bool:
        """Whether two spellings name one model."""
        if one == other:
            return True
        left, right = self._book.resolve(one), self._book.resolve(other)
        if left.prices is not None and right.prices is not None:
            return left.prices is right.prices
        return left.name.name == right.name.name

    def known(self, name: str) -> bool:
        """Whether a name is that of a model, not a gateway's alias."""
        return self._book.resolve(name).prices is not None


def stretch_around(
    ledger: Ledger, policy: Policy, senders: Sequence[int], what: Unreconciled, aliases: Aliases, now_unix_nano: int
) -> Stretch:
    """Widen a time until no interval and no call that may be on either side of an end is cut.

    Its calls are all of the time, those too that lie in no interval, as when sums were lost.
    """
    start, end = what.start_unix_nano - STRADDLE_NANO, what.end_unix_nano + STRADDLE_NANO
    while True:
        found = _intervals(ledger, senders, start, end)
        if not found:
            return Stretch((), _calls(ledger, policy, senders, start, end, aliases, now_unix_nano))
        first, last = found[0].start_unix_nano, found[-1].end_unix_nano
        around = (min(start, first - STRADDLE_NANO), max(end, last + STRADDLE_NANO))
        calls = _calls(ledger, policy, senders, *around, aliases, now_unix_nano)
        received = [call.received for call in calls]
        wanted_start = first - STRADDLE_NANO if near_border(received, first) else first
        wanted_end = last + STRADDLE_NANO if near_border(received, last) else last
        if wanted_start >= start and wanted_end <= end:
            return Stretch(found, calls)
        start, end = min(start, wanted_start), max(end, wanted_end)


def _intervals(ledger: Ledger, senders: Sequence[int], start: int, end: int) -> list[Interval]:
    points = ledger.control.of_senders(senders, start, end)
    grown = increments(points, ledger.began_unix_nano)
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
