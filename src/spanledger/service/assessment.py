"""Assessment: what the calls of a stretch and the client's sums of it say together, by a price book."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from spanledger.core.attempts import explained_by_residuals
from spanledger.core.basis import basis_of
from spanledger.core.posting import Charge, Status
from spanledger.core.received import Alias, ModelNames
from spanledger.core.recounts import may_be_recounts
from spanledger.core.residual import Leftover, leftovers
from spanledger.core.residual_charge import Aliases, LongWrites, long_writes, residual_charge
from spanledger.core.settling import Policy, Prices, Sighting, charge_for, held
from spanledger.core.usage import QueryClass, Speed
from spanledger.core.verdict import Verdict, with_long_writes
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.residuals import Unreconciled
from spanledger.service.stretches import BookNames, Call, Stretch, stretch_around

_OPEN_VERDICTS = (Verdict.UNEXPLAINED, Verdict.MANAGED_RATES)
"""Verdicts that a residual knows better: any two figures may happen to differ by a round factor."""


@dataclass(frozen=True, slots=True)
class Residual:
    """The charge of what is left of a line."""

    charge: Charge
    leftover: Leftover


@dataclass(frozen=True, slots=True)
class Told:
    """What the client's sums tell of a call that they hold: the speed that it was served at, and how many of its cache
    writes were for an hour (None: they don't tell), and whether that is certain.
    """

    speed: Speed
    long: int | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a stretch says. `residuals` are by identity, `told` by the identity of a call.

    `aborted` are the calls whose client's figure holds attempts that were cut. `aliases` are all that is known of the
    user's names, with what the stretch adds; `learnt` is what it adds.
    """

    stretch: Stretch
    residuals: Mapping[str, Residual]
    told: Mapping[str, Told]
    aborted: frozenset[str]
    aliases: Aliases
    learnt: frozenset[Alias]


def assess(ledger: Ledger, prices: Prices, policy: Policy, what: Unreconciled, now_unix_nano: int) -> Assessment:
    """Assess the stretch around a time of a group; reads only."""
    names = BookNames(prices.book)
    senders = ledger.residuals.senders_of(what.source)
    known = ledger.residuals.aliases(what.source.user_id)
    stretch = stretch_around(ledger, policy, senders, what, _unambiguous(known, names), now_unix_nano)
    left, found = leftovers(stretch.intervals, [call.received for call in stretch.calls], names)
    found |= {alias for call in stretch.calls if (alias := _alias(call, names)) is not None}
    aliases = _unambiguous(known | found, names)
    long = [long_writes(leftover, prices) for leftover in left]
    residuals: dict[str, Residual] = {}
    settled = {span.end_unix_nano for span in stretch.settled}
    for leftover, writes in zip(left, long, strict=True):
        if leftover.end_unix_nano in settled and any(leftover.counts) and not _is_recount(leftover, policy):
            start, end = leftover.start_unix_nano, leftover.end_unix_nano
            received = ledger.control.received_unix_nano(senders, start, end)
            occurred = held(end, received, policy.clock_skew_max_nano)
            basis = basis_of(leftover.source, policy.basis_rules)
            charge = residual_charge(leftover, writes, prices.book, aliases, basis, occurred)
            if policy.recounts(leftover.source.client_version) and charge.status is not Status.UNPRICED:
                charge = replace(charge, status=Status.PROVISIONAL)
            residuals[charge.identity] = Residual(charge, leftover)
    told = _told(zip(left, long, strict=True))
    aborted = _aborted(stretch, residuals.values(), prices, policy)
    return Assessment(stretch, residuals, told, aborted, aliases, frozenset(found - known))


def _aborted(stretch: Stretch, residuals: Iterable[Residual], prices: Prices, policy: Policy) -> frozenset[str]:
    """Calls whose client's figure exceeds the list price by what residuals of their class hold."""
    amounts: dict[QueryClass, list[int]] = {}
    for residual in residuals:
        if residual.charge.list_cost_picousd:
            amounts.setdefault(residual.leftover.line.query_class, []).append(residual.charge.list_cost_picousd)
    excesses: dict[QueryClass, dict[str, int]] = {}
    for call in stretch.calls:
        if call.log is None or call.received.query_class not in amounts:
            continue
        charge = charge_for(call.log, prices, policy)
        excess = charge.client_excess_picousd or 0
        if charge.verdict in _OPEN_VERDICTS and excess > 0:
            excesses.setdefault(call.received.query_class, {})[call.received.identity] = excess
    return frozenset().union(
        *(explained_by_residuals(overs, amounts[query_class]) for query_class, overs in excesses.items())
    )


def refined(
    charge: Charge, span: Sighting, told: Told | None, aliases: Aliases, prices: Prices, policy: Policy
) -> Charge:
    """The charge of a span alone with what the sums tell of it, and an alias of its model."""
    record = span.record
    model = aliases.get(record.model, record.model)
    speed = record.speed if told is None else told.speed
    if (model, speed) != (charge.account.served_model, charge.account.speed):
        charge = charge_for(replace(span, record=replace(record, model=model, speed=speed)), prices, policy)
    if charge.status is Status.UNPRICED:
        return charge
    tokens, is_certain = record.tokens, not record.tokens.cache_write_unspecified
    if told is not None and told.long is not None:
        tokens, is_certain = with_long_writes(record.tokens, told.long), told.is_certain
    is_exact = is_certain and not charge.price.bounds
    return replace(charge, tokens=tokens, status=Status.EXACT if is_exact else Status.PROVISIONAL)


def _is_recount(leftover: Leftover, policy: Policy) -> bool:
    """Whether what is left of a line may be extra frames of its calls, which nobody served."""
    calls = [call.counts for call in leftover.calls]
    return policy.recounts(leftover.source.client_version) and may_be_recounts(leftover.counts, calls)


def _told(several: Iterable[tuple[Leftover, LongWrites]]) -> dict[str, Told]:
    return {
        call.identity: Told(leftover.line.speed, writes.of_calls.get(call.identity), writes.is_certain)
        for leftover, writes in several
        for call in leftover.calls
    }


def _alias(call: Call, names: ModelNames) -> Alias | None:
    """What the span and the log of one call say of a name that is no model's."""
    if call.log is None or call.span is None or names.known(call.span.record.model):
        return None
    return Alias(call.span.record.model, call.log.record.model)


def _unambiguous(aliases: Iterable[Alias], names: ModelNames) -> Aliases:
    """What each name stands for that is no model's; an alias of several models is left out."""
    served: dict[str, set[str]] = {}
    for alias in aliases:
        if not names.known(alias.asked):
            served.setdefault(alias.asked, set()).add(alias.served)
    return {asked: models.pop() for asked, models in served.items() if len(models) == 1}
