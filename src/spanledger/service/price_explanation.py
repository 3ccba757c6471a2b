"""Why a call costs what it costs, from its model's name to the sum: asked of a price book, without a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.core.book import PriceBook, Resolved
from spanledger.core.contract import Traits
from spanledger.core.money import factor_text, format_usd, rate_usd_per_mtok
from spanledger.core.pricing import Modifier, Multiplier
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Bound, Quote, Tariff, Unpriced
from spanledger.core.usage import TOKEN_CLASSES, TokenClass
from spanledger.service.price_views import rates_json, shown_scope, shown_span

Json = dict[str, object]

BOUND_WORDS = {
    Bound.CACHE_WRITE_TTL: "cache writes without a time to live are taken at the 5-minute rate",
    Bound.REGION: "the region is not known: the price of the global endpoint is taken",
    Bound.FAST: "no price of fast inference is known for this model at that time: the standard one is taken",
}
"""Why a price is a lower bound, for people."""


@dataclass(frozen=True, slots=True)
class SumLine:
    """Tokens of a class at their rate, in pico-USD; `list_rate` is None when the list has none."""

    token_class: TokenClass
    count: int
    rate: int
    list_rate: int | None


@dataclass(frozen=True, slots=True)
class PriceExplanation:
    """A price worked out step by step."""

    call: RatingInput
    resolved: Resolved
    quoted: Quote
    steps: tuple[str, ...]
    lines: tuple[SumLine, ...]

    @property
    def charged(self) -> Tariff | None:
        """Rates that are charged; None when there is no price."""
        return self.quoted.charged if isinstance(self.quoted.charged, Tariff) else None

    @property
    def cost_picousd(self) -> int | None:
        """What the call is charged; None when there is no price."""
        return None if self.charged is None else self.charged.cost_picousd(self.call.tokens)

    @property
    def list_cost_picousd(self) -> int | None:
        """What the call costs at list; None when the list has no price."""
        listed = self.quoted.listed
        return listed.cost_picousd(self.call.tokens) if isinstance(listed, Tariff) else None

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Why the call may cost more."""
        return () if self.charged is None else self.charged.bounds_of(self.call.tokens)

    def as_json(self) -> Json:
        """One object: money and rates as exact decimal strings."""
        charged = self.charged
        return {
            "model": self.quoted.charged.model,
            "status": "unpriced" if charged is None else "lower_bound" if self.bounds else "exact",
            "usd": None if self.cost_picousd is None else format_usd(self.cost_picousd),
            "list_usd": None if self.list_cost_picousd is None else format_usd(self.list_cost_picousd),
            "price_row": None if charged is None else charged.row.id,
            "modifiers": [] if charged is None else list(charged.modifiers),
            "modifier": "1" if charged is None else factor_text(charged.factor),
            "rates_usd_per_mtok": None if charged is None else rates_json(charged.rates),
            "steps": list(self.steps),
            "sum": [
                {
                    "token_class": line.token_class.value,
                    "count": line.count,
                    "usd_per_million": rate_usd_per_mtok(line.rate),
                    "list_usd_per_million": None if line.list_rate is None else rate_usd_per_mtok(line.list_rate),
                    "usd": format_usd(line.count * line.rate),
                }
                for line in self.lines
            ],
        }


def explain_price(book: PriceBook, call: RatingInput, cost_center: str = "") -> PriceExplanation:
    """Explain the price of a call."""
    resolved, quoted = book.resolve(call.model), quote(book, call, cost_center)
    steps = tuple(_steps(book, call, resolved, quoted, cost_center))
    return PriceExplanation(call, resolved, quoted, steps, tuple(_lines(call, quoted)))


def _lines(call: RatingInput, quoted: Quote) -> Iterator[SumLine]:
    if isinstance(quoted.charged, Unpriced):
        return
    listed = quoted.listed.rates if isinstance(quoted.listed, Tariff) else None
    for place, (name, count) in enumerate(zip(TOKEN_CLASSES, call.tokens, strict=True)):
        if count:
            yield SumLine(name, count, quoted.charged.rates[place], None if listed is None else listed[place])


def _steps(book: PriceBook, call: RatingInput, resolved: Resolved, quoted: Quote, cost_center: str) -> Iterator[str]:
    yield _named(book, call, resolved)
    if isinstance(quoted.listed, Unpriced):
        yield f"list: no price ({quoted.listed.reason}): {quoted.listed.detail}"
    else:
        yield from _listed(call, quoted.listed)
    if isinstance(quoted.charged, Tariff):
        yield from _agreed(book, call, resolved, cost_center)
        yield from (f"lower bound: {BOUND_WORDS[bound]}" for bound in quoted.charged.bounds_of(call.tokens))


def _named(book: PriceBook, call: RatingInput, resolved: Resolved) -> str:
    name, prices = resolved.name, resolved.prices
    if prices is None:
        return f"model: {call.model!r} is no name in the price book"
    target = book.contract.alias_of(call.model)
    said = f"model: {call.model!r}" + ("" if target is None else f", by the contract's aliases {target!r},")
    where = f", Bedrock profile {name.profile}" if name.profile else ""
    return f"{said} is {prices.id}{where}"


def _listed(call: RatingInput, listed: Tariff) -> Iterator[str]:
    row = listed.row
    announced = "; announced, not confirmed since" if row.announced else ""
    yield f"row: {row.id} of {row.layer} (source {row.source}, checked {row.checked}{announced})"
    match listed.block:
        case Modifier.FAST:
            yield "rates: of fast inference, whatever the prompt"
        case Modifier.LONG_PROMPT:
            yield f"rates: of a long prompt, {call.prompt:,} tokens are above {row.limit:,}; the whole call"
        case _ if row.limit is not None:
            yield f"rates: standard, {call.prompt:,} tokens of prompt are not above {row.limit:,}"
        case _:
            yield "rates: standard"
    yield from (f"modifier: {_shown_multiplier(one, call)}" for one in listed.multipliers)


def _shown_multiplier(one: Multiplier, call: RatingInput) -> str:
    why = {
        Modifier.US_RESIDENCY: f"inference_geo {call.inference_geo}",
        Modifier.REGIONAL: f"{call.provider}, not a global endpoint",
        Modifier.GOVCLOUD: "AWS GovCloud",
        Modifier.BATCH: "the Batch API",
    }
    return f"{one.modifier} x{factor_text(one.factor)} ({why.get(one.modifier, '')})"


def _agreed(book: PriceBook, call: RatingInput, resolved: Resolved, cost_center: str) -> Iterator[str]:
    """The rule of the contract that changes the price, if one does."""
    if resolved.prices is None:
        return
    traits = Traits(call.provider, resolved.prices.id, resolved.name.profile, cost_center)
    override = book.contract.override_at(traits, call.at_unix_nano)
    if override is not None:
        kept = "the list's modifiers on top" if override.keeps_modifiers else "final, nothing on top"
        yield f"contract: own rates for {shown_scope(override.scope)}, {shown_span(override.span)}; {kept}"
        return
    discount = book.contract.discount_at(traits, call.at_unix_nano)
    if discount is not None:
        factor = factor_text(discount.multiplier)
        yield f"contract: discount x{factor} for {shown_scope(discount.scope)}, {shown_span(discount.span)}"
