"""Tariffs: what a token of each class costs in calls of one kind, or the reason why there is no price."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import NamedTuple

from spanledger.core.money import factor_text
from spanledger.core.pricing import Modifier, Multiplier, PriceRow
from spanledger.core.usage import Tokens


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
    FAST = "fast"
    """Fast inference of a model that no fast price is known of at that time: the standard one, the lower one."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No price. `model` is the canonical id or, when the book knows none, the id as it came; `detail` is for people."""

    model: str
    reason: UnpricedReason
    detail: str


@dataclass(frozen=True, slots=True)
class Tariff:
    """Rates of calls of one kind. `model` is the canonical id.

    `base` are the rates that the row, or its fast or long-prompt block (`block`), gives; `rates` are these times the
    `multipliers`: what a token costs. `bounds` tell why a price may be higher, whatever the tokens.
    """

    model: str
    row: PriceRow
    base: Tokens
    block: Modifier | None
    multipliers: tuple[Multiplier, ...]
    rates: Tokens
    bounds: tuple[Bound, ...] = ()

    def cost_picousd(self, tokens: Tokens) -> int:
        """What tokens cost."""
        return tokens.times(self.rates)

    def bounds_of(self, tokens: Tokens) -> tuple[Bound, ...]:
        """Why tokens may cost more; their price is exact when there is no reason."""
        rates = self.rates
        is_open = tokens.cache_write_unspecified and rates.cache_write_1h != rates.cache_write_5m
        return (Bound.CACHE_WRITE_TTL, *self.bounds) if is_open else self.bounds

    @property
    def factor(self) -> Fraction:
        """Product of the multipliers."""
        return prod((one.factor for one in self.multipliers), start=Fraction(1))

    @property
    def modifiers(self) -> tuple[str, ...]:
        """What the plain rates of the row were changed by, for people: `fast`, `us_residency x1.1`."""
        named = () if self.block is None else (self.block.value,)
        return (*named, *(f"{one.modifier.value} x{factor_text(one.factor)}" for one in self.multipliers))


class Quote(NamedTuple):
    """What calls of a kind cost at a time: at list, and what is charged. Without a contract the same."""

    listed: Tariff | Unpriced
    charged: Tariff | Unpriced


class Step(NamedTuple):
    """What calls of a kind cost for a time, by the length of the prompt: up to a limit (None: any), and beyond it."""

    limit: int | None
    short: Quote
    long: Quote


class Timeline(NamedTuple):
    """What calls of a kind cost over time. Step n holds from `starts[n - 1]` until `starts[n]`."""

    starts: tuple[int, ...]
    steps: tuple[Step, ...]
