"""The contract's price: what an override or a discount makes of the list's rates.

A contract's multiplier can leave a rate finer than money is counted in. Such a rate is rounded to whole pico-USD per
token, half to even, once; tokens times rate is exact from there on, so sums of calls stay sums (docs/prices.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from spanledger.core.book import PriceBook, Resolved
from spanledger.core.contract import Discount, Override, Traits
from spanledger.core.list_price import multipliers_of
from spanledger.core.pricing import LongPrompt, ModelPrices, Modifier, Multiplier, PriceRow
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Bound, Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Speed, Tokens


def contract_tariff(
    book: PriceBook, call: RatingInput, cost_center: str, listed: Tariff | Unpriced
) -> Tariff | Unpriced:
    """The contract's rates for a call; what the list says of it where the contract says nothing."""
    contract, resolved = book.contract, book.resolve(call.model)
    prices = resolved.prices
    if prices is None or not contract.changes_prices:
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
            row=replace(row, long_prompt=_long_prompt(override, listed.row)),
            base=_like(override.rates, listed.row.rates, listed.base),
            rates=_like(override.rates, listed.row.rates, listed.rates),
        )
    if listed.reason is not UnpricedReason.NO_PRICE_YET:
        return listed
    return _without_list(final, prices, resolved, call)


def _long_prompt(override: Override, listed: PriceRow) -> LongPrompt | None:
    long = listed.long_prompt
    return None if long is None else LongPrompt(long.above_tokens, _like(override.rates, listed.rates, long.rates))


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
