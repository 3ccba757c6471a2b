"""Rating: tokens times the rates of a price row, or the reason why there is no price.

What would change the price and is not supported is refused here (`unpriced`), so that no figure is silently wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spanledger.core.modelid import ModelName
from spanledger.core.pricing import ModelPrices, PriceBook, PriceRow
from spanledger.core.usage import Provider, Speed, Tokens


class UnpricedReason(StrEnum):
    """Why a call has no price."""

    UNKNOWN_MODEL = "unknown_model"
    OPAQUE_PROFILE = "opaque_profile"
    UNKNOWN_PROVIDER = "unknown_provider"
    NO_PRICE_YET = "no_price_at_that_time"
    LONG_PROMPT = "long_prompt"
    FAST = "fast"
    REGIONAL = "regional_premium"
    US_RESIDENCY = "us_residency"
    BATCH = "batch"
    WEB_SEARCH = "web_search"


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

    `lower_bound` says that cache writes without a time to live took the 5-minute rate, the lower one.
    """

    model: str
    row: PriceRow
    amounts: tuple[int, ...]
    lower_bound: bool

    @property
    def cost_picousd(self) -> int:
        """Cost of all classes together."""
        return sum(self.amounts)


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
    row = prices.row_at(call.at_unix_nano)
    refusal = _refusal(prices, row, resolved.name, call)
    if refusal is not None or row is None:
        reason, detail = refusal or (UnpricedReason.NO_PRICE_YET, _before_first_row(prices))
        return Unpriced(prices.id, reason, detail)
    amounts = tuple(count * rate for count, rate in zip(call.tokens, row.rates, strict=True))
    lower_bound = call.tokens.cache_write_unspecified > 0 and row.cache_write_1h != row.cache_write_5m
    return Rated(prices.id, row, amounts, lower_bound)


def _unknown(raw: str, name: ModelName) -> Unpriced:
    if name.opaque:
        return Unpriced(
            raw, UnpricedReason.OPAQUE_PROFILE, "the ARN does not tell the model; name it as an alias in a price file"
        )
    shown = raw or "(no model named)"
    return Unpriced(raw, UnpricedReason.UNKNOWN_MODEL, f"no price for model {shown!r}; add it to a price file")


def _before_first_row(prices: ModelPrices) -> str:
    return f"the first price of {prices.id} holds from {prices.rows[0].id.partition('@')[2]}"


def _refusal(
    prices: ModelPrices, row: PriceRow | None, name: ModelName, call: RatingInput
) -> tuple[UnpricedReason, str] | None:
    """What keeps the list rate from being right, and what to do about it; None when it is right."""
    if call.provider is Provider.OTHER:
        return UnpricedReason.UNKNOWN_PROVIDER, "the telemetry names a provider without known prices"
    if row is None:
        return UnpricedReason.NO_PRICE_YET, _before_first_row(prices)
    if call.batch:
        return UnpricedReason.BATCH, "batch prices are not supported yet"
    if call.tokens.web_search:
        return UnpricedReason.WEB_SEARCH, "web searches are not priced yet"
    if call.speed is Speed.FAST and prices.fast_at(call.at_unix_nano):
        return UnpricedReason.FAST, "prices of fast inference are not supported yet"
    if row.long_prompt_above_tokens is not None and call.prompt > row.long_prompt_above_tokens:
        return UnpricedReason.LONG_PROMPT, f"prices above {row.long_prompt_above_tokens} tokens are not supported yet"
    if prices.us_residency_premium and call.inference_geo.lower() == "us":
        return UnpricedReason.US_RESIDENCY, "prices of US residency are not supported yet"
    if prices.regional_premium and not _at_global_rate(name, call):
        return UnpricedReason.REGIONAL, "regional prices are not supported yet, or the region is not known"
    return None


def _at_global_rate(name: ModelName, call: RatingInput) -> bool:
    match call.provider:
        case Provider.BEDROCK:
            return name.profile == "global"
        case Provider.VERTEX:
            return call.region.lower() == "global"
        case _:
            return True
