"""Settling: which records are one call, which of them the charge stands on, and when.

A bucket holds all records that could be of one call: those of a request id; or, without one, those of one session and
token counts, paired by trace, parent span and time. Its settlement is a function of the set of records and the time
alone, so order, repetition and batching cannot change a balance (design §3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spanledger.core.attribution import Purpose, account_of, cost_center_of
from spanledger.core.basis import DEFAULT_BASIS_RULES, BasisRule, basis_of
from spanledger.core.book import PriceBook
from spanledger.core.client_prices import ClientPrices, VersionRange
from spanledger.core.control import Counts
from spanledger.core.defaults import Assumption, Defaults, tells_writes
from spanledger.core.digest import digest_of
from spanledger.core.hypotheses import with_long_writes
from spanledger.core.posting import Charge, Price, Status
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.recounts import may_be_recounts
from spanledger.core.tariff import Quote, Tariff, Unpriced
from spanledger.core.usage import Evidence, Speed, Tokens, UsageRecord
from spanledger.core.verdict import NO_HINTS, Hints, Judgement, Verdict, judge


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record of evidence and when it was received."""

    record: UsageRecord
    received_unix_nano: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of settling, in nanoseconds.

    A span waits `join_window` for its log. Without a request id, a log and a span are one call when the log's time and
    the span's end are within `join_tolerance`. A client's clock that is off by more than `clock_skew_max` is not used.
    What came is held against the client's sums `residual_wait` later. The records and sums of `recounting` versions may
    hold a reply more than once.
    """

    join_window_nano: int
    join_tolerance_nano: int
    clock_skew_max_nano: int
    residual_wait_nano: int = 0
    recounting: tuple[VersionRange, ...] = ()
    basis_rules: tuple[BasisRule, ...] = DEFAULT_BASIS_RULES

    def recounts(self, client_version: str) -> bool:
        """Whether a version counts a streamed reply again for each further frame of usage."""
        return any(versions.holds(client_version) for versions in self.recounting)


@dataclass(frozen=True, slots=True)
class Settlement:
    """State that a bucket should be in.

    `calls` maps the identity of each record to the identity of its call. `standing` is the best sighting of each call
    and signal. `charged` are the sightings to charge, `waiting` those that wait for their log; a clock that steps back
    can make one wait that was charged, which is no reason to take it back. `wait_until_unix_nano` is when a span's
    window closes, None when nothing waits. `asked` is the model that a log's call was asked of, by the log's identity,
    where a span tells it.
    """

    calls: Mapping[str, str]
    standing: tuple[Sighting, ...]
    charged: tuple[Sighting, ...]
    waiting: tuple[Sighting, ...]
    wait_until_unix_nano: int | None
    asked: Mapping[str, str]


def settle(sightings: Sequence[Sighting], policy: Policy, now_unix_nano: int) -> Settlement:
    """Settle one bucket: every log is charged at once; a span without a log is charged when its window has closed."""
    logs = standing_by_identity((s for s in sightings if s.record.evidence is Evidence.LOG), policy)
    spans = standing_by_identity((s for s in sightings if s.record.evidence is Evidence.SPAN), policy)
    calls = {identity: identity for identity in (*logs, *spans)}
    if any(not s.record.request_id for s in sightings):
        calls.update(_pair(logs.values(), spans.values(), policy.join_tolerance_nano))
    lone = [span for identity, span in spans.items() if calls[identity] not in logs]
    due = {span.record.identity: span.received_unix_nano + policy.join_window_nano for span in lone}
    waiting = tuple(span for span in lone if _waits(span, policy, now_unix_nano))
    charged = (*logs.values(), *(span for span in lone if not _waits(span, policy, now_unix_nano)))
    wait_until = min((due[span.record.identity] for span in waiting), default=None)
    asked = {calls[identity]: span.record.model for identity, span in spans.items()}
    return Settlement(calls, (*logs.values(), *spans.values()), charged, waiting, wait_until, asked)


def _waits(span: Sighting, policy: Policy, now_unix_nano: int) -> bool:
    """Whether a lone span's window is open.

    It is not when the span seems to come later than a window from now: the clock was set back since it came, and it has
    waited as long as anybody can tell.
    """
    return abs(now_unix_nano - span.received_unix_nano) < policy.join_window_nano


_JUDGED_MAX = 4_096
"""Judgements that are remembered; beyond that it starts afresh."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The price book, how clients price, and what is configured of calls that their telemetry does not say."""

    book: PriceBook
    clients: ClientPrices
    defaults: Defaults = field(default_factory=Defaults)
    _judged: dict[tuple[str, RatingInput, int, Hints], Judgement] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def judge(
        self, client_version: str, call: RatingInput, client_cost_picousd: int, hints: Hints = NO_HINTS
    ) -> Judgement:
        """Explain a client's figure, see `core.verdict`. What takes a search is remembered, a bounded number."""
        key = (client_version, call, client_cost_picousd, hints)
        known = self._judged.get(key)
        if known is not None:
            return known
        judgement = judge(self.book, self.clients, client_version, call, client_cost_picousd, hints)
        if judgement.verdict is not Verdict.EQUAL:
            if len(self._judged) >= _JUDGED_MAX:
                self._judged.clear()
            self._judged[key] = judgement
        return judgement


def rules_digest(prices: Prices, policy: Policy) -> str:
    """Name the settings that figures depend on besides the price book: when equal, evidence is booked alike."""
    times = (policy.join_tolerance_nano, policy.clock_skew_max_nano)
    return digest_of(*map(str, times), *(rule.text for rule in policy.basis_rules), prices.defaults.text)


ANNOUNCED = "price announced, not confirmed since"
"""Stands beside a price whose row nobody has confirmed after it came to hold."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What other signals say of a call beside the record that it is charged from.

    `served` is the model that an alias asked for stands for; `cost_picousd` the client's figure where the record has
    none; `long_writes` how many of its open cache writes were for an hour, for certain if `writes_are_certain`. Each is
    empty where nothing says it.
    """

    hints: Hints = NO_HINTS
    served: str = ""
    cost_picousd: int | None = None
    long_writes: int | None = None
    writes_are_certain: bool = False


def charge_for(sighting: Sighting, prices: Prices, policy: Policy, beside: Beside | None = None) -> Charge:
    """Rate and attribute the record that a call is charged from, with what is known beside it.

    Where a cost figure gives away a fact that no record states, the fact is taken (evidence `inferred`). A span is
    provisional until the client's sums had their time to tell more (`beside` is not None).
    """
    record, book = sighting.record, prices.book
    occurred = held(record.time_unix_nano, sighting.received_unix_nano, policy.clock_skew_max_nano)
    known = prices.defaults.of(record.source, record.query_class)
    call = known.placed(_stated(record, occurred, beside))
    figure = record.client_cost_picousd
    if figure is None and beside is not None:
        figure = beside.cost_picousd
    judgement = None
    if figure is not None:
        hints = NO_HINTS if beside is None else beside.hints
        judgement = prices.judge(record.source.client_version, call, figure, hints)
    told = call if judgement is None else judgement.call
    if beside is not None and beside.long_writes is not None and told.tokens.cache_write_unspecified:
        told = replace(told, tokens=with_long_writes(told.tokens, beside.long_writes))
    told, assumptions = known.filled_in(told)
    quoted = quote(book, told, cost_center_of(record.source))
    outcome = quoted.charged
    served = replace(record.source, provider=told.provider)
    return Charge(
        identity=record.identity,
        record_digest=record.digest,
        evidence=_evidence(record, call, judgement),
        status=_status(record, outcome, told.tokens, judgement, beside, assumptions),
        source=record.source,
        account=account_of(
            served,
            basis=basis_of(served, policy.basis_rules),
            model=outcome.model,
            served_model=told.model,
            query_class=record.query_class,
            speed=told.speed,
            purpose=Purpose.of(record),
        ),
        price=price_of(book, quoted, assumptions),
        tokens=told.tokens,
        client_cost_picousd=record.client_cost_picousd,
        occurred_unix_nano=occurred,
        verdict=None if judgement is None or record.client_cost_picousd is None else judgement.verdict,
    )


def _stated(record: UsageRecord, occurred_unix_nano: int, beside: Beside | None) -> RatingInput:
    """The call as its record states it. A span says the speed asked for: where sums tell the one served, it is that."""
    model, speed = record.model, record.speed
    if beside is not None:
        model = beside.served or model
        if record.evidence is Evidence.SPAN:
            speed = beside.hints.speed or speed
    return RatingInput(record.source.provider, model, occurred_unix_nano, record.tokens, speed)


def _evidence(record: UsageRecord, stated: RatingInput, judgement: Judgement | None) -> Evidence:
    """The record's signal, or `inferred`; that sums tell the cache writes of a span apart is no inference."""
    if judgement is None or not judgement.inferred:
        return record.evidence
    if record.evidence is Evidence.SPAN and replace(judgement.call, tokens=stated.tokens) == stated:
        searched = judgement.call.tokens.web_search != stated.tokens.web_search
        return Evidence.INFERRED if searched else record.evidence
    return Evidence.INFERRED


def standing_by_identity(sightings: Iterable[Sighting], policy: Policy) -> dict[str, Sighting]:
    """Of the records of each call in one signal give the one that stands, by what they say, never by which came first.

    Records of one reply that was told in parts hold usage that grows: the most of each count stands, once. A record
    that may hold another one and extra frames of it does not stand.
    """
    several: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        several.setdefault(sighting.record.identity, []).append(sighting)
    return {identity: same[0] if len(same) == 1 else _together(same, policy) for identity, same in several.items()}


def _together(several: Sequence[Sighting], policy: Policy) -> Sighting:
    """What several records of one call and signal say together; a record of its own where none says it all."""
    sightings = [one for one in several if not _holds_another(one, several, policy)]
    best = max(sightings, key=_fullness)
    tokens = _most([sighting.record.tokens for sighting in sightings])
    cost = max(
        (s.record.client_cost_picousd for s in sightings if s.record.client_cost_picousd is not None), default=None
    )
    if (tokens, cost) == (best.record.tokens, best.record.client_cost_picousd):
        return best
    digest = digest_of(*sorted({sighting.record.digest for sighting in sightings}))
    return replace(best, record=replace(best.record, tokens=tokens, client_cost_picousd=cost, digest=digest))


def _holds_another(sighting: Sighting, several: Sequence[Sighting], policy: Policy) -> bool:
    if not policy.recounts(sighting.record.source.client_version):
        return False
    counts = Counts.of(sighting.record.tokens)
    others = (Counts.of(other.record.tokens) for other in several)
    return any(may_be_recounts(counts.minus(other), [other]) for other in others)


def _fullness(sighting: Sighting) -> tuple[bool, bool, bool, int, int, int, str]:
    told, tokens = sighting.record, sighting.record.tokens
    whom = (bool(told.source.session_id), bool(told.source.user))
    cost = told.client_cost_picousd or 0
    return (*whom, tokens.cache_write_unspecified == 0, tokens.total, cost, told.time_unix_nano, told.digest)


def _most(several: Sequence[Tokens]) -> Tokens:
    """The most of each count; of cache writes the split that tells most of them apart."""
    most = Tokens(*map(max, zip(*several, strict=True)))
    split = max(several, key=lambda tokens: (tokens.cache_write - tokens.cache_write_unspecified, tokens))
    written = max(tokens.cache_write for tokens in several)
    return most._replace(
        cache_write_5m=split.cache_write_5m,
        cache_write_1h=split.cache_write_1h,
        cache_write_unspecified=written - split.cache_write_5m - split.cache_write_1h,
    )


def _pair(logs: Iterable[Sighting], spans: Iterable[Sighting], tolerance_nano: int) -> dict[str, str]:
    """Pair spans with logs of the same bucket: those of one trace and parent, then those whose log names none."""
    placed: dict[tuple[str, str], tuple[list[Sighting], list[Sighting]]] = {}
    for log in logs:
        placed.setdefault(_joint(log), ([], []))[0].append(log)
    for span in spans:
        placed.setdefault(_joint(span), ([], []))[1].append(span)
    adrift, left = placed.pop(_NOWHERE, ([], []))
    pairs: dict[str, str] = {}
    for inside, several in placed.values():
        pairs.update(_pair_by_time(inside, several, tolerance_nano))
    left += [span for _, several in placed.values() for span in several if span.record.identity not in pairs]
    return pairs | _pair_by_time(adrift, left, tolerance_nano)


_NOWHERE = ("", "")


def _joint(sighting: Sighting) -> tuple[str, str]:
    """Trace and parent span of a record; nowhere when one is missing."""
    record = sighting.record
    joint = (record.trace_id, record.parent_span_id)
    return joint if all(joint) else _NOWHERE


def _pair_by_time(logs: Iterable[Sighting], spans: Iterable[Sighting], tolerance_nano: int) -> dict[str, str]:
    """Pair spans with logs, as many as can be, by walking both in order of time.

    On points of a line with one tolerance this walk leaves the fewest without a partner.
    """
    waiting = sorted(logs, key=_time_order)
    pairs: dict[str, str] = {}
    next_log = 0
    for span in sorted(spans, key=_time_order):
        end = span.record.time_unix_nano
        while next_log < len(waiting) and waiting[next_log].record.time_unix_nano < end - tolerance_nano:
            next_log += 1
        if next_log < len(waiting) and waiting[next_log].record.time_unix_nano <= end + tolerance_nano:
            pairs[span.record.identity] = waiting[next_log].record.identity
            next_log += 1
    return pairs


def _time_order(sighting: Sighting) -> tuple[int, str]:
    return (sighting.record.time_unix_nano, sighting.record.digest)


def held(time_unix_nano: int, received_unix_nano: int, skew_max_nano: int) -> int:
    """The client's time, or the time of receipt when the client's is missing or too far off."""
    return time_unix_nano if abs(time_unix_nano - received_unix_nano) <= skew_max_nano else received_unix_nano


def _status(
    record: UsageRecord,
    outcome: Tariff | Unpriced,
    tokens: Tokens,
    judgement: Judgement | None,
    beside: Beside | None,
    assumptions: Sequence[Assumption],
) -> Status:
    if isinstance(outcome, Unpriced):
        return Status.UNPRICED
    has_bounds, has_doubts = bool(outcome.bounds_of(tokens)), not is_certain(outcome, assumptions)
    if record.evidence is not Evidence.SPAN:
        if has_bounds or (judgement is not None and judgement.is_open):
            return Status.LOWER_BOUND
        return Status.PROVISIONAL if has_doubts or _speed_is_open(record, judgement, beside) else Status.EXACT
    if beside is None or beside.hints.speed is None or has_bounds or has_doubts:
        return Status.PROVISIONAL  # a span says the speed asked for; only the sums hold the one served
    if judgement is not None:
        return Status.EXACT if judgement.explains else Status.PROVISIONAL
    told = not record.tokens.cache_write_unspecified or beside.writes_are_certain or tells_writes(assumptions)
    return Status.EXACT if told else Status.PROVISIONAL


def is_certain(outcome: Tariff, assumptions: Sequence[Assumption]) -> bool:
    """Whether a price stands on nothing that may turn out otherwise: a likely fact, a price that was only announced."""
    return not outcome.row.announced and all(one.is_certain for one in assumptions)


def price_of(book: PriceBook, quoted: Quote, assumptions: Sequence[Assumption] = ()) -> Price:
    """Say what rated a charge."""
    match quoted.charged:
        case Tariff() as tariff:
            return Price(
                price_book=book.id,
                price_row=tariff.row.id,
                rates=tariff.rates,
                list_rates=None if isinstance(quoted.listed, Unpriced) else quoted.listed.rates,
                modifiers=tariff.modifiers,
                bounds=tariff.bounds,
                assumed=(*(one.text for one in assumptions), *((ANNOUNCED,) if tariff.row.announced else ())),
            )
        case Unpriced(reason=reason, detail=detail):
            return Price(book.id, unpriced_reason=reason, unpriced_detail=detail)


def _speed_is_open(record: UsageRecord, judgement: Judgement | None, beside: Beside | None) -> bool:
    """Whether a log of a call that asked for fast inference leaves open how it was served.

    The client's figure tells, where anything explains it; else the speed of its sums.
    """
    is_told = (judgement is not None and judgement.explains) or (beside is not None and beside.hints.speed is not None)
    return record.speed is Speed.FAST and not is_told
