"""The price book: dated rows of compiled rates, found by exact name and instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spanledger.core.modelid import ModelName, normalise, without_date
from spanledger.core.usage import Tokens

NANO_PER_SECOND = 10**9
_NAMES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Rates of one model from an instant on, in pico-USD per token. Prompts above the limit have other rates."""

    model: str
    from_unix_nano: int
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    long_prompt_above_tokens: int | None = None

    @property
    def id(self) -> str:
        """Name of the row: model and the instant that it holds from."""
        since = datetime.fromtimestamp(self.from_unix_nano // NANO_PER_SECOND, tz=UTC)
        return f"{self.model}@{since:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def rates(self) -> Tokens:
        """Rate of each token class. Writes whose time to live is not known take the 5-minute rate."""
        return Tokens(
            input=self.input,
            output=self.output,
            cache_read=self.cache_read,
            cache_write_5m=self.cache_write_5m,
            cache_write_1h=self.cache_write_1h,
            cache_write_unspecified=self.cache_write_5m,
        )


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
class ModelPrices:
    """All that a price book says of a model; rows by instant, ascending.

    `regional_premium` and `us_residency_premium` say that regional endpoints and US residency cost more than the rows;
    `fast` when fast inference has rates of its own.
    """

    id: str
    rows: tuple[PriceRow, ...]
    aliases: tuple[str, ...] = ()
    regional_premium: bool = False
    us_residency_premium: bool = False
    fast: tuple[Span, ...] = ()

    def row_at(self, at_unix_nano: int) -> PriceRow | None:
        """The row that holds at an instant; None before the first."""
        place = bisect_right(self.rows, at_unix_nano, key=lambda row: row.from_unix_nano)
        return self.rows[place - 1] if place else None

    def fast_at(self, at_unix_nano: int) -> bool:
        """Whether fast inference has a rate of its own at an instant."""
        return any(span.holds(at_unix_nano) for span in self.fast)


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
