"""What a price book says: a line a model at an instant, and all of one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanledger.core.book import PriceBook, Resolved
from spanledger.core.contract import Discount, Override, Rule, Scope
from spanledger.core.money import factor_text, format_usd, rate_usd_per_mtok
from spanledger.core.pricing import ALWAYS, ModelPrices, PriceRow, Span
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Quote, Tariff
from spanledger.core.times import shown_second
from spanledger.core.usage import Provider, Speed, TokenClass, Tokens

Json = dict[str, object]

RATED_CLASSES = (
    TokenClass.INPUT,
    TokenClass.OUTPUT,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_READ,
)
"""Token classes that a price list has rates for, in its order."""

_GLOBAL = "global"


def rates_json(rates: Tokens) -> dict[str, str]:
    """Rates in USD per million tokens, exact decimals."""
    return {name.value: rate_usd_per_mtok(getattr(rates, name.value)) for name in RATED_CLASSES}


@dataclass(frozen=True, slots=True)
class ModelLine:
    """Prices of a model at an instant and a global endpoint. `announced` are rows that are to hold later."""

    model: str
    quoted: Quote
    fast: Tariff | None
    announced: tuple[PriceRow, ...]

    @property
    def listed(self) -> Tariff | None:
        """Rates at list; None when the list has none."""
        return self.quoted.listed if isinstance(self.quoted.listed, Tariff) else None

    @property
    def charged(self) -> Tariff | None:
        """Rates that are charged; None when there are none."""
        return self.quoted.charged if isinstance(self.quoted.charged, Tariff) else None

    def as_json(self) -> Json:
        """One object: rates as exact decimal strings."""
        shown = self.charged or self.listed
        long = None if shown is None else shown.row.long_prompt
        return {
            "model": self.model,
            "price_row": None if shown is None else shown.row.id,
            "rates_usd_per_mtok": None if shown is None else rates_json(shown.rates),
            "list_rates_usd_per_mtok": None if self.listed is None else rates_json(self.listed.rates),
            "fast_rates_usd_per_mtok": None if self.fast is None else rates_json(self.fast.rates),
            "long_prompt": None
            if long is None
            else {"above_tokens": long.above_tokens, "rates_usd_per_mtok": rates_json(long.rates)},
            "announced": [{"price_row": row.id, "rates_usd_per_mtok": rates_json(row.rates)} for row in self.announced],
        }


def list_models(book: PriceBook, provider: Provider, at_unix_nano: int) -> list[ModelLine]:
    """Every model of a book with its prices at an instant."""
    return [_line(book, prices, provider, at_unix_nano) for prices in book.models]


def _line(book: PriceBook, prices: ModelPrices, provider: Provider, at_unix_nano: int) -> ModelLine:
    def asked(speed: Speed) -> Quote:
        model = f"{_GLOBAL}.anthropic.{prices.id}" if provider is Provider.BEDROCK else prices.id
        call = RatingInput(provider, model, at_unix_nano, Tokens(), speed, region=_GLOBAL)
        return quote(book, call)

    fast = asked(Speed.FAST).charged
    later = tuple(row for row in prices.rows if row.announced and row.from_unix_nano > at_unix_nano)
    has_fast = isinstance(fast, Tariff) and fast.block is not None and not fast.bounds
    return ModelLine(prices.id, asked(Speed.STANDARD), fast if has_fast and isinstance(fast, Tariff) else None, later)


@dataclass(frozen=True, slots=True)
class ModelView:
    """All that a book says of a model. `aliases` and the rules are those of the contract that concern it."""

    resolved: Resolved
    prices: ModelPrices
    aliases: tuple[str, ...]
    overrides: tuple[Override, ...]
    discounts: tuple[Discount, ...]

    def as_json(self) -> Json:
        """One object: rates and factors as exact decimal strings, instants in RFC 3339."""
        prices = self.prices
        return {
            "model": prices.id,
            "aliases": list(prices.aliases),
            "contract_aliases": list(self.aliases),
            "prices": [_row_json(row) for row in prices.rows],
            "withdrawn": [_row_json(one.row) | {"withdrawn": one.withdrawn} for one in prices.withdrawals],
            "fast": [
                span_json(price.span)
                | {"rates_usd_per_mtok": rates_json(price.rates), "then_standard": price.then_standard}
                for price in prices.fast
            ],
            "modifiers": [
                span_json(one.span) | {"name": one.modifier.value, "factor": factor_text(one.factor)}
                for one in prices.multipliers
            ],
            "web_search_usd": format_usd(prices.rows[-1].rates.web_search) if prices.rows else None,
            "overrides": [
                _rule_json(rule)
                | {
                    "rates_usd_per_mtok": rates_json(rule.rates),
                    "modifiers": "keep" if rule.keeps_modifiers else "final",
                }
                for rule in self.overrides
            ],
            "discounts": [_rule_json(rule) | {"multiplier": factor_text(rule.multiplier)} for rule in self.discounts],
        }


def show_model(book: PriceBook, raw_model: str) -> ModelView | None:
    """All that a book says of a model, by any form of its id; None when it knows none."""
    resolved = book.resolve(raw_model)
    prices = resolved.prices
    if prices is None:
        return None
    aliases = tuple(name for name in book.contract.aliases if book.resolve(name).prices is prices)
    return ModelView(
        resolved,
        prices,
        aliases,
        tuple(rule for rule in book.contract.overrides if rule.scope.model in (None, prices.id)),
        tuple(rule for rule in book.contract.discounts if rule.scope.model in (None, prices.id)),
    )


def shown_span(span: Span) -> str:
    """A time in words: `from 2026-10-07T00:00:00Z until …`."""
    since = "always" if span.from_unix_nano <= 0 else f"from {shown_second(span.from_unix_nano)}"
    return since if span.until_unix_nano is None else f"{since} until {shown_second(span.until_unix_nano)}"


def shown_scope(scope: Scope) -> str:
    """Which calls a rule of a contract is for, in words."""
    facts = {
        "provider": None if scope.provider is None else scope.provider.value,
        "model": scope.model,
        "profile": scope.profile,
        "cost center": scope.cost_center,
    }
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None) or "every call"


def span_json(span: Span) -> Json:
    """When something holds; null is open."""
    return {
        "from": None if span.from_unix_nano in (ALWAYS, 0) else shown_second(span.from_unix_nano),
        "until": None if span.until_unix_nano is None else shown_second(span.until_unix_nano),
    }


def _row_json(row: PriceRow) -> Json:
    long = row.long_prompt
    return {
        "price_row": row.id,
        "from": shown_second(row.from_unix_nano),
        "rates_usd_per_mtok": rates_json(row.rates),
        "long_prompt": None
        if long is None
        else {"above_tokens": long.above_tokens, "rates_usd_per_mtok": rates_json(long.rates)},
        "announced": row.announced,
        "list": row.layer,
        "source": row.source,
        "checked": row.checked,
    }


def _rule_json(rule: Rule) -> Json:
    scope = rule.scope
    return {
        "provider": None if scope.provider is None else scope.provider.value,
        "model": scope.model,
        "profile": scope.profile,
        "cost_center": scope.cost_center,
    } | span_json(rule.span)


def rows_in_order(prices: ModelPrices) -> Sequence[tuple[PriceRow, str]]:
    """Rows of a model by instant, those withdrawn among them with the day that they were."""
    rows = [(row, "") for row in prices.rows] + [(one.row, one.withdrawn) for one in prices.withdrawals]
    return sorted(rows, key=lambda row: row[0].from_unix_nano)
