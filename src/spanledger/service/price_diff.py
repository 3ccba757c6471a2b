"""What differs between two price books: every rate, factor, name and rule, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.core.book import PriceBook
from spanledger.core.contract import Contract
from spanledger.core.money import factor_text, format_usd
from spanledger.core.pricing import ModelPrices
from spanledger.core.times import shown_second
from spanledger.core.usage import Tokens
from spanledger.service.price_views import rates_json, shown_scope, shown_span

Json = dict[str, object]
Facts = dict[tuple[str, str], str]
"""What a book says: by model (or part of the book) and what is said of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that two books say differently; `before` or `after` is empty where one of them does not say it."""

    of: str
    what: str
    before: str
    after: str

    def as_json(self) -> Json:
        """One object; null where a book says nothing."""
        return {"of": self.of, "what": self.what, "before": self.before or None, "after": self.after or None}


def diff_books(before: PriceBook, after: PriceBook) -> list[Change]:
    """Everything that two books say differently, by model."""
    old, new = _facts(before), _facts(after)
    old_models, new_models = ({prices.id for prices in book.models} for book in (before, after))
    changes = [
        Change(model, "the model", "listed" if model in old_models else "", "listed" if model in new_models else "")
        for model in sorted(old_models ^ new_models)
    ]
    lone = old_models ^ new_models
    keys = sorted(key for key in old.keys() | new.keys() if key[0] not in lone)
    return changes + [Change(*key, old.get(key, ""), new.get(key, "")) for key in keys if old.get(key) != new.get(key)]


def _facts(book: PriceBook) -> Facts:
    facts: Facts = {}
    for prices in book.models:
        for what, text in _model_facts(prices):
            facts[prices.id, what] = text
    for of, what, text in _contract_facts(book.contract):
        facts[of, what] = text
    return facts


def _model_facts(prices: ModelPrices) -> Iterator[tuple[str, str]]:
    yield from ((f"alias {name}", "named") for name in prices.aliases)
    for row in prices.rows:
        since = shown_second(row.from_unix_nano)
        yield from _rate_facts(f"from {since}", row.rates)
        yield f"from {since} web search", format_usd(row.rates.web_search)
        if row.long_prompt is not None:
            yield from _rate_facts(f"from {since} above {row.long_prompt.above_tokens:,}", row.long_prompt.rates)
        if row.announced:
            yield f"from {since} announced", "not confirmed"
    for one in prices.withdrawals:
        yield f"from {shown_second(one.row.from_unix_nano)} withdrawn", one.withdrawn
    for price in prices.fast:
        yield from _rate_facts(f"fast {shown_span(price.span)}", price.rates)
        if price.then_standard:
            yield f"fast {shown_span(price.span)} then", "standard"
    for multiplier in prices.multipliers:
        yield f"{multiplier.modifier} {shown_span(multiplier.span)}", f"x{factor_text(multiplier.factor)}"


def _rate_facts(where: str, rates: Tokens) -> Iterator[tuple[str, str]]:
    yield from ((f"{where} {name}", rate) for name, rate in rates_json(rates).items())


def _contract_facts(contract: Contract) -> Iterator[tuple[str, str, str]]:
    yield from (("contract", f"alias {name}", target) for name, target in contract.aliases.items())
    for override in contract.overrides:
        where = f"override for {shown_scope(override.scope)}, {shown_span(override.span)}"
        yield from (("contract", what, rate) for what, rate in _rate_facts(where, override.rates))
        yield "contract", f"{where} modifiers", "keep" if override.keeps_modifiers else "final"
    for discount in contract.discounts:
        where = f"discount for {shown_scope(discount.scope)}, {shown_span(discount.span)}"
        yield "contract", where, f"x{factor_text(discount.multiplier)}"
