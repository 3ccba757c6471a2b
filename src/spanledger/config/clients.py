"""What is known of how client versions price: their own tables and errata, from package data."""

from __future__ import annotations

from fractions import Fraction
from importlib import resources
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanledger.config.price_values import Factor
from spanledger.config.prices import price_book_of
from spanledger.core.client_prices import ClientPrices, CountingErratum, Erratum, VersionRange, version_of


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionRows(_Model):
    """Versions from one on (inclusive) until another (exclusive); open where not given."""

    since: str = Field(default="", alias="from", pattern=r"^(\d+\.\d+\.\d+)?$")
    until: str = Field(default="", pattern=r"^(\d+\.\d+\.\d+)?$")


class ErratumRow(_Model):
    """A known error: either a factor on the list price, or the price of another model."""

    versions: VersionRows
    model: str
    factor: Factor = Fraction(1)
    priced_as: str = ""
    citation: str = Field(min_length=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.factor == 1) == (not self.priced_as):
            raise ValueError("an erratum has either a factor or priced_as")
        return self


class CountingRow(_Model):
    """A known error of token counts."""

    versions: VersionRows
    effect: Literal["extra_frames"]
    citation: str = Field(min_length=1)


class ErrataFile(_Model):
    """All known errors."""

    schema_number: int = Field(alias="schema", ge=1, le=1)
    errata: list[ErratumRow]
    counting: list[CountingRow]


def load_client_prices() -> ClientPrices:
    """Load what the package knows: a table per version (`2.1.330.yaml`) and the errata."""
    folder = resources.files("spanledger") / "data" / "clients"
    errata = ErrataFile(schema=1, errata=[], counting=[])
    tables = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        text = entry.read_text(encoding="utf-8")
        if entry.name == "errata.yaml":
            errata = ErrataFile.model_validate(yaml.safe_load(text))
        elif entry.name.endswith(".yaml"):
            tables[entry.name.removesuffix(".yaml")] = price_book_of([(entry.name, text)])
    pricing = [
        Erratum(_range(row.versions), row.model, row.citation, row.factor, row.priced_as) for row in errata.errata
    ]
    return ClientPrices(
        tables, pricing, [CountingErratum(_range(row.versions), row.citation) for row in errata.counting]
    )


def _range(rows: VersionRows) -> VersionRange:
    return VersionRange(version_of(rows.since), version_of(rows.until) or None)
