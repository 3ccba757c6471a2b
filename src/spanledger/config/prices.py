"""Price files: YAML in, a price book out, every mistake with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from spanledger.core.errors import ConfigError
from spanledger.core.money import rate_picousd_per_token
from spanledger.core.pricing import ModelPrices, PriceBook, PriceRow, Span, clashes

NANO_PER_MICRO = 1_000
_EPOCH_ZONE_HINT = 'give an instant with a zone, quoted: "2026-11-09T00:00:00Z"'


def _rate(value: object) -> int:
    """Compile a price; an unquoted number has been through a float and is refused."""
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not text: quote prices, as in "2.50"')  # noqa: TRY004 - pydantic reports this
    return rate_picousd_per_token(value)


def _instant(value: object) -> int:
    """Read an RFC 3339 instant as Unix nanoseconds."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r}: {_EPOCH_ZONE_HINT}")  # noqa: TRY004 - pydantic reports this
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r}: {_EPOCH_ZONE_HINT}") from None
    if instant.tzinfo is None:
        raise ValueError(f"{value!r}: {_EPOCH_ZONE_HINT}")
    whole = int(instant.replace(microsecond=0).timestamp())
    return whole * 10**9 + instant.microsecond * NANO_PER_MICRO


Rate = Annotated[int, BeforeValidator(_rate)]
Instant = Annotated[int, BeforeValidator(_instant)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(_Model):
    """The five rates of a row; none is derived from another."""

    input: Rate
    output: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    cache_read: Rate


class Price(_Model):
    """A dated row."""

    since: Instant = Field(alias="from")
    rates: Rates
    source: str
    checked: str
    long_prompt_above_tokens: int | None = Field(default=None, gt=0)


class FastSpan(_Model):
    """A time in which fast inference has rates of its own."""

    since: Instant = Field(alias="from")
    until: Instant | None = None


class Model(_Model):
    """A model and its rows."""

    id: str = Field(min_length=1)
    aliases: list[str] = []
    regional_premium: bool = False
    us_residency_premium: bool = False
    fast: list[FastSpan] = []
    prices: list[Price] = Field(min_length=1)


class PriceFile(_Model):
    """A price file."""

    version: str
    name: str
    schema_number: int = Field(alias="schema", ge=1, le=1)
    checked: str
    source: str
    models: list[Model]


def load_price_book(paths: Sequence[Path] | None = None) -> PriceBook:
    """Load price files, or the ones of this package.

    Raises:
        ConfigError: every mistake of every file, each with file, model and key.
    """
    sources = _bundled() if paths is None else _given(paths)
    problems: list[str] = []
    files = [file for name, text in sources if (file := _parse(name, text, problems)) is not None]
    models = [_prices(model) for file in files for model in file.models]
    problems.extend(f"{name}: named by more than one model of the price files" for name in clashes(models))
    if problems:
        raise ConfigError(problems)
    return PriceBook(_book_id(files), models)


def _bundled() -> list[tuple[str, str]]:
    folder = resources.files("spanledger") / "data" / "prices"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return [(entry.name, entry.read_text(encoding="utf-8")) for entry in entries]


def _given(paths: Sequence[Path]) -> list[tuple[str, str]]:
    problems: list[str] = []
    texts: list[tuple[str, str]] = []
    for path in paths:
        try:
            texts.append((str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: price file cannot be read: {error}")
    if problems:
        raise ConfigError(problems)
    return texts


def _parse(name: str, text: str, problems: list[str]) -> PriceFile | None:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problems.append(f"{name}: is not YAML: {error}")
        return None
    try:
        file = PriceFile.model_validate(content)
    except ValidationError as error:
        problems.extend(f"{name}: {_place(item['loc'], content)}: {_message(item)}" for item in error.errors())
        return None
    problems.extend(
        f"{name}: model {model.id}: `from` of its prices must rise from row to row, each once"
        for model in file.models
        if not _rises([price.since for price in model.prices])
    )
    return file


def _rises(instants: Sequence[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(instants))


def _message(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    return str(item["msg"]).removeprefix("Value error, ")


def _place(location: tuple[int | str, ...], content: Any) -> str:  # noqa: ANN401 - parsed YAML
    """Name a place in the file by model id instead of by number."""
    parts: list[str] = []
    node = content
    for step in location:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
        named = isinstance(node, dict) and isinstance(step, int) and "id" in node
        parts.append(f"{node['id']}" if named else f"row {step + 1}" if isinstance(step, int) else str(step))
    return ".".join(parts) or "file"


def _prices(model: Model) -> ModelPrices:
    rows = tuple(
        PriceRow(
            model=model.id,
            from_unix_nano=price.since,
            input=price.rates.input,
            output=price.rates.output,
            cache_read=price.rates.cache_read,
            cache_write_5m=price.rates.cache_write_5m,
            cache_write_1h=price.rates.cache_write_1h,
            long_prompt_above_tokens=price.long_prompt_above_tokens,
        )
        for price in model.prices
    )
    return ModelPrices(
        id=model.id,
        rows=rows,
        aliases=tuple(model.aliases),
        regional_premium=model.regional_premium,
        us_residency_premium=model.us_residency_premium,
        fast=tuple(Span(span.since, span.until) for span in model.fast),
    )


def _book_id(files: Sequence[PriceFile]) -> str:
    """Name and version of each file, and a digest of what they say: equal ids are equal prices."""
    names = "+".join(f"{file.name}@{file.version}" for file in files)
    content = json.dumps([file.model_dump(mode="json") for file in files], sort_keys=True, separators=(",", ":"))
    return f"{names}#{hashlib.sha256(content.encode()).hexdigest()[:12]}"
