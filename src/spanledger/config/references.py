"""Published figures of what a developer costs, from package data: dated, never overwritten."""

from __future__ import annotations

from datetime import date
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from spanledger.core.distribution import Reference
from spanledger.core.money import parse_usd


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReferenceRow(_Model):
    """A published figure, from a date until another (exclusive); `checked` is when it was last read there."""

    since: date = Field(alias="from")
    until: date | None = None
    per: str
    mean_usd: str
    p90_usd: str
    source: str
    checked: date


class ReferenceFile(_Model):
    """All published figures."""

    references: list[ReferenceRow]


def load_references() -> tuple[Reference, ...]:
    """Load the published figures, the oldest first."""
    text = (resources.files("spanledger") / "data" / "references.yaml").read_text(encoding="utf-8")
    rows = ReferenceFile.model_validate(yaml.safe_load(text)).references
    return tuple(
        Reference(row.since, row.until, row.per, parse_usd(row.mean_usd), parse_usd(row.p90_usd), row.source)
        for row in sorted(rows, key=lambda row: row.since)
    )
