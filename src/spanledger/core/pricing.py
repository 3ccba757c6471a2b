"""Prices of a model: dated rows of compiled rates, and what multiplies them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from spanledger.core.modelid import is_dated
from spanledger.core.money import factor_text
from spanledger.core.times import shown_second
from spanledger.core.usage import Tokens

ALWAYS = -(2**63)
"""The beginning of a span that has none."""


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
    CONTRACT = "contract"
    """A discount of the organisation's contract: a multiplier."""


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

    def ended(self, at_unix_nano: int) -> bool:
        """Whether the span is over at an instant."""
        return self.until_unix_nano is not None and self.until_unix_nano <= at_unix_nano

    def ends(self) -> tuple[int, ...]:
        """Instants at which the span begins and ends."""
        return (self.from_unix_nano,) if self.until_unix_nano is None else (self.from_unix_nano, self.until_unix_nano)

    def overlaps(self, other: Span) -> bool:
        """Whether the spans have an instant in common."""
        return not self.ended(other.from_unix_nano) and not other.ended(self.from_unix_nano)


@dataclass(frozen=True, slots=True)
class LongPrompt:
    """Rates of a whole call whose prompt (input, cache reads and cache writes) is longer than a limit."""

    above_tokens: int
    rates: Tokens


@dataclass(frozen=True, slots=True)
class FastPrice:
    """Rates of fast inference and when they hold; a long prompt does not change them.

    `then_standard`: after its end, what asks for fast inference runs and bills at the standard rates.
    """

    span: Span
    rates: Tokens
    then_standard: bool = False


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
            raise ValueError(
                f"{self.modifier} x{factor_text(self.factor)} makes a rate finer than one pico-USD per token"
            )
        return Tokens(*(rate.numerator for rate in scaled))._replace(web_search=rates.web_search)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Rates of one model from an instant on: pico-USD per token of each class, and per web search.

    Writes whose time to live is not known have the 5-minute rate. A row that is `announced` was written down before it
    held, and nobody has confirmed since that it came so. `layer` names the list that the row is of, `scope` where it
    stands when that is no list (`contract/bedrock`).
    """

    model: str
    from_unix_nano: int
    rates: Tokens
    long_prompt: LongPrompt | None = None
    announced: bool = False
    layer: str = ""
    scope: str = ""
    source: str = ""
    checked: str = ""
    id: str = field(init=False, compare=False)
    """Name of the row: model and the instant that it holds from, none when it always held."""

    def __post_init__(self) -> None:
        """Work out the name, which every charge by the row has."""
        object.__setattr__(self, "id", self._id())

    @property
    def limit(self) -> int | None:
        """Length of a prompt beyond which the row has other rates; None when it has none."""
        return None if self.long_prompt is None else self.long_prompt.above_tokens

    def _id(self) -> str:
        where = f"{self.scope}/{self.model}" if self.scope else self.model
        if self.from_unix_nano == ALWAYS:
            return where
        return f"{where}@{shown_second(self.from_unix_nano)}"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A price that was announced and taken back, kept for the record: it never prices anything."""

    row: PriceRow
    withdrawn: str


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """All that a price book says of a model; rows by instant, ascending."""

    id: str
    rows: tuple[PriceRow, ...]
    aliases: tuple[str, ...] = ()
    fast: tuple[FastPrice, ...] = ()
    multipliers: tuple[Multiplier, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()

    @property
    def dated(self) -> bool:
        """Whether the id names a dated snapshot."""
        return is_dated(self.id)

    def row_at(self, at_unix_nano: int) -> PriceRow | None:
        """The row that holds at an instant; None before the first."""
        place = bisect_right(self.rows, at_unix_nano, key=lambda row: row.from_unix_nano)
        return self.rows[place - 1] if place else None

    def fast_rates_at(self, at_unix_nano: int) -> Tokens | None:
        """Rates of fast inference at an instant; None when it has none of its own then."""
        return next((price.rates for price in self.fast if price.span.holds(at_unix_nano)), None)

    def fast_is_standard_at(self, at_unix_nano: int) -> bool:
        """Whether it is known that fast inference bills at the standard rates at an instant."""
        return any(price.then_standard and price.span.ended(at_unix_nano) for price in self.fast)

    def multiplier_at(self, modifier: Modifier, at_unix_nano: int) -> Multiplier | None:
        """The multiplier of a kind at an instant; None when the model has none."""
        return next((m for m in self.multipliers if m.modifier is modifier and m.span.holds(at_unix_nano)), None)

    def instants(self) -> Iterator[int]:
        """Every instant at which a price of the model may change."""
        yield from (row.from_unix_nano for row in self.rows)
        for span in (*(price.span for price in self.fast), *(one.span for one in self.multipliers)):
            yield from span.ends()
