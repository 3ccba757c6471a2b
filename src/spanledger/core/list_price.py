"""The list price: the row of a model, what modifies it, and the reason why there is none.

What would change the price and is not known is a bound or refused here (`unpriced`): no figure is silently wrong.
"""

from __future__ import annotations

from spanledger.core.book import PriceBook
from spanledger.core.modelid import ModelName
from spanledger.core.pricing import ModelPrices, Modifier, Multiplier, PriceRow
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Bound, Tariff, Unpriced, UnpricedReason
from spanledger.core.usage import Provider, Speed, Tokens

_RESIDENCY_PROVIDERS = (Provider.ANTHROPIC, Provider.ANTHROPIC_AWS, Provider.FOUNDRY)


def list_tariff(book: PriceBook, call: RatingInput) -> Tariff | Unpriced:
    """The list's rates for a call, or why there are none.

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
    multipliers, region_is_open = multipliers_of(prices, resolved.name, call)
    rates = base
    for multiplier in multipliers:
        rates = multiplier.applied_to(rates)
    bounds = []
    if region_is_open:
        bounds.append(Bound.REGION)
    if call.speed is Speed.FAST and block is not Modifier.FAST and not prices.fast_is_standard_at(call.at_unix_nano):
        bounds.append(Bound.FAST)
    return Tariff(prices.id, row, base, block, multipliers, rates, tuple(bounds))


def _unknown(raw: str, name: ModelName) -> Unpriced:
    if name.opaque:
        return Unpriced(
            raw,
            UnpricedReason.OPAQUE_PROFILE,
            "the ARN does not tell the model: name the model under `aliases` in the contract (prices.contract)",
        )
    if not raw:
        return Unpriced(raw, UnpricedReason.UNKNOWN_MODEL, "no model is named")
    detail = (
        f"no price for model {raw!r}: in the contract (prices.contract) name its model under `aliases`, or its rates "
        "under `overrides`"
    )
    return Unpriced(raw, UnpricedReason.UNKNOWN_MODEL, detail)


def _before_first_row(prices: ModelPrices) -> str:
    if not prices.rows:
        return f"no list has a price of {prices.id}, and the contract none for this provider and time"
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
    if call.provider is not Provider.ANTHROPIC:
        return UnpricedReason.FAST, f"no price of fast inference is known at {call.provider}"
    if call.batch:
        return UnpricedReason.BATCH, "fast inference has no batch price"
    return None


def multipliers_of(prices: ModelPrices, name: ModelName, call: RatingInput) -> tuple[tuple[Multiplier, ...], bool]:
    """What multiplies the rates of a call, and whether an unknown region might."""
    wanted: list[Modifier] = []
    region_is_open = False
    if call.inference_geo.strip().lower() == "us" and call.provider in _RESIDENCY_PROVIDERS:
        wanted.append(Modifier.US_RESIDENCY)
    if call.provider is Provider.VERTEX and not call.region.strip():
        region_is_open = prices.multiplier_at(Modifier.REGIONAL, call.at_unix_nano) is not None
    elif (place := _place(name, call)) is not None:
        wanted.append(place)
    if call.batch:
        wanted.append(Modifier.BATCH)
    found = (prices.multiplier_at(modifier, call.at_unix_nano) for modifier in wanted)
    return tuple(one for one in found if one is not None), region_is_open


def _place(name: ModelName, call: RatingInput) -> Modifier | None:
    """What the place of the endpoint makes dearer.

    A Bedrock id without a profile is an in-region endpoint, unless the region is said to be `global`.
    """
    region = name.region or call.region.strip().lower()
    match call.provider:
        case Provider.BEDROCK if name.profile == "us-gov" or region.startswith("us-gov"):
            return Modifier.GOVCLOUD
        case Provider.BEDROCK if (name.profile or region) != "global":
            return Modifier.REGIONAL
        case Provider.VERTEX if region != "global":
            return Modifier.REGIONAL
        case _:
            return None
