"""How a client prices: the list, its version's own table, or a known error of that version.

A client's cost figure is an estimate of its own. It explains itself when one of these reproduces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from spanledger.core.book import PriceBook
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Unpriced
from spanledger.core.usage import Provider, Tokens

_MEMORY_MAX = 4_096
"""Pairs of version and model whose ways are remembered; beyond that they are worked out afresh."""

_RESIDENCY_PROVIDERS = (Provider.ANTHROPIC, Provider.ANTHROPIC_AWS, Provider.FOUNDRY)


class Origin(Enum):
    """Where a way of pricing comes from."""

    LIST = "list"
    TABLE = "table"
    ERRATUM = "erratum"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Client versions from one on (inclusive) until another (exclusive)."""

    since: tuple[int, ...] = ()
    until: tuple[int, ...] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether both ends are known."""
        return bool(self.since) and self.until is not None

    def holds(self, client_version: str) -> bool:
        """Whether a version, such as `2.1.330`, lies in the range; what is no version does not."""
        version = version_of(client_version)
        return bool(version) and self.since <= version and (self.until is None or version < self.until)


UNKNOWN_MODELS = "*"
"""In the place of a model: every name that is no model's, such as a gateway's alias."""


@dataclass(frozen=True, slots=True)
class Erratum:
    """A known error of some client versions for one model, or for `UNKNOWN_MODELS`, with its source."""

    versions: VersionRange
    model: str
    citation: str
    factor: Fraction = Fraction(1)
    priced_as: str = ""

    def pricing(self, book: PriceBook) -> ClientPricing:
        """The way in which these versions price the model."""
        return ClientPricing(Origin.ERRATUM, book, self.citation, self.priced_as, self.factor)


@dataclass(frozen=True, slots=True)
class CountingErratum:
    """A known error of some client versions in their token counts (`core.recounts`), with its source."""

    versions: VersionRange
    citation: str


class ClientTariff(NamedTuple):
    """Rates of a call as a client prices: those of a price row times a factor, in two whole numbers."""

    rates: Tokens
    numerator: int
    denominator: int

    def cost_picousd(self, tokens: Tokens) -> int:
        """What the client says that tokens cost."""
        return tokens.times(self.rates) * self.numerator // self.denominator

    @property
    def long_write_picousd(self) -> int:
        """By how much a token written to the cache for an hour is dearer than one for five minutes."""
        return self._rate(self.rates.cache_write_1h) - self._rate(self.rates.cache_write_5m)

    @property
    def web_search_picousd(self) -> int:
        """What a web search costs; of a cost of several no more than a rounding off."""
        return self._rate(self.rates.web_search)

    def _rate(self, rate: int) -> int:
        return rate * self.numerator // self.denominator


@dataclass(frozen=True, slots=True)
class ClientPricing:
    """One way in which a client may price: a price book, a model in the place of the call's, a factor."""

    origin: Origin
    book: PriceBook
    citation: str = ""
    priced_as: str = ""
    factor: Fraction = Fraction(1)

    def tariff(self, call: RatingInput) -> ClientTariff | None:
        """What the client would price a call by; None when this way does not know its model.

        It prices by first-party rates whoever serves the model (measured), and residency only where there is one.
        """
        outcome = rate(self.book, self._asked(call))
        if isinstance(outcome, Unpriced):
            return None
        return ClientTariff(outcome.rates, self.factor.numerator, self.factor.denominator)

    def cost_picousd(self, call: RatingInput) -> int | None:
        """What the client would say of a call; None when this way does not know its model."""
        tariff = self.tariff(call)
        return None if tariff is None else tariff.cost_picousd(call.tokens)

    def _asked(self, call: RatingInput) -> RatingInput:
        if call.provider is Provider.ANTHROPIC and not self.priced_as and not call.batch:
            return call
        geo = call.inference_geo if call.provider in _RESIDENCY_PROVIDERS else ""
        model, at, tokens = self.priced_as or call.model, call.at_unix_nano, call.tokens
        return RatingInput(
            Provider.ANTHROPIC, model, at, tokens, call.speed, call.region, geo, prompt_tokens=call.prompt_tokens
        )


_Ways = tuple[ClientPricing, ...]
_WorkOut = Callable[[PriceBook, str, str], _Ways]


class ClientPrices:
    """Everything known of how clients price and count: own tables by version, errata. Beside them all have the list."""

    def __init__(
        self, tables: Mapping[str, PriceBook], errata: Sequence[Erratum], counting: Sequence[CountingErratum] = ()
    ) -> None:
        self._tables = dict(tables)
        self._errata = tuple(errata)
        self.counting = tuple(counting)
        self._memory: dict[tuple[str, PriceBook, str, str], _Ways] = {}

    def ways(self, book: PriceBook, client_version: str, model: str) -> _Ways:
        """Ways in which a version may price a model: by list, by its own table, by a known error. In this order.

        An error of versions that are known at both ends leaves no other way.
        """
        return self._remembered(book, client_version, model, self._ways_of)

    def ways_of_name(self, book: PriceBook, client_version: str, name: str) -> _Ways:
        """Ways in which a version may price what was asked for under a name, which may be no model's."""
        if book.resolve(name).prices is not None:
            return self.ways(book, client_version, name)
        return tuple(erratum.pricing(book) for erratum in self._errors(client_version, UNKNOWN_MODELS))

    def has_table(self, client_version: str) -> bool:
        """Whether the price table of a version is known."""
        return client_version in self._tables

    def ways_as(self, book: PriceBook, client_version: str, asked: str) -> _Ways:
        """Ways in which a version may price a call by the model asked for; none when neither list nor table know it."""
        return self._remembered(book, client_version, asked, self._ways_as)

    def ways_as_any(self, book: PriceBook, client_version: str) -> _Ways:
        """Ways in which a version may price a call by some model, as where it knows not the one asked for."""
        return self._remembered(book, client_version, "", self._ways_as_any)

    def _ways_of(self, book: PriceBook, client_version: str, model: str) -> _Ways:
        found = [ClientPricing(Origin.LIST, book)]
        table = self._tables.get(client_version)
        if table is not None:
            found.append(ClientPricing(Origin.TABLE, table, f"the price table of Claude Code {client_version}"))
        prices = book.resolve(model).prices
        errata = [] if prices is None else self._errors(client_version, prices.id)
        found.extend(erratum.pricing(book) for erratum in errata)
        return tuple(found[-len(errata) :] if any(erratum.versions.is_closed for erratum in errata) else found)

    def _errors(self, client_version: str, model: str) -> list[Erratum]:
        return [one for one in self._errata if one.model == model and one.versions.holds(client_version)]

    def _ways_as(self, book: PriceBook, client_version: str, asked: str) -> _Ways:
        citation = f"priced as {asked}, the model asked for"
        return tuple(
            replace(way, priced_as=asked, citation=citation)
            for way in self.ways(book, client_version, asked)
            if way.origin is not Origin.ERRATUM and way.book.resolve(asked).prices is not None
        )

    def _ways_as_any(self, book: PriceBook, client_version: str, _: str) -> _Ways:
        table = self._tables.get(client_version)
        origin, prices = (Origin.LIST, book) if table is None else (Origin.TABLE, table)
        return tuple(ClientPricing(origin, prices, priced_as=model.id) for model in prices.models)

    def _remembered(self, book: PriceBook, client_version: str, model: str, work_out: _WorkOut) -> _Ways:
        """Ways that were worked out for a version and a model, or are now; a bounded number of them."""
        key = (work_out.__name__, book, client_version, model)
        known = self._memory.get(key)
        if known is None:
            if len(self._memory) >= _MEMORY_MAX:
                self._memory.clear()
            self._memory[key] = known = work_out(book, client_version, model)
        return known


def version_of(text: str) -> tuple[int, ...]:
    """Read `2.1.330` so that versions compare; empty when it is none."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
