"""Price books that lack or change something, and what a ledger says that was priced by one and then by another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from spanledger.config.prices import Layers, load_price_book
from spanledger.config.sections import Settings
from spanledger.core.book import PriceBook
from spanledger.core.pricing import ModelPrices, Span
from spanledger.core.semconv import ADJUSTED_BY
from spanledger.core.settling import Prices
from spanledger.core.usage import Tokens
from spanledger.ledger.ledger import Ledger
from spanledger.service.assembly import policy_of
from spanledger.service.repricing import Repricer
from spanledger.service.restatement import Restatement
from support.replaying import list_prices
from support.telling import NOW

EVER = Span(0)
LATER = NOW + 86_400 * 10**9

Labels = tuple[tuple[str, str], ...]


def prices_without(*models: str, book_id: str = "early") -> Prices:
    """The bundled prices before some models came out."""
    prices = list_prices()
    return replace(prices, book=PriceBook(book_id, [one for one in prices.book.models if one.id not in models]))


def prices_times(factor: Fraction, models: Collection[str], book_id: str = "wrong") -> Prices:
    """The bundled prices with the rates of some models off by a factor."""
    prices = list_prices()
    changed = [_times(one, factor) if one.id in models else one for one in prices.book.models]
    return replace(prices, book=PriceBook(book_id, changed))


@cache
def contract_prices() -> Prices:
    """The bundled prices under a contract: aliases, an override, discounts for all and for one cost center."""
    with TemporaryDirectory() as folder:
        contract = Path(folder) / "contract.yaml"
        contract.write_text(_CONTRACT)
        return replace(list_prices(), book=load_price_book(Layers(contract=contract)))


_CONTRACT = """\
aliases: {acme-model-9: claude-opus-5-5, team-sonnet: claude-sonnet-4-5-20250929}
overrides:
  - model: claude-haiku-4-5-20251001
    rates: {input: "0.90", output: "4.50", cache_write_5m: "1.10", cache_write_1h: "1.80", cache_read: "0.09"}
discounts:
  - {multiplier: "0.9"}
  - {model: claude-opus-5-5, cost_center: cc-42, multiplier: "0.8"}
"""


def reprice(
    ledger: Ledger, prices: Prices, period: Span = EVER, *, post: bool = True, settings: Settings | None = None
) -> Restatement:
    """Reprice a ledger, as the command does."""
    repricer = Repricer(ledger, prices, policy_of(settings or Settings(), prices), period, post=post)
    return repricer.run(repricer.portions(), lambda: LATER, lambda _: None)


def series_with_adjustment(ledger: Ledger) -> Mapping[tuple[str, Labels], int]:
    """What every series says together with its twin, label by label."""
    totals: defaultdict[tuple[str, Labels], int] = defaultdict(int)
    for state in ledger.series.states():
        labels = tuple(pair for pair in state.key.labels if pair[0] != "reason")
        totals[ADJUSTED_BY.get(state.key.metric, state.key.metric), labels] += state.value
    return {key: value for key, value in totals.items() if value}


def _times(prices: ModelPrices, factor: Fraction) -> ModelPrices:
    rows = (replace(row, rates=Tokens(*(int(rate * factor) for rate in row.rates))) for row in prices.rows)
    return replace(prices, rows=tuple(rows))
