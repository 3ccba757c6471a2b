"""What is known of how client versions price: their own tables and errata, from package data."""

from __future__ import annotations

from fractions import Fraction
from importlib import resources
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanledger.config.price_values import Factor
from spanledger.config.prices import price_book_of
from spanledger.core.client_prices import ClientPrices, Erratum, version_of


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionRange(_Model):
    """Versions from one on (inclusive) until another (exclusive); open where not given."""

    since: str = Field(default="", alias="from", pattern=r"^(\d+\.\d+\.\d+)?$")
    until: str = Field(default="", pattern=r"^(\d+\.\d+\.\d+)?$")


class ErratumRow(_Model):
    """A known error: either a factor on the list price, or the price of another model."""

    versions: VersionRange
    model: str
    factor: Factor = Fraction(1)
    priced_as: str = ""
    citation: str = Field(min_length=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.factor == 1) == (not self.priced_as):
            raise ValueError("an erratum has either a factor or priced_as")
        return self


class ErrataFile(_Model):
    """All known errors."""

    schema_number: int = Field(alias="schema", ge=1, le=1)
    errata: list[ErratumRow]


def load_client_prices() -> ClientPrices:
    """Load what the package knows: a table per version (`2.1.330.yaml`) and the errata."""
    folder = resources.files("spanledger") / "data" / "clients"
    errata: list[Erratum] = []
    tables = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        text = entry.read_text(encoding="utf-8")
        if entry.name == "errata.yaml":
            errata = [_erratum(row) for row in ErrataFile.model_validate(yaml.safe_load(text)).errata]
        elif entry.name.endswith(".yaml"):
            tables[entry.name.removesuffix(".yaml")] = price_book_of([(entry.name, text)])
    return ClientPrices(tables, errata)


def _erratum(row: ErratumRow) -> Erratum:
    return Erratum(
        model=row.model,
        citation=row.citation,
        from_version=version_of(row.versions.since),
        until_version=version_of(row.versions.until) or None,
        factor=row.factor,
        priced_as=row.priced_as,
    )
