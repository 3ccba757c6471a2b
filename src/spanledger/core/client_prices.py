"""How a client prices: the list, its version's own table, or a known error of that version.

A client's cost figure is an estimate of its own. It explains itself when one of these reproduces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from spanledger.core.book import PriceBook
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Tariff, Unpriced
from spanledger.core.usage import Provider, Tokens

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


@dataclass(frozen=True, slots=True)
class Erratum:
    """A known error of some client versions for one model, with its source."""

    versions: VersionRange
    model: str
    citation: str
    factor: Fraction = Fraction(1)
    priced_as: str = ""


@dataclass(frozen=True, slots=True)
class CountingErratum:
    """A known error of some client versions in their token counts (`core.recounts`), with its source."""

    versions: VersionRange
    citation: str


@dataclass(frozen=True, slots=True)
class ClientPricing:
    """One way in which a client may price: a price book, a model in the place of the call's, a factor."""

    origin: Origin
    book: PriceBook
    citation: str = ""
    priced_as: str = ""
    factor: Fraction = Fraction(1)

    def cost_picousd(self, call: RatingInput) -> int | None:
        """What the client would say of a call; None when this way does not know its model.

        It prices by first-party rates whoever serves the model (measured), and residency only where there is one.
        """
        tariff = self._tariff(call)
        return None if tariff is None else int(tariff.cost_picousd(call.tokens) * self.factor)

    def rates(self, call: RatingInput) -> Tokens | None:
        """Rates that the client would use; None when this way does not know its model."""
        tariff = self._tariff(call)
        return None if tariff is None else Tokens(*(int(one * self.factor) for one in tariff.rates))

    def _tariff(self, call: RatingInput) -> Tariff | None:
        geo = call.inference_geo if call.provider in _RESIDENCY_PROVIDERS else ""
        asked = replace(
            call, provider=Provider.ANTHROPIC, model=self.priced_as or call.model, inference_geo=geo, batch=False
        )
        outcome = rate(self.book, asked)
        return None if isinstance(outcome, Unpriced) else outcome


class ClientPrices:
    """Everything known of how clients price and count: own tables by version, errata. Beside them all have the list."""

    def __init__(
        self, tables: Mapping[str, PriceBook], errata: Sequence[Erratum], counting: Sequence[CountingErratum] = ()
    ) -> None:
        self._tables = dict(tables)
        self._errata = tuple(errata)
        self.counting = tuple(counting)

    def ways(self, book: PriceBook, client_version: str, model: str) -> tuple[ClientPricing, ...]:
        """Ways in which a version may price a model: by list, by its own table, by a known error. In this order.

        An error of versions that are known at both ends leaves no other way.
        """
        found = [ClientPricing(Origin.LIST, book)]
        table = self._tables.get(client_version)
        if table is not None:
            found.append(ClientPricing(Origin.TABLE, table, f"the price table of Claude Code {client_version}"))
        prices = book.resolve(model).prices
        errata = [
            erratum
            for erratum in self._errata
            if prices is not None and erratum.model == prices.id and erratum.versions.holds(client_version)
        ]
        found.extend(
            ClientPricing(Origin.ERRATUM, book, erratum.citation, erratum.priced_as, erratum.factor)
            for erratum in errata
        )
        return tuple(found[-len(errata) :] if any(erratum.versions.is_closed for erratum in errata) else found)

    def has_table(self, client_version: str) -> bool:
        """Whether the price table of a version is known."""
        return client_version in self._tables

    def ways_as(self, book: PriceBook, client_version: str, asked: str) -> tuple[ClientPricing, ...]:
        """Ways in which a version may price a call by the model asked for; none when neither list nor table know it."""
        citation = f"priced as {asked}, the model asked for"
        return tuple(
            replace(way, priced_as=asked, citation=citation)
            for way in self.ways(book, client_version, asked)
            if way.origin is not Origin.ERRATUM and way.book.resolve(asked).prices is not None
        )

    def ways_as_any(self, book: PriceBook, client_version: str) -> tuple[ClientPricing, ...]:
        """Ways in which a version may price a call by some model, as where it knows not the one asked for."""
        table = self._tables.get(client_version)
        origin, prices = (Origin.LIST, book) if table is None else (Origin.TABLE, table)
        return tuple(ClientPricing(origin, prices, priced_as=model.id) for model in prices.models)


def version_of(text: str) -> tuple[int, ...]:
    """Read `2.1.330` so that versions compare; empty when it is none."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
