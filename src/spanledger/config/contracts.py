"""Contract files: an organisation's aliases, own prices and discounts.

People copy these figures from a paper, so numbers and times may stand with or without quotes; they are read as text
either way. An instant may be a day alone: its beginning in UTC.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from spanledger.config.documents import Document
from spanledger.config.price_list import PriceLists
from spanledger.config.price_values import FileModel, Rates, SchemaNumber, decimal_text, read_instant_or_day, tokens_of
from spanledger.core.book import PriceBook
from spanledger.core.contract import Contract, Discount, Override, Scope
from spanledger.core.modelid import ModelName, normalise, plain
from spanledger.core.money import factor, rate_picousd_per_token
from spanledger.core.pricing import ALWAYS, ModelPrices, Span
from spanledger.core.usage import Provider

MULTIPLIER_MAX = 10
MULTIPLIER_DECIMALS_MAX = 6


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r}: expected text")  # noqa: TRY004 - pydantic reports this
    return value


def _rate(value: object) -> int:
    return rate_picousd_per_token(decimal_text(_text(value)))


def _multiplier(value: object) -> Fraction:
    """Read a multiplier: 0.85 leaves 85 % of the price."""
    text = decimal_text(_text(value))
    multiplier = factor(text)
    if not 0 < multiplier <= MULTIPLIER_MAX:
        raise ValueError(f"{text}: expected a multiplier above 0 and up to {MULTIPLIER_MAX}; 0.85 is 15 % off")
    if (multiplier * 10**MULTIPLIER_DECIMALS_MAX).denominator != 1:
        raise ValueError(f"{text}: expected at most {MULTIPLIER_DECIMALS_MAX} decimals")
    return multiplier


def _instant(value: object) -> int:
    return read_instant_or_day(_text(value))


def _or_nothing(value: object) -> object:
    """A key with nothing after it says nothing."""
    return [] if value is None else value


def _alias_pairs(value: object) -> object:
    return {} if value is None else value


_NUMBER_SCHEMA = WithJsonSchema({"type": ["string", "number"]})
Rate = Annotated[int, BeforeValidator(_rate), _NUMBER_SCHEMA]
Multiplier = Annotated[Fraction, BeforeValidator(_multiplier), PlainSerializer(str), _NUMBER_SCHEMA]
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string"})]
Name = Annotated[str, Field(min_length=1)]
ProviderName = Literal["anthropic", "bedrock", "vertex", "foundry", "anthropic_aws"]


class ContractRates(Rates):
    """The five rates of an override, in USD per million tokens."""

    input: Rate
    output: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    cache_read: Rate


class OverrideRule(FileModel):
    """Rates in the place of the list's."""

    model: Name = Field(description="The model, in any form of its id; with a Bedrock profile, that profile alone.")
    provider: ProviderName | None = Field(default=None, description="Only at this provider.")
    rates: ContractRates
    since: Instant | None = Field(default=None, alias="from", description="First instant; always when not given.")
    until: Instant | None = Field(default=None, description="First instant after it; open when not given.")
    modifiers: Literal["keep", "final"] = Field(
        default="final",
        description="`final`: nothing on top. `keep`: fast, long prompts, residency, regions and batch as on the list.",
    )


class DiscountRule(FileModel):
    """A factor on the list's rates."""

    multiplier: Multiplier = Field(description="What is left of the price: 0.85 is 15 % off.")
    provider: ProviderName | None = Field(default=None, description="Only at this provider.")
    model: Name | None = Field(default=None, description="Only for this model.")
    cost_center: Name | None = Field(default=None, description="Only for this cost center.")
    since: Instant | None = Field(default=None, alias="from", description="First instant; always when not given.")
    until: Instant | None = Field(default=None, description="First instant after it; open when not given.")


class ContractFile(FileModel):
    """A contract. Every key may be left out."""

    schema_number: SchemaNumber = Field(default=1, alias="schema")
    name: Name = "contract"
    version: Name = "1"
    aliases: Annotated[dict[str, Name], BeforeValidator(_alias_pairs)] = Field(
        default={}, description="Names that are no ids of a model, and the model that each stands for."
    )
    overrides: Annotated[list[OverrideRule], BeforeValidator(_or_nothing)] = Field(
        default=[], description="Own rates. The most specific one counts, a discount never comes on top."
    )
    discounts: Annotated[list[DiscountRule], BeforeValidator(_or_nothing)] = Field(
        default=[], description="Discounts. The most specific one counts; they do not stack."
    )


@dataclass(frozen=True, slots=True)
class Agreed:
    """A contract beside what it adds to the models of the lists: those that only it has rates for."""

    contract: Contract
    models: tuple[ModelPrices, ...]


class Terms:
    """A contract file, read against price lists."""

    def __init__(self, file: ContractFile, document: Document, lists: PriceLists) -> None:
        self._file = file
        self._document = document
        self._lists = lists
        self._aliases = {plain(name): target for name, target in file.aliases.items()}
        self._listed = PriceBook("", lists.compiled())
        overridden = {self._model(rule.model) for rule in file.overrides}
        self._own = sorted(overridden - {prices.id for prices in self._listed.models})

    def agreed(self) -> Agreed:
        """The contract in the form that calls are priced by."""
        fee = self._lists.web_search_picousd
        return Agreed(
            Contract(
                self._aliases,
                [
                    Override(
                        self._scope(rule.provider, rule.model),
                        _span(rule),
                        tokens_of(rule.rates, fee),
                        keeps_modifiers=rule.modifiers == "keep",
                    )
                    for rule in self._file.overrides
                ],
                [
                    Discount(self._scope(rule.provider, rule.model, rule.cost_center), _span(rule), rule.multiplier)
                    for rule in self._file.discounts
                ],
            ),
            tuple(ModelPrices(name, (), multipliers=self._lists.multipliers_of(name)) for name in self._own),
        )

    def faults(self) -> Iterator[str]:
        """What is wrong between the parts of the contract, and between it and the lists."""
        for name, target in self._file.aliases.items():
            if self._unknown(target):
                yield self._document.fault(("aliases", name), f"{target}: {self._no_model(target)}")
        for place, discount in enumerate(self._file.discounts):
            if discount.model is not None and self._unknown(discount.model):
                message = f"{discount.model}: {self._no_model(discount.model)}"
                yield self._document.fault(("discounts", place, "model"), message)
        yield from self._rule_faults("overrides", self._file.overrides)
        yield from self._rule_faults("discounts", self._file.discounts)

    def _rule_faults(self, key: str, rules: Sequence[OverrideRule | DiscountRule]) -> Iterator[str]:
        seen: dict[tuple[Scope, Span], int] = {}
        for place, rule in enumerate(rules):
            span = _span(rule)
            if span.ended(span.from_unix_nano):
                message = "ends before it begins; expected an instant after `from`"
                yield self._document.fault((key, place, "until"), message)
            cost_center = rule.cost_center if isinstance(rule, DiscountRule) else None
            first = seen.setdefault((self._scope(rule.provider, rule.model, cost_center), span), place)
            if first != place:
                message = f"is for the same calls and time as row {first + 1}; expected one of them"
                yield self._document.fault((key, place), message)

    def _scope(self, provider: str | None, model: str | None, cost_center: str | None = None) -> Scope:
        profile = None if model is None else self._listed_name(model).profile or None
        return Scope(
            provider=None if provider is None else Provider(provider),
            model=None if model is None else self._model(model),
            profile=profile,
            cost_center=cost_center,
        )

    def _model(self, text: str) -> str:
        """Canonical id of a model, or the name that the contract alone gives it."""
        prices = self._listed.resolve(self._target(text)).prices
        return self._listed_name(text).name if prices is None else prices.id

    def _listed_name(self, text: str) -> ModelName:
        return normalise(self._target(text))

    def _target(self, text: str) -> str:
        return self._aliases.get(plain(text), text)

    def _unknown(self, text: str) -> bool:
        return self._listed.resolve(text).prices is None and self._model(text) not in self._own

    def _no_model(self, text: str) -> str:
        known = [name for prices in self._listed.models for name in (prices.id, *prices.aliases)]
        near = difflib.get_close_matches(normalise(text).name, [*known, *self._own], n=1)
        hint = f"; did you mean {near[0]}?" if near else "; expected an id that the price list or an override has"
        return f"is no model of the price book{hint}"


def _span(rule: OverrideRule | DiscountRule) -> Span:
    return Span(ALWAYS if rule.since is None else rule.since, rule.until)
