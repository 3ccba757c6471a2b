"""What is wrong between the parts of price lists that are right each by itself, and what cannot well be right.

A row that looks improbable and is right says so (`confirm: true`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import combinations, pairwise

from spanledger.config.documents import Location
from spanledger.config.price_list import FastRates, Listed, Model, Price, PriceLists
from spanledger.config.price_values import Rates
from spanledger.core.money import rate_usd_per_mtok
from spanledger.core.pricing import ModelPrices, Span

Fault = tuple[Location, str]

JUMP_MAX_PERCENT = 50
"""A rate that changes by more than this against the one before it, or the list below, looks like a slip."""

_SLIP = "looks like a slip; `confirm: true` on the row if it is right"


def list_faults(lists: PriceLists) -> Iterator[str]:
    """Every fault of price lists in layers, with its place."""
    if lists.layers and all(listed.file.web_search is None for listed in lists.layers):
        yield lists.layers[0].document.fault((), "web_search is missing; expected usd_per_request, source, checked")
    for listed in lists.layers:
        for location, message in (*_unknown_models(listed, lists), *_model_faults(listed)):
            yield listed.document.fault(location, message)
    for lower, upper in pairwise(lists.layers):
        for location, message in _jumps_between(lower, upper):
            yield upper.document.fault(location, message)
    yield from _claimed_twice(lists)
    for prices in lists.compiled():
        listed, model = lists.models[prices.id]
        location = ("models", listed.file.models.index(model))
        for message in (*_overlapping_multipliers(prices), *_too_fine(prices)):
            yield listed.document.fault(location, message)


def _claimed_twice(lists: PriceLists) -> Iterator[str]:
    """Names that more than one model has."""
    owners: dict[str, str] = {}
    for listed, model in lists.models.values():
        here: Location = ("models", listed.file.models.index(model))
        for location, name in ((*here, "id"), model.id), *(((*here, "aliases"), alias) for alias in model.aliases):
            owner = owners.setdefault(name, model.id)
            if owner != model.id or model.aliases.count(name) + (name == model.id) > 1:
                yield listed.document.fault(location, f"{name} names {owner} already")


def _unknown_models(listed: Listed, lists: PriceLists) -> Iterator[Fault]:
    for place, rule in enumerate(listed.file.modifiers):
        for name in sorted(set(rule.models or ()) - lists.models.keys()):
            yield ("modifiers", place, "models"), f"{name} is no model of the price lists"
        yield from _backward(("modifiers", place, "until"), rule.span)


def _model_faults(listed: Listed) -> Iterator[Fault]:
    ids = [model.id for model in listed.file.models]
    for place, model in enumerate(listed.file.models):
        here: Location = ("models", place)
        if model.id in ids[:place]:
            yield (*here, "id"), f"{model.id} is listed above already"
        yield from _price_faults(here, model)
        yield from _fast_faults(here, model)


def _price_faults(here: Location, model: Model) -> Iterator[Fault]:
    """Rows in order, each plausible by itself and beside the one before."""
    standing = [(place, price) for place, price in enumerate(model.prices) if price.withdrawn is None]
    if not standing:
        yield (*here, "prices"), "no price that holds; expected one at least"
    for (_, before), (place, price) in pairwise(standing):
        if price.since <= before.since:
            yield (*here, "prices", place, "from"), "`from` must rise from row to row, each once"
        if not price.confirm:
            yield from _jumps((*here, "prices", place, "rates"), before.rates, price.rates, "the row before")
    for place, price in enumerate(model.prices):
        row: Location = (*here, "prices", place)
        if price.withdrawn is not None and not price.announced:
            yield (*row, "withdrawn"), "only an announced price can be withdrawn; expected `announced: true` beside it"
        if not price.confirm:
            yield from _implausible(row, price)


def _implausible(row: Location, price: Price) -> Iterator[Fault]:
    yield from _ranks((*row, "rates"), price.rates)
    if price.long_prompt is not None:
        yield from _ranks((*row, "long_prompt", "rates"), price.long_prompt.rates)
        yield from _not_below((*row, "long_prompt", "rates"), price.long_prompt.rates, price.rates)


def _fast_faults(here: Location, model: Model) -> Iterator[Fault]:
    for place, fast in enumerate(model.fast):
        block: Location = (*here, "fast", place)
        yield from _backward((*block, "until"), fast.span)
        if fast.then is not None and fast.until is None:
            yield (*block, "then"), "says what comes after an end that is not given; expected `until`"
        if any(fast.span.overlaps(other.span) for other in model.fast[:place]):
            yield (*block, "from"), "overlaps another block of fast rates; expected one at a time"
        if fast.confirm:
            continue
        yield from _ranks((*block, "rates"), fast.rates)
        row = _row_at(model.prices, fast)
        if row is not None:
            yield from _not_below((*block, "rates"), fast.rates, row.rates)


def _row_at(prices: Sequence[Price], fast: FastRates) -> Price | None:
    standing = [price for price in prices if price.withdrawn is None and price.since <= fast.since]
    return standing[-1] if standing else None


def _backward(location: Location, span: Span) -> Iterator[Fault]:
    if span.ended(span.from_unix_nano):
        yield location, "ends before it begins; expected an instant after `from`"


def _ranks(location: Location, rates: Rates) -> Iterator[Fault]:
    """Writing to the cache costs no less than input, for an hour no less than for five minutes, reading no more."""
    for low, high in (
        ("input", "cache_write_5m"),
        ("cache_write_5m", "cache_write_1h"),
        ("cache_read", "input"),
        ("input", "output"),
    ):
        if getattr(rates, low) > getattr(rates, high):
            yield (*location, high), f"is below {low}: {_SLIP}"


def _not_below(location: Location, rates: Rates, standard: Rates) -> Iterator[Fault]:
    for name in Rates.model_fields:
        if getattr(rates, name) < getattr(standard, name):
            yield (*location, name), f"is below the standard rate of {_usd(standard, name)}: {_SLIP}"


def _jumps(location: Location, before: Rates, after: Rates, against: str) -> Iterator[Fault]:
    for name in Rates.model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if abs(new - old) * 100 > old * JUMP_MAX_PERCENT:
            change = f"{_usd(before, name)} to {_usd(after, name)} is a change of more than {JUMP_MAX_PERCENT} %"
            yield (*location, name), f"{change} against {against}: {_SLIP}"


def _jumps_between(lower: Listed, upper: Listed) -> Iterator[Fault]:
    """Rows that a list gives other rates than the list below it, for the same model and instant."""
    known = {model.id: model for model in lower.file.models}
    for place, model in enumerate(upper.file.models):
        before = {} if model.id not in known else {price.since: price for price in known[model.id].prices}
        for number, price in enumerate(model.prices):
            old = before.get(price.since)
            if old is not None and not price.confirm:
                location = ("models", place, "prices", number, "rates")
                yield from _jumps(location, old.rates, price.rates, f"the same row of {lower.file.name}")


def _usd(rates: Rates, name: str) -> str:
    return rate_usd_per_mtok(getattr(rates, name))


def _overlapping_multipliers(prices: ModelPrices) -> Iterator[str]:
    for one, other in combinations(prices.multipliers, 2):
        if one.modifier is other.modifier and one.span.overlaps(other.span):
            yield f"two rules for {one.modifier} hold at once; expected one at a time"


def _too_fine(prices: ModelPrices) -> Iterator[str]:
    """Rates that some combination of multipliers makes finer than money is counted in."""
    blocks = [row.rates for row in prices.rows]
    blocks += [row.long_prompt.rates for row in prices.rows if row.long_prompt is not None]
    blocks += [fast.rates for fast in prices.fast]
    for size in range(1, len(prices.multipliers) + 1):
        for several in combinations(prices.multipliers, size):
            for rates in blocks:
                try:
                    reduce(lambda scaled, multiplier: multiplier.applied_to(scaled), several, rates)
                except ValueError as error:
                    yield str(error)
                    return
