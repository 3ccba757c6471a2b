"""Assessment: what the calls of a stretch and the client's sums of it say together, by a price book."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from spanledger.core.attempts import ATTEMPTS_NANO, Excess, Remainder, holding_attempts
from spanledger.core.book import PriceBook
from spanledger.core.client_prices import ClientPricing, Origin
from spanledger.core.posting import Charge, Status
from spanledger.core.rating_input import RatingInput
from spanledger.core.received import Alias, ModelNames
from spanledger.core.recounts import may_be_recounts
from spanledger.core.residual import Held, Leftover, read_sums
from spanledger.core.residual_charge import Aliases, LongWrites, long_writes, residual_charge
from spanledger.core.settling import Beside, Policy, Prices, charge_for, held
from spanledger.core.usage import Evidence, Speed
from spanledger.core.verdict import Hints, Verdict, tells_itself
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled
from spanledger.service.stretches import BookNames, Call, Stretch, stretch_around

_OPEN_VERDICTS = (Verdict.UNEXPLAINED, Verdict.MANAGED_RATES, Verdict.INFERRED_FACTS)
"""Verdicts that a residual knows better: figures may happen to differ by a round factor or the price of searches."""


@dataclass(frozen=True, slots=True)
class Residual:
    """The charge of what is left of a line."""

    charge: Charge
    leftover: Leftover


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a stretch says. `residuals` are by identity; `charges` are those of calls that it may tell more of.

    `aliases` are all that is known of the user's names, with what the stretch adds; `learnt` is what it adds.
    """

    stretch: Stretch
    residuals: Mapping[str, Residual]
    charges: Mapping[str, Charge]
    aliases: Aliases
    learnt: frozenset[Alias]


def assess(ledger: Ledger, prices: Prices, policy: Policy, what: Unreconciled, now_unix_nano: int) -> Assessment:
    """Assess the stretch around a time of a group; reads only."""
    known = ledger.residuals.aliases(what.source)
    known_for = _unambiguous(known, prices.book)
    names = BookNames(prices.book, known_for)
    stretch, since = _stretch(ledger, policy, what, known_for, now_unix_nano)
    any_fast = any(line.speed is Speed.FAST for span in stretch.intervals for line in span.lines)
    open_calls = {
        call.received.identity: call
        for call in stretch.calls
        if call.group == what.source.group
        and call.received.end_unix_nano >= since
        and _is_open(call, prices, policy, any_fast=any_fast)
    }
    reading = read_sums(stretch.intervals, [call.received for call in stretch.calls], names, open_calls)
    found = reading.aliases | {alias for call in stretch.calls if (alias := _alias(call, names)) is not None}
    aliases = _unambiguous(known | found, prices.book)
    residuals: dict[str, Residual] = {}
    shares: dict[str, LongWrites] = {}
    settled = {span.end_unix_nano for span in stretch.settled}
    for leftover in reading.leftovers:
        writes = long_writes(leftover, prices)
        shares.update(dict.fromkeys(writes.of_calls, writes))
        if leftover.end_unix_nano in settled and any(leftover.counts) and not _is_recount(leftover, policy):
            start, end = leftover.start_unix_nano, leftover.end_unix_nano
            senders = ledger.residuals.senders_of(what.source)
            received = ledger.control.received_unix_nano(senders, start, end)
            occurred = held(end, received, policy.clock_skew_max_nano)
            charge = residual_charge(leftover, writes, prices, aliases, policy.basis_rules, occurred)
            if policy.recounts(leftover.source.client_version) and charge.status is not Status.UNPRICED:
                charge = replace(charge, status=Status.PROVISIONAL)
            residuals[charge.identity] = Residual(charge, leftover)
    beside = {
        identity: _beside(call, reading.held.get(identity), shares.get(identity), aliases)
        for identity, call in open_calls.items()
    }
    charges = {
        identity: charge_for(call.standing, prices, policy, beside[identity]) for identity, call in open_calls.items()
    }
    for identity in _holding_attempts(open_calls, charges, residuals.values(), prices):
        beside[identity] = replace(beside[identity], hints=replace(beside[identity].hints, holds_aborted=True))
        charges[identity] = charge_for(open_calls[identity].standing, prices, policy, beside[identity])
    return Assessment(stretch, residuals, charges, aliases, frozenset(found - known))


def _stretch(
    ledger: Ledger, policy: Policy, what: Unreconciled, aliases: Aliases, now_unix_nano: int
) -> tuple[Stretch, int]:
    """The stretch around a time, and since when all that may explain its calls is in it.

    Where there are or were residuals, attempts of a call may be in other intervals than the call.
    """
    stretch = stretch_around(ledger, policy, what, aliases, now_unix_nano)
    since, until = _hull(what, stretch)
    wider = replace(what, start_unix_nano=since - ATTEMPTS_NANO, end_unix_nano=until + ATTEMPTS_NANO)
    if not ledger.residuals.identities(what.source.group, wider.start_unix_nano, wider.end_unix_nano):
        return stretch, since
    return stretch_around(ledger, policy, wider, aliases, now_unix_nano), since


def _hull(what: Unreconciled, stretch: Stretch) -> tuple[int, int]:
    """The time of a stretch with all its calls and intervals."""
    ends = [call.received.end_unix_nano for call in stretch.calls]
    starts = [what.start_unix_nano, *ends, *(span.start_unix_nano for span in stretch.intervals)]
    return min(starts), max(what.end_unix_nano, *ends, *(span.end_unix_nano for span in stretch.intervals), 0)


def tells_more(last: Charge, charge: Charge) -> bool:
    """Whether a charge of the same record stands on other facts than the last one.

    Other prices of the same facts are no reason to correct: repricing is a command.
    """
    got_a_price = (last.status is Status.UNPRICED) != (charge.status is Status.UNPRICED)
    if got_a_price and charge.account.served_model == last.account.served_model:
        return False
    return _facts(charge) != _facts(last)


def _facts(charge: Charge) -> tuple[object, ...]:
    account = charge.account
    stated = (charge.tokens, account.speed, account.served_model, charge.price.modifiers)
    return (*stated, charge.evidence, charge.status, charge.verdict)


def _is_open(call: Call, prices: Prices, policy: Policy, *, any_fast: bool) -> bool:
    """Whether other signals may tell more of a call than the record that it is charged from.

    `any_fast`: the sums around it hold some call that was served fast.
    """
    record = call.standing.record
    if (any_fast or record.speed is Speed.FAST) and not prices.clients.has_table(record.source.client_version):
        return True
    if call.log is None or record.client_cost_picousd is None:
        return call.log is None
    occurred = held(record.time_unix_nano, call.standing.received_unix_nano, policy.clock_skew_max_nano)
    stated = RatingInput(record.source.provider, record.model, occurred, record.tokens, record.speed)
    version = record.source.client_version
    return not tells_itself(prices.book, prices.clients, version, stated, record.client_cost_picousd)


def _beside(call: Call, on_line: Held | None, writes: LongWrites | None, aliases: Aliases) -> Beside:
    asked = call.received.asked or ("" if on_line is None else on_line.line.model)
    hints = Hints(asked, None if on_line is None else on_line.line.speed)
    if call.log is not None:
        return Beside(hints)
    return Beside(
        hints,
        served=aliases.get(asked, ""),
        cost_picousd=None if on_line is None else on_line.cost_picousd,
        long_writes=None if writes is None else writes.of_calls[call.received.identity],
        writes_are_certain=writes is not None and writes.is_certain,
    )


def _holding_attempts(
    calls: Mapping[str, Call], charges: Mapping[str, Charge], residuals: Iterable[Residual], prices: Prices
) -> set[str]:
    """Calls whose figure holds what residuals cost; both as a client prices, without regional premium or contract."""
    at_list = ClientPricing(Origin.LIST, prices.book)
    costs = [(one.leftover, cost) for one in residuals if (cost := at_list.cost_picousd(_call_of(one.charge)))]
    remainders = [Remainder(one.line.query_class, one.start_unix_nano, one.end_unix_nano, cost) for one, cost in costs]
    excesses = []
    for identity, call in calls.items() if remainders else ():
        charge = charges[identity]
        if call.log is None or charge.verdict not in _OPEN_VERDICTS:
            continue
        own = at_list.cost_picousd(replace(_call_of(charge), tokens=call.log.record.tokens, speed=call.received.speed))
        if own is not None:
            over = (charge.client_cost_picousd or 0) - own
            excesses.append(Excess(identity, call.received.query_class, call.received.end_unix_nano, over))
    return holding_attempts(excesses, remainders)


def _call_of(charge: Charge) -> RatingInput:
    """What a charge prices; a residual's prompts are those of single calls."""
    account = charge.account
    return RatingInput(
        provider=account.provider,
        model=account.served_model,
        at_unix_nano=charge.occurred_unix_nano,
        tokens=charge.tokens,
        speed=account.speed,
        prompt_tokens=0 if charge.evidence is Evidence.METRIC else None,
    )


def _is_recount(leftover: Leftover, policy: Policy) -> bool:
    """Whether what is left of a line may be extra frames of its calls, which nobody served."""
    calls = [call.counts for call in leftover.calls]
    return policy.recounts(leftover.source.client_version) and may_be_recounts(leftover.counts, calls)


def _alias(call: Call, names: ModelNames) -> Alias | None:
    """What the span and the log of one call say of a name that is no model's."""
    if call.log is None or call.span is None or names.known(call.span.record.model):
        return None
    return Alias(call.span.record.model, call.log.record.model)


def _unambiguous(aliases: Iterable[Alias], book: PriceBook) -> Aliases:
    """What each name stands for that is no model's; an alias of several models is left out."""
    served: dict[str, set[str]] = {}
    for alias in aliases:
        if book.resolve(alias.asked).prices is None:
            served.setdefault(alias.asked, set()).add(alias.served)
    return {asked: models.pop() for asked, models in served.items() if len(models) == 1}
