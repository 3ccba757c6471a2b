"""Price lists: the format of a file of list prices, and the models that several of them in layers make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from spanledger.config.documents import Document
from spanledger.config.price_values import Day, Factor, Fee, FileModel, Instant, Rates, SchemaNumber, tokens_of
from spanledger.core.pricing import (
    FastPrice,
    LongPrompt,
    ModelPrices,
    Modifier,
    Multiplier,
    PriceRow,
    Span,
    Withdrawal,
)


class LongPromptRates(FileModel):
    """Rates of a whole call with a longer prompt."""

    above_tokens: int = Field(gt=0, description="Length of the prompt that must be exceeded.")
    rates: Rates


class Price(FileModel):
    """A dated row. It holds from its instant on, until the next row's."""

    since: Instant = Field(alias="from")
    rates: Rates
    source: str = Field(min_length=1)
    checked: Day
    long_prompt: LongPromptRates | None = None
    announced: bool = Field(
        default=False, description="Written down before it holds; taken away when somebody has confirmed it."
    )
    withdrawn: Day | None = Field(
        default=None, description="Day on which an announced price was taken back: kept for the record, prices nothing."
    )
    confirm: bool = Field(default=False, description="The row is right although it looks improbable.")


class FastRates(FileModel):
    """Rates of fast inference, from an instant on, until another one."""

    since: Instant = Field(alias="from")
    until: Instant | None = None
    then: Literal["standard"] | None = Field(
        default=None, description="`standard`: after the end, fast inference runs and bills as the standard one."
    )
    rates: Rates
    confirm: bool = Field(default=False, description="The rates are right although they look improbable.")

    @property
    def span(self) -> Span:
        """When the rates hold."""
        return Span(self.since, self.until)


class ModifierRule(FileModel):
    """A multiplier and the models that it applies to; all models of the book when none are named."""

    name: Literal["us_residency", "regional", "govcloud", "batch"]
    factor: Factor
    models: list[str] | None = None
    since: Instant = Field(default=0, alias="from")
    until: Instant | None = None
    source: str = Field(min_length=1)
    checked: Day

    @property
    def span(self) -> Span:
        """When the multiplier holds."""
        return Span(self.since, self.until)

    def concerns(self, model: str) -> bool:
        """Whether the rule applies to a model."""
        return self.models is None or model in self.models


class WebSearch(FileModel):
    """The flat fee of a web search."""

    usd_per_request: Fee
    source: str = Field(min_length=1)
    checked: Day


class Model(FileModel):
    """A model and its rows."""

    id: str = Field(min_length=1)
    aliases: list[str] = Field(default=[], description="Other names of exactly this model.")
    fast: list[FastRates] = Field(default=[], description="Rates of fast inference, where it has any of its own.")
    prices: list[Price] = Field(description="Its rows, the oldest first; one at least.")


class PriceFile(FileModel):
    """A file of list prices. One that is laid over another needs to hold only what it changes."""

    schema_number: SchemaNumber = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    checked: Day = Field(description="Day on which a person last compared the whole file with its source.")
    source: str = Field(min_length=1)
    web_search: WebSearch | None = None
    modifiers: list[ModifierRule] = Field(default=[], description="Factors on the rates of all token classes.")
    models: list[Model]


@dataclass(frozen=True, slots=True)
class Listed:
    """A price list and the document that it was read from."""

    file: PriceFile
    document: Document


class PriceLists:
    """Price lists in layers, the lowest first: what a later one says counts.

    A model of a later list takes the place of the whole model. For a modifier of a model the rules of the latest list
    that has any for it count, for web searches the latest fee.
    """

    def __init__(self, layers: Sequence[Listed]) -> None:
        self.layers = tuple(layers)
        self.models = {model.id: (listed, model) for listed in layers for model in listed.file.models}

    def compiled(self) -> list[ModelPrices]:
        """Prices of every model."""
        return [self._compiled(listed, model) for listed, model in self.models.values()]

    @property
    def web_search_picousd(self) -> int:
        """The fee of a web search."""
        fees = [listed.file.web_search for listed in self.layers if listed.file.web_search is not None]
        return fees[-1].usd_per_request if fees else 0

    def multipliers_of(self, model: str) -> tuple[Multiplier, ...]:
        """Multipliers of a model, each kind by the latest list that has it."""
        found: dict[Modifier, list[Multiplier]] = {}
        for listed in self.layers:
            of_list: dict[Modifier, list[Multiplier]] = {}
            for rule in listed.file.modifiers:
                if rule.concerns(model):
                    modifier = Modifier(rule.name)
                    of_list.setdefault(modifier, []).append(Multiplier(modifier, rule.factor, rule.span))
            found.update(of_list)
        return tuple(one for several in found.values() for one in several)

    def _compiled(self, listed: Listed, model: Model) -> ModelPrices:
        fee = self.web_search_picousd
        rows = [(price, _row(model.id, price, fee, listed.file.name)) for price in model.prices]
        return ModelPrices(
            id=model.id,
            rows=tuple(row for price, row in rows if price.withdrawn is None),
            aliases=tuple(model.aliases),
            fast=tuple(
                FastPrice(fast.span, tokens_of(fast.rates, fee), then_standard=fast.then is not None)
                for fast in model.fast
            ),
            multipliers=self.multipliers_of(model.id),
            withdrawals=tuple(Withdrawal(row, price.withdrawn) for price, row in rows if price.withdrawn is not None),
        )


def _row(model: str, price: Price, fee_picousd: int, layer: str) -> PriceRow:
    long = price.long_prompt
    return PriceRow(
        model=model,
        from_unix_nano=price.since,
        rates=tokens_of(price.rates, fee_picousd),
        long_prompt=None if long is None else LongPrompt(long.above_tokens, tokens_of(long.rates, fee_picousd)),
        announced=price.announced,
        layer=layer,
        source=price.source,
        checked=price.checked,
    )
