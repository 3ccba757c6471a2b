"""Rating: tokens times the rates of a price row and what modifies them, or the reason why there is no price.

What would change the price and is not known is a bound or refused here (`unpriced`): no figure is silently wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod

from spanledger.core.modelid import ModelName
from spanledger.core.money import factor_text
from spanledger.core.pricing import ModelPrices, Modifier, Multiplier, PriceBook, PriceRow
from spanledger.core.usage import Provider, Speed, Tokens

_FAST_PROVIDERS = (Provider.ANTHROPIC, Provider.ANTHROPIC_AWS)
_RESIDENCY_PROVIDERS = (Provider.ANTHROPIC, Provider.ANTHROPIC_AWS, Provider.FOUNDRY)


class UnpricedReason(StrEnum):
    """Why a call has no price."""

    UNKNOWN_MODEL = "unknown_model"
    OPAQUE_PROFILE = "opaque_profile"
    UNKNOWN_PROVIDER = "unknown_provider"
    NO_PRICE_YET = "no_price_at_that_time"
    FAST = "fast"
    BATCH = "batch"


class Bound(StrEnum):
    """Why a price is a lower bound."""

    CACHE_WRITE_TTL = "cache_write_ttl"
    """Cache writes without their time to live took the 5-minute rate, the lower one."""
    REGION = "region"
    """The region of the endpoint is not known: the price of the global one, the lower one."""


@dataclass(frozen=True, slots=True)
class RatingInput:
    """What a price depends on. `region` and `inference_geo` are empty when they are not known.

    `prompt_tokens` is the length of the prompt when it is not that of the tokens, as in a sum over calls.
    """

    provider: Provider
    model: str
    at_unix_nano: int
    tokens: Tokens
    speed: Speed = Speed.STANDARD
    region: str = ""
    inference_geo: str = ""
    batch: bool = False
    prompt_tokens: int | None = None

    @property
    def prompt(self) -> int:
        """Length of the prompt, as price bands count it."""
        return self.tokens.prompt if self.prompt_tokens is None else self.prompt_tokens


@dataclass(frozen=True, slots=True)
class Rated:
    """A price. `model` is the canonical id; `amounts` are pico-USD in the order of `Tokens`.

    `base` are the rates that the row, or its fast or long-prompt block (`block`), gives; `rates` are these times the
    `multipliers`: what a token costs. `bounds` tell why the price may be higher; it is exact when there are none.
    """

    model: str
    row: PriceRow
    base: Tokens
    block: Modifier | None
    multipliers: tuple[Multiplier, ...]
    rates: Tokens
    amounts: tuple[int, ...]
    bounds: tuple[Bound, ...]

    @property
    def cost_picousd(self) -> int:
        """Cost of all classes together."""
        return sum(self.amounts)

    @property
    def factor(self) -> Fraction:
        """Product of the multipliers."""
        return prod((one.factor for one in self.multipliers), start=Fraction(1))

    @property
    def modifiers(self) -> tuple[str, ...]:
        """What the plain rates of the row were changed by, for people: `fast`, `us_residency x1.1`."""
        named = () if self.block is None else (self.block.value,)
        return (*named, *(f"{one.modifier.value} x{factor_text(one.factor)}" for one in self.multipliers))


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No price. `model` is the canonical id or, when the book knows none, the id as it came; `detail` is for people."""

    model: str
    reason: UnpricedReason
    detail: str


def rate(book: PriceBook, call: RatingInput) -> Rated | Unpriced:
    """Price a call at list rates.

    A Bedrock-form id from a sender that names another provider is priced as that provider serves it: the id alone does
    not make it Bedrock's call.
    """
    resolved = book.resolve(call.model)
    prices = resolved.prices
    if prices is None:
        return _unknown(call.model, resolved.name)
    if call.provider is Provider.OTHER:
        detail = "the telemetry names a provider without known prices"
        return Unpriced(prices.id, UnpricedReason.UNKNOWN_PROVIDER, detail)
    row = prices.row_at(call.at_unix_nano)
    if row is None:
        return Unpriced(prices.id, UnpricedReason.NO_PRICE_YET, _before_first_row(prices))
    block, base = _block(prices, row, call)
    if block is Modifier.FAST and (refusal := _fast_refusal(call)) is not None:
        return Unpriced(prices.id, *refusal)
    multipliers, bounds = _multipliers(prices, resolved.name, call)
    rates = base
    for multiplier in multipliers:
        rates = multiplier.applied_to(rates)
    if call.tokens.cache_write_unspecified and rates.cache_write_1h != rates.cache_write_5m:
        bounds = (Bound.CACHE_WRITE_TTL, *bounds)
    amounts = tuple(count * rate for count, rate in zip(call.tokens, rates, strict=True))
    return Rated(prices.id, row, base, block, multipliers, rates, amounts, bounds)


def _unknown(raw: str, name: ModelName) -> Unpriced:
    if name.opaque:
        return Unpriced(
            raw, UnpricedReason.OPAQUE_PROFILE, "the ARN does not tell the model; name it as an alias in a price file"
        )
    shown = raw or "(no model named)"
    return Unpriced(raw, UnpricedReason.UNKNOWN_MODEL, f"no price for model {shown!r}; add it to a price file")


def _before_first_row(prices: ModelPrices) -> str:
    return f"the first price of {prices.id} holds from {prices.rows[0].id.partition('@')[2]}"


def _block(prices: ModelPrices, row: PriceRow, call: RatingInput) -> tuple[Modifier | None, Tokens]:
    """Rates before multipliers. Fast inference has none for long prompts; without rates of its own it is standard."""
    fast = prices.fast_rates_at(call.at_unix_nano) if call.speed is Speed.FAST else None
    if fast is not None:
        return Modifier.FAST, fast
    if row.long_prompt is not None and call.prompt > row.long_prompt.above_tokens:
        return Modifier.LONG_PROMPT, row.long_prompt.rates
    return None, row.rates


def _fast_refusal(call: RatingInput) -> tuple[UnpricedReason, str] | None:
    if call.provider not in _FAST_PROVIDERS:
        return UnpricedReason.FAST, f"no price of fast inference is known at {call.provider}"
    if call.batch:
        return UnpricedReason.BATCH, "fast inference has no batch price"
    return None


def _multipliers(
    prices: ModelPrices, name: ModelName, call: RatingInput
) -> tuple[tuple[Multiplier, ...], tuple[Bound, ...]]:
    """What multiplies the rates of a call, and what is not known of it."""
    wanted: list[Modifier] = []
    bounds: tuple[Bound, ...] = ()
    if call.inference_geo.lower() == "us" and call.provider in _RESIDENCY_PROVIDERS:
        wanted.append(Modifier.US_RESIDENCY)
    if call.provider is Provider.VERTEX and not call.region:
        unknown = prices.multiplier_at(Modifier.REGIONAL, call.at_unix_nano) is not None
        bounds = (Bound.REGION,) if unknown else ()
    elif (place := _place(name, call)) is not None:
        wanted.append(place)
    if call.batch:
        wanted.append(Modifier.BATCH)
    found = (prices.multiplier_at(modifier, call.at_unix_nano) for modifier in wanted)
    return tuple(one for one in found if one is not None), bounds


def _place(name: ModelName, call: RatingInput) -> Modifier | None:
    """What the place of the endpoint makes dearer."""
    region = call.region.lower()
    match call.provider:
        case Provider.BEDROCK if name.profile == "us-gov" or region.startswith("us-gov"):
            return Modifier.GOVCLOUD
        case Provider.BEDROCK if name.profile != "global":
            return Modifier.REGIONAL
        case Provider.VERTEX if region != "global":
            return Modifier.REGIONAL
        case _:
            return None
