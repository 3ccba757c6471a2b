"""The price book: dated rows of compiled rates, found by exact name and instant, and what multiplies them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction

from spanledger.core.modelid import ModelName, normalise, without_date
from spanledger.core.usage import Tokens

NANO_PER_SECOND = 10**9
_NAMES_MAX = 4_096


class Modifier(StrEnum):
    """What makes a call cost other than the plain rates of its row."""

    FAST = "fast"
    """Fast inference: rates of its own."""
    LONG_PROMPT = "long_prompt"
    """A prompt above the row's limit: rates of its own for the whole call."""
    US_RESIDENCY = "us_residency"
    """Inference kept in the United States (`inference_geo`): a multiplier."""
    REGIONAL = "regional"
    """A Bedrock geographic or in-region profile, a Vertex region: a multiplier."""
    GOVCLOUD = "govcloud"
    """AWS GovCloud: a multiplier in the place of the regional one."""
    BATCH = "batch"
    """The Batch API: a multiplier."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from an instant on, until another one; None is open."""

    from_unix_nano: int
    until_unix_nano: int | None = None

    def holds(self, at_unix_nano: int) -> bool:
        """Whether an instant lies in the span."""
        return self.from_unix_nano <= at_unix_nano and (
            self.until_unix_nano is None or at_unix_nano < self.until_unix_nano
        )


@dataclass(frozen=True, slots=True)
class LongPrompt:
    """Rates of a whole call whose prompt (input, cache reads and cache writes) is longer than a limit."""

    above_tokens: int
    rates: Tokens


@dataclass(frozen=True, slots=True)
class FastPrice:
    """Rates of fast inference and when they hold; a long prompt does not change them."""

    span: Span
    rates: Tokens


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A factor on the rates of all token classes, and when it holds. Flat fees such as web searches are not in it."""

    modifier: Modifier
    factor: Fraction
    span: Span

    def applied_to(self, rates: Tokens) -> Tokens:
        """Rates times the factor.

        Raises:
            ValueError: a rate would be finer than one pico-USD.
        """
        scaled = [rate * self.factor for rate in rates]
        if any(rate.denominator != 1 for rate in scaled):
            raise ValueError(f"{self.modifier} x{self.factor} makes a rate finer than one pico-USD per token")
        return Tokens(*(rate.numerator for rate in scaled))._replace(web_search=rates.web_search)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Rates of one model from an instant on: pico-USD per token of each class, and per web search.

    Writes whose time to live is not known have the 5-minute rate.
    """

    model: str
    from_unix_nano: int
    rates: Tokens
    long_prompt: LongPrompt | None = None

    @property
    def id(self) -> str:
        """Name of the row: model and the instant that it holds from."""
        since = datetime.fromtimestamp(self.from_unix_nano // NANO_PER_SECOND, tz=UTC)
        return f"{self.model}@{since:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """All that a price book says of a model; rows by instant, ascending."""

    id: str
    rows: tuple[PriceRow, ...]
    aliases: tuple[str, ...] = ()
    fast: tuple[FastPrice, ...] = ()
    multipliers: tuple[Multiplier, ...] = ()

    def row_at(self, at_unix_nano: int) -> PriceRow | None:
        """The row that holds at an instant; None before the first."""
        place = bisect_right(self.rows, at_unix_nano, key=lambda row: row.from_unix_nano)
        return self.rows[place - 1] if place else None

    def fast_rates_at(self, at_unix_nano: int) -> Tokens | None:
        """Rates of fast inference at an instant; None when it has none of its own then."""
        return next((price.rates for price in self.fast if price.span.holds(at_unix_nano)), None)

    def multiplier_at(self, modifier: Modifier, at_unix_nano: int) -> Multiplier | None:
        """The multiplier of a kind at an instant; None when the model has none."""
        return next((m for m in self.multipliers if m.modifier is modifier and m.span.holds(at_unix_nano)), None)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model id as the price book sees it; `prices` is None when it knows no such model."""

    name: ModelName
    prices: ModelPrices | None


class PriceBook:
    """An immutable set of prices. `id` names its exact content."""

    def __init__(self, book_id: str, models: Iterable[ModelPrices]) -> None:
        self.id = book_id
        self.models: tuple[ModelPrices, ...] = tuple(models)
        self._by_name = _names(self.models)
        self._resolved: dict[str, Resolved] = {}

    def resolve(self, raw_model: str) -> Resolved:
        """Find a model by exact match after normalisation. Answers are remembered, a bounded number of them."""
        known = self._resolved.get(raw_model)
        if known is not None:
            return known
        name = normalise(raw_model)
        prices = None if name.opaque else self._find(name.name)
        if len(self._resolved) >= _NAMES_MAX:
            self._resolved.clear()
        self._resolved[raw_model] = resolved = Resolved(name, prices)
        return resolved

    def _find(self, name: str) -> ModelPrices | None:
        """A dated id of a model whose canonical id has no date is that model; no other suffix is taken off."""
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        bare = without_date(name)
        prices = None if bare is None else self._by_name.get(bare)
        return prices if prices is not None and prices.id == bare else None


def clashes(models: Sequence[ModelPrices]) -> list[str]:
    """Names that more than one model claims."""
    claims = [name for model in models for name in (model.id, *model.aliases)]
    return sorted({name for name in claims if claims.count(name) > 1})


def _names(models: Iterable[ModelPrices]) -> Mapping[str, ModelPrices]:
    return {name: model for model in models for name in (model.id, *model.aliases)}
