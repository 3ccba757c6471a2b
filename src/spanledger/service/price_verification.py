"""Verification of a price book that could be loaded: what a person should look at.

A file that is wrong in itself is refused when it is read. A finding here asks for action; a note is worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from spanledger.core.book import PriceBook
from spanledger.core.book_check import book_faults
from spanledger.core.contract import Contract, Rule
from spanledger.core.money import factor_text
from spanledger.core.pricing import ModelPrices, Modifier, Span
from spanledger.core.times import NANO_PER_DAY, shown_second
from spanledger.service.price_views import shown_scope, shown_span

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in a price book."""

    price_book: str
    models: int
    rows: int
    findings: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> Json:
        """One object."""
        return {
            "price_book": self.price_book,
            "models": self.models,
            "rows": self.rows,
            "findings": list(self.findings),
            "notes": list(self.notes),
        }


def verify_book(book: PriceBook, now_unix_nano: int, stale_after_days: float) -> Verification:
    """Look a price book over."""
    findings = [
        *book_faults(book),
        *_staleness(book, now_unix_nano, stale_after_days),
        *(finding for prices in book.models for finding in _model_findings(prices, book.models, now_unix_nano)),
        *_rule_gaps(book.contract),
    ]
    notes = [
        *(note for prices in book.models for note in _model_notes(prices, now_unix_nano)),
        *_contract_notes(book, now_unix_nano),
    ]
    rows = sum(len(prices.rows) for prices in book.models)
    return Verification(book.id, len(book.models), rows, tuple(findings), tuple(notes))


def _staleness(book: PriceBook, now_unix_nano: int, after_days: float) -> Iterator[str]:
    checked = book.checked_unix_nano
    if checked is not None and now_unix_nano - checked > after_days * NANO_PER_DAY:
        day = shown_second(checked).partition("T")[0]
        yield f"the list was last checked on {day}, more than {after_days:g} days ago: compare it with its source"


def _model_findings(prices: ModelPrices, models: Sequence[ModelPrices], now_unix_nano: int) -> Iterator[str]:
    for row in prices.rows:
        if row.announced and row.from_unix_nano <= now_unix_nano:
            yield f"{row.id}: announced and in effect; confirm it (take `announced` away) or withdraw it"
    yield from (f"{prices.id}: fast rates: {gap}" for gap in _gaps([price.span for price in prices.fast]))
    for modifier in Modifier:
        spans = [one.span for one in prices.multipliers if one.modifier is modifier]
        yield from (f"{prices.id}: {modifier}: {gap}" for gap in _gaps(spans))
    yield from _without_modifiers(prices, models)


def _without_modifiers(prices: ModelPrices, models: Sequence[ModelPrices]) -> Iterator[str]:
    """A model that is newer than one with a premium has it too, as far as any list has shown."""
    if not prices.rows:
        return
    for modifier in (Modifier.US_RESIDENCY, Modifier.REGIONAL, Modifier.GOVCLOUD):
        with_it = [m.rows[0].from_unix_nano for m in models if m.rows and _has(m, modifier)]
        if with_it and not _has(prices, modifier) and prices.rows[0].from_unix_nano > max(with_it):
            yield f"{prices.id}: newer than every model with the modifier {modifier}, and not named by it"


def _has(prices: ModelPrices, modifier: Modifier) -> bool:
    return any(one.modifier is modifier for one in prices.multipliers)


def _gaps(spans: Iterable[Span]) -> Iterator[str]:
    for earlier, later in pairwise(sorted(spans, key=lambda span: span.from_unix_nano)):
        end = earlier.until_unix_nano
        if end is not None and end < later.from_unix_nano:
            yield f"a gap from {shown_second(end)} until {shown_second(later.from_unix_nano)}"


def _rule_gaps(contract: Contract) -> Iterator[str]:
    for kind, rules in _kinds(contract):
        by_scope: dict[str, list[Span]] = {}
        for rule in rules:
            by_scope.setdefault(shown_scope(rule.scope), []).append(rule.span)
        for scope, spans in by_scope.items():
            yield from (f"contract: {kind} for {scope}: {gap}" for gap in _gaps(spans))


def _kinds(contract: Contract) -> tuple[tuple[str, Sequence[Rule]], ...]:
    return (("override", contract.overrides), ("discount", contract.discounts))


def _model_notes(prices: ModelPrices, now_unix_nano: int) -> Iterator[str]:
    for row in prices.rows:
        if row.announced and row.from_unix_nano > now_unix_nano:
            yield f"{row.id}: announced; takes effect then, and is provisional until confirmed"
    yield from (f"{one.row.id}: announced, withdrawn on {one.withdrawn}" for one in prices.withdrawals)
    for price in prices.fast:
        end = price.span.until_unix_nano
        if end is not None and end > now_unix_nano:
            yield f"{prices.id}: fast rates end on {shown_second(end)}"
    if not prices.rows:
        yield f"{prices.id}: in no list, priced by the contract alone"


def _contract_notes(book: PriceBook, now_unix_nano: int) -> Iterator[str]:
    for kind, rules in _kinds(book.contract):
        for rule in rules:
            if rule.span.ended(now_unix_nano):
                yield f"contract: {kind} for {shown_scope(rule.scope)}, {shown_span(rule.span)}: has ended"
    for discount in book.contract.discounts:
        rounded = [
            row.id for prices in book.models for row in prices.rows if _is_rounded(row.rates, discount.multiplier)
        ]
        if rounded:
            factor = factor_text(discount.multiplier)
            yield f"contract: x{factor} leaves rates finer than one pico-USD per token, rounded: {', '.join(rounded)}"


def _is_rounded(rates: Sequence[int], multiplier: Fraction) -> bool:
    return any((rate * multiplier).denominator != 1 for rate in rates)
