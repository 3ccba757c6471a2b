"""The pipeline: what happens to a delivery, in order. Synchronous; `worker` runs it on one thread, `replay` by hand.

prepare   limits -> tenant -> redaction -> decode -> meter   (no ledger, any thread)
accept    evidence -> settle -> post -> outbox          (one transaction for a group of deliveries)
advance   windows that have closed -> post -> seal      (one transaction)
export    postings -> series -> OTLP metrics            (one transaction)
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spanledger.core.batch import Scalar
from spanledger.core.delivery import Delivery, Encoding, Receipt, Route
from spanledger.core.enrichment import attributes_for
from spanledger.core.errors import PermanentError
from spanledger.core.limits import DEFAULT_LIMITS
from spanledger.core.metering import Meter
from spanledger.core.posting import Charge, Latest, reconcile
from spanledger.core.reasons import Reason
from spanledger.core.redaction import Redaction
from spanledger.core.settling import Beside, Policy, Prices, Sighting, charge_for, rules_digest, settle
from spanledger.core.signals import signal_key, told_by
from spanledger.core.tally import TallyKey, duplicate_tallies, tally_increments
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.turn import Turn
from spanledger.core.usage import ActivityPoint, ControlPoint, Evidence, Problem, Signal, UsageRecord
from spanledger.core.verdict import Hints
from spanledger.core.views import SeriesKey, series_increments
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.series import Crowding
from spanledger.otlp.claims import claim, unclaimed
from spanledger.otlp.decode import decode_groups
from spanledger.otlp.enrich import enrich
from spanledger.otlp.frame import Group, read_frame
from spanledger.otlp.otlp_json import to_protobuf
from spanledger.otlp.redact import redact
from spanledger.otlp.screen import Screener
from spanledger.service.reconciliation import Arrival, Reconciler
from spanledger.service.turns import turn_sum

_TOLD_MAX = 5
"""Problems that an answer tells of."""

_WAITS_MAX = 2
"""What waits is due within this many waits: times are rounded up to whole ones."""

_STEP_MAX = 1_000
"""Buckets or payloads that one transaction of `advance` takes, so that deliveries need not wait long."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much and how long the outbox keeps for a destination that does not take it."""

    max_bytes: int = 2**63 - 1
    max_age_nano: int = 2**62


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the pipeline. What no route takes is not put in the outbox."""

    policy: Policy
    routes: tuple[Route, ...] = ()
    outbox: OutboxLimits = OutboxLimits()
    gen_ai_cost: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery that was read: the protobuf body that goes on and what it says.

    `places` locate `usage` in it, `turn_places` its turns.
    """

    signal: Signal
    body: bytes
    usage: tuple[UsageRecord | None, ...]
    places: tuple[int, ...]
    points: tuple[ControlPoint, ...]
    activity: tuple[ActivityPoint, ...]
    turns: tuple[Turn, ...]
    turn_places: tuple[int, ...]
    problems: tuple[Problem, ...]
    waits_for_join: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a group of deliveries.

    `duplicates` are usage records that were there already; `not_forwarded` counts by destination payloads
    that it will not get, for its part of the outbox is full; `rejected` counts the records that were refused alone.
    """

    receipts: tuple[Receipt, ...]
    records: int
    duplicates: int
    not_forwarded: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Settled:
    """Charges that stand after a settlement, by call, the call of each record, and the model that its span asked for.

    `posted` are the sightings that are charged by now and were not before.
    """

    calls: Mapping[str, str]
    charges: Mapping[str, Charge]
    asked: Mapping[str, str]
    posted: Sequence[Sighting]

    def arrival_of(self, sighting: Sighting) -> Arrival:
        record = sighting.record
        call = self.calls.get(record.identity, "")
        return Arrival(record, self.charges.get(call), self.asked.get(call, ""))

    def charge_of(self, record: UsageRecord) -> Charge | None:
        return self.charges.get(self.calls.get(record.identity, ""))


DEFAULT_SCREENER = Screener(DEFAULT_LIMITS)


def prepare(
    delivery: Delivery,
    meter: Meter,
    redaction: Redaction | None = None,
    screener: Screener = DEFAULT_SCREENER,
) -> Prepared:
    """Hold a delivery against the limits, write its tenant on it, redact, decode and meter it.

    Nothing after this has seen what a rule of redaction drops.

    Raises:
        PermanentError: the body cannot be read, is over a limit, or no record of it is left.
    """
    signal, body = delivery.signal, delivery.body
    unreadable: tuple[Problem, ...] = ()
    if delivery.encoding is Encoding.JSON:
        converted = to_protobuf(signal, body, screener.limits)
        body, unreadable = converted.body, converted.problems
    screened = screener.screen(signal, body)
    refused = (*unreadable, *screened.problems)
    if refused and not screened.records:
        raise PermanentError(f"no record is left: {_told(refused)}", refused[0].reason)
    body = unclaimed(screened.body) if delivery.tenant is None else claim(signal, screened.body, delivery.tenant)
    if redaction is not None:
        redacted = redact(signal, body, redaction)
        body, refused = redacted.body, (*refused, *redacted.problems)
    groups = screened.groups if body is screened.body else read_frame(signal, body)
    return _prepared(signal, body, groups, meter, refused)


def _prepared_again(signal: Signal, body: bytes, meter: Meter) -> Prepared:
    """Decode and meter a payload that was held against the limits when it came."""
    return _prepared(signal, body, read_frame(signal, body), meter, ())


def _prepared(
    signal: Signal, body: bytes, groups: Sequence[Group], meter: Meter, refused: tuple[Problem, ...]
) -> Prepared:
    batch = decode_groups(signal, groups)
    metered = meter.meter(batch)
    return Prepared(
        signal=signal,
        body=body,
        usage=metered.usage,
        places=batch.places,
        points=metered.points,
        activity=metered.activity,
        turns=metered.turns,
        turn_places=batch.turn_places,
        problems=(*refused, *metered.problems),
        waits_for_join=batch.waits_for_join,
    )


class Pipeline:
    """Books deliveries in a ledger. One thread at a time; the clock is an argument (Unix nanoseconds)."""

    def __init__(self, ledger: Ledger, prices: Prices, meter: Meter, options: Options) -> None:
        self._ledger = ledger
        self._prices = prices
        self._meter = meter
        self._options = options
        self._reconciler = Reconciler(ledger, options.policy)

    @property
    def prices(self) -> Prices:
        """What is priced by now."""
        return self._prices

    @property
    def outbox_max_age_nano(self) -> int:
        """How long a payload waits for a destination at most."""
        return self._options.outbox.max_age_nano

    def use(self, prices: Prices) -> None:
        """Price by these from now on. What is posted stands; what is due by then should be posted before."""
        with self._ledger.transaction():
            self._ledger.note_prices(prices.book.id, rules_digest(prices, self._options.policy))
        self._prices = prices

    def accept(self, group: Sequence[Prepared], now_unix_nano: int) -> Accepted:
        """Make a group of deliveries durable: evidence, postings, control points and outbox in one transaction.

        The effects of the whole service are numbered where they happen, each with what a kill before it leaves.
        """
        records = [record for prepared in group for record in prepared.usage if record is not None]
        # Effect 1: the transaction is written, not yet committed. A kill leaves nothing of it; no sender has an answer.
        with self._ledger.transaction():
            evidence = self._ledger.evidence.of_buckets({record.bucket for record in records})
            known = frozenset(evidence)
            fresh, repeated = _sift(records, evidence, now_unix_nano)
            self._ledger.evidence.add(fresh)
            for sighting in fresh:
                evidence.setdefault(sighting.record.bucket, []).append(sighting)
            settled = self._settle(evidence, now_unix_nano, known=known)
            self._ledger.begin(now_unix_nano)
            points = [point for prepared in group for point in prepared.points]
            self._reconciler.take_back(settled.posted, self._prices, now_unix_nano)
            self._reconciler.note(map(settled.arrival_of, fresh), points, self._prices, now_unix_nano)
            told = told_by(evidence, fresh, self._options.policy) | duplicate_tallies(repeated)
            self._tally(group, told, now_unix_nano)
            not_forwarded = Tally(
                destination
                for prepared in group
                for destination in self._put_in_outbox(prepared, settled, now_unix_nano)
            )
            # Effect 2: COMMIT and its fsync, on leaving this block. A kill before it leaves nothing, as after effect 1;
            # after it the group is booked though no sender knows: one that sends again sends duplicates.
        rejected = Tally(problem.reason for prepared in group for problem in prepared.problems)
        taken = len(records) + sum(len(prepared.points) for prepared in group)
        return Accepted(tuple(map(_receipt, group)), taken, len(repeated), not_forwarded, rejected)

    def advance(self, now_unix_nano: int) -> bool:
        """Post the spans whose window has closed, then seal the payloads that waited. True when there may be more."""
        with self._ledger.transaction():
            due = self._ledger.evidence.due_buckets(now_unix_nano, _STEP_MAX)
            if due:
                evidence = self._ledger.evidence.of_buckets(due)
                settled = self._settle(evidence, now_unix_nano, known=frozenset(due))
                self._reconciler.take_back(settled.posted, self._prices, now_unix_nano)
                self._reconciler.note(map(settled.arrival_of, settled.posted), (), self._prices, now_unix_nano)
            if len(due) == _STEP_MAX:
                return True
            ripe = self._ledger.outbox.ripe(now_unix_nano, _STEP_MAX)
            for payload in ripe:
                prepared = _prepared_again(payload.signal, payload.body, self._meter)
                buckets = {record.bucket for record in prepared.usage if record is not None}
                evidence = self._ledger.evidence.of_buckets(buckets)
                settled = self._settle(evidence, now_unix_nano, known=frozenset(evidence))
                self._ledger.outbox.seal(payload, self._enriched(prepared, settled, now_unix_nano))
            # Effect 4: COMMIT. A kill before it leaves everything as due as it was: the same evidence gives the same
            # postings and the same sealed bytes at the next start.
            return self._reconciler.advance(self._prices, now_unix_nano) or len(ripe) == _STEP_MAX

    def next_advance_unix_nano(self) -> int | None:
        """When `advance` will next have something to do; None when nothing waits."""
        times = (
            self._ledger.evidence.next_due_unix_nano(),
            self._ledger.outbox.next_ripe_unix_nano(),
            self._reconciler.next_due_unix_nano(),
        )
        return min((at for at in times if at is not None), default=None)

    def follow_clock(self, now_unix_nano: int) -> None:
        """See that nothing waits longer than it should because the clock was set back since it came.

        What would wait longer than anything can is due now. Ages begin now too: when it came nobody knows any more.
        """
        beyond = now_unix_nano + _WAITS_MAX * self._reconciler.wait_nano + NANO_PER_SECOND
        stores = (self._ledger.evidence, self._ledger.outbox, self._ledger.residuals)
        if not any(store.waits_beyond(beyond) for store in stores):
            return
        with self._ledger.transaction():
            for store in stores:
                store.hasten(beyond, now_unix_nano)

    def fold(self, now_unix_nano: int) -> Crowding:
        """Fold what came since into the series: postings and tallies; give which labels did not fit."""
        series, last_id = self._ledger.series, self._ledger.postings.last_id()
        grown = self._ledger.tallies.grown()
        if last_id == series.watermark and not grown:
            return Crowding()
        totals = self._ledger.postings.totals(after_id=series.watermark, to_id=last_id)
        increments = series_increments(totals) | tally_increments(grown)
        with self._ledger.transaction():
            # Effect 7: COMMIT of series and watermark together. A kill before it leaves both where they were, and the
            # next fold adds the same postings: each is in the series once.
            self._ledger.tallies.fold()
            return series.add(increments, to_posting_id=last_id, now_unix_nano=now_unix_nano)

    def prime(self, destination: str, at_unix_nano: int, keys: Collection[SeriesKey] | None = None) -> None:
        """Note that an export of these series, or of all, of a time, arrived at a destination."""
        series = self._ledger.series
        heard = (state for state in series.states() if keys is None or state.key in keys)
        if series.told_since(destination) is not None and all(destination in state.primed_at for state in heard):
            return
        with self._ledger.transaction():
            # Effect 9: COMMIT. A kill before it makes the series say 0 once more to a destination that heard just that.
            series.prime(destination, at_unix_nano, keys)

    def expire(self, now_unix_nano: int) -> Mapping[str, int]:
        """Drop payloads that no destination took for too long; give how many each will not get."""
        before = now_unix_nano - self.outbox_max_age_nano
        oldest = self._ledger.outbox.oldest_unix_nano()
        if oldest is None or oldest >= before:
            return {}
        with self._ledger.transaction():
            return self._ledger.outbox.expire(before, _STEP_MAX)

    def _settle(
        self, evidence: Mapping[str, Sequence[Sighting]], now_unix_nano: int, *, known: frozenset[str]
    ) -> _Settled:
        """Bring buckets to the state that their evidence asks for. Only `known` buckets can have postings already."""
        calls: dict[str, str] = {}
        charged: list[Sighting] = []
        waiting: list[Sighting] = []
        waits: dict[str, int] = {}
        asked: dict[str, str] = {}
        identities: list[str] = []
        for bucket, sightings in evidence.items():
            settlement = settle(sightings, self._options.policy, now_unix_nano)
            calls.update(settlement.calls)
            charged.extend(settlement.charged)
            asked.update(settlement.asked)
            waiting.extend(settlement.waiting)
            if bucket in known:
                identities.extend(settlement.calls)
            if settlement.wait_until_unix_nano is not None:
                waits[bucket] = settlement.wait_until_unix_nano
        latest = self._ledger.postings.latest(identities) if identities else {}
        desired = {s.record.identity: latest[s.record.identity].charge for s in waiting if _stands(s, latest)}
        posted: list[Sighting] = []
        for sighting in charged:
            if _stands(sighting, latest):
                desired[sighting.record.identity] = latest[sighting.record.identity].charge
            else:
                desired[sighting.record.identity] = self._charge(sighting, asked)
                posted.append(sighting)
        self._ledger.postings.add(reconcile(desired, latest, now_unix_nano))
        self._ledger.evidence.stop_waiting(known - waits.keys())
        self._ledger.evidence.wait(waits)
        return _Settled(calls, desired, asked, posted)

    def _charge(self, sighting: Sighting, asked: Mapping[str, str]) -> Charge:
        """The charge of a call as its bucket tells it; the client's sums may tell more later."""
        is_log = sighting.record.evidence is Evidence.LOG
        beside = Beside(Hints(asked=asked.get(sighting.record.identity, ""))) if is_log else None
        return charge_for(sighting, self._prices, self._options.policy, beside)

    def _tally(self, group: Sequence[Prepared], told: Mapping[TallyKey, int], now_unix_nano: int) -> None:
        """Keep data points, and add to the tallies what is new in them and what records told."""
        began = self._ledger.began_unix_nano
        points = (point for prepared in group for point in prepared.points)
        grown = self._ledger.control.add(points, now_unix_nano, began)
        by_metric = {signal_key(source, Signal.METRICS): tokens for source, tokens in grown.items()}
        self._ledger.tallies.add({**told, **by_metric})
        activity = [point for prepared in group for point in prepared.activity]
        self._ledger.tallies.add_points(activity, began)

    def _put_in_outbox(self, prepared: Prepared, settled: _Settled, now_unix_nano: int) -> Sequence[str]:
        """Keep a payload for the destinations that take its signal; give those that have no room for it."""
        outbox, size_max = self._ledger.outbox, self._options.outbox.max_bytes - len(prepared.body)
        wanted = [route.destination for route in self._options.routes if prepared.signal in route.signals]
        roomy = [destination for destination in wanted if outbox.pending_bytes(destination) <= size_max]
        if not roomy:
            return wanted
        ready = now_unix_nano + (self._options.policy.join_window_nano if prepared.waits_for_join else 0)
        sealed = ready <= now_unix_nano
        body = self._enriched(prepared, settled, now_unix_nano) if sealed else prepared.body
        outbox.add(prepared.signal, body, roomy, received_unix_nano=now_unix_nano, ready_unix_nano=ready, sealed=sealed)
        return [destination for destination in wanted if destination not in roomy]

    def _enriched(self, prepared: Prepared, settled: _Settled, now_unix_nano: int) -> bytes:
        additions: dict[int, dict[str, Scalar]] = {
            place: attributes_for(record, settled.charge_of(record), gen_ai_cost=self._options.gen_ai_cost)
            for place, record in zip(prepared.places, prepared.usage, strict=True)
            if record is not None
        }
        for place, turn in zip(prepared.turn_places, prepared.turns, strict=True):
            additions[place] = turn_sum(self._ledger, self._prices, self._options.policy, turn, now_unix_nano)
        return enrich(prepared.signal, prepared.body, additions) if additions else prepared.body


def _sift(
    records: Iterable[UsageRecord], evidence: Mapping[str, Sequence[Sighting]], now_unix_nano: int
) -> tuple[list[Sighting], list[UsageRecord]]:
    """Tell records that are not in the evidence yet, each once, from those that are."""
    seen = {(s.record.evidence, s.record.digest) for sightings in evidence.values() for s in sightings}
    fresh: list[Sighting] = []
    repeated: list[UsageRecord] = []
    for record in records:
        if (record.evidence, record.digest) in seen:
            repeated.append(record)
            continue
        seen.add((record.evidence, record.digest))
        fresh.append(Sighting(record, now_unix_nano))
    return fresh, repeated


def _stands(sighting: Sighting, latest: Mapping[str, Latest]) -> bool:
    """Whether a record is charged already."""
    last = latest.get(sighting.record.identity)
    return last is not None and last.live and last.charge.record_digest == sighting.record.digest


def _receipt(prepared: Prepared) -> Receipt:
    if not prepared.problems:
        return Receipt()
    return Receipt(len(prepared.problems), _told(prepared.problems))


def _told(problems: Sequence[Problem]) -> str:
    """A few of the problems, in words."""
    reasons = sorted({f"{problem.reason}: {problem.detail}" for problem in problems})
    return "; ".join(reasons[:_TOLD_MAX])
