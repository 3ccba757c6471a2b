"""Quoting: what a call is charged, the contract's price where there is one, with the list price beside it.

A contract's multiplier can leave a rate finer than money is counted in. Such a rate is rounded to whole pico-USD per
token, half to even, once; tokens times rate is exact from there on, so sums of calls stay sums (docs/prices.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from spanledger.core.book import PriceBook, Resolved
from spanledger.core.contract import Contract, Discount, Override, Traits
from spanledger.core.pricing import ModelPrices, Modifier, Multiplier, PriceRow
from spanledger.core.rating import Rated, RatingInput, kind_of, list_tariff, multipliers_of
from spanledger.core.tariff import Bound, Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Speed, Tokens


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call is charged, and what it costs at list. Without a contract the same."""

    charged: Rated | Unpriced
    listed: Rated | Unpriced


def quote(book: PriceBook, call: RatingInput, cost_center: str = "") -> Quote:
    """Price a call by list and by contract. `cost_center` is empty when it is not known."""
    at_list = list_tariff(book, call)
    listed = _rated(at_list, call)
    if not book.contract.changes_prices:
        return Quote(listed, listed)
    charged = _contract_tariff(book, call, book.contract.cost_center(cost_center), at_list)
    return Quote(listed if charged is at_list else _rated(charged, call), listed)


def _rated(tariff: Tariff | Unpriced, call: RatingInput) -> Rated | Unpriced:
    return tariff if isinstance(tariff, Unpriced) else Rated(tariff, call.tokens)


def _contract_tariff(
    book: PriceBook, call: RatingInput, cost_center: str, listed: Tariff | Unpriced
) -> Tariff | Unpriced:
    kind = ("contract", cost_center, kind_of(book, call))
    known = book.remembered(kind)
    if known is None:
        known = _charged(book.contract, book.resolve(call.model), call, cost_center, listed)
        book.remember(kind, known)
    return known


def _charged(
    contract: Contract, resolved: Resolved, call: RatingInput, cost_center: str, listed: Tariff | Unpriced
) -> Tariff | Unpriced:
    prices = resolved.prices
    if prices is None:
        return listed
    traits = Traits(call.provider, prices.id, resolved.name.profile, cost_center)
    override = contract.override_at(traits, call.at_unix_nano)
    if override is not None:
        return _overridden(override, prices, resolved, call, listed)
    discount = contract.discount_at(traits, call.at_unix_nano)
    return listed if discount is None or isinstance(listed, Unpriced) else _discounted(discount, listed)


def _discounted(discount: Discount, listed: Tariff) -> Tariff:
    multiplier = Multiplier(Modifier.CONTRACT, discount.multiplier, discount.span)
    rates = _rounded([rate * discount.multiplier for rate in listed.rates], listed.rates.web_search)
    return replace(listed, multipliers=(*listed.multipliers, multiplier), rates=rates)


def _overridden(
    override: Override, prices: ModelPrices, resolved: Resolved, call: RatingInput, listed: Tariff | Unpriced
) -> Tariff | Unpriced:
    row = PriceRow(prices.id, override.span.from_unix_nano, override.rates, scope=override.name)
    final = Tariff(prices.id, row, override.rates, None, (), override.rates)
    if not override.keeps_modifiers:
        return final
    if isinstance(listed, Tariff):
        return replace(
            listed,
            row=row,
            base=_like(override.rates, listed.row.rates, listed.base),
            rates=_like(override.rates, listed.row.rates, listed.rates),
        )
    if listed.reason is not UnpricedReason.NO_PRICE_YET:
        return listed
    return _without_list(final, prices, resolved, call)


def _without_list(final: Tariff, prices: ModelPrices, resolved: Resolved, call: RatingInput) -> Tariff:
    """What the list's rules make of a model or a time that it has no rates for."""
    multipliers, region_is_open = multipliers_of(prices, resolved.name, call)
    factor = replace(final, multipliers=multipliers).factor
    rates = _rounded([rate * factor for rate in final.base], final.base.web_search)
    open_facts = {Bound.REGION: region_is_open, Bound.FAST: call.speed is Speed.FAST}
    return replace(
        final,
        multipliers=multipliers,
        rates=rates,
        bounds=tuple(bound for bound, is_open in open_facts.items() if is_open),
    )


def _like(rates: Tokens, plain: Tokens, changed: Tokens) -> Tokens:
    """Change rates in the proportions in which the list changes its plain rates; one that is 0 in it stays."""
    scaled = [
        rate * Fraction(after, before) if before else Fraction(rate)
        for rate, before, after in zip(rates, plain, changed, strict=True)
    ]
    return _rounded(scaled, rates.web_search)


def _rounded(rates: Sequence[Fraction | int], web_search: int) -> Tokens:
    """Round to whole pico-USD per token, half to even; the fee of a web search is not changed by anything."""
    return Tokens(*(round(rate) for rate in rates))._replace(web_search=web_search)
