"""Price files: YAML in, a price book out, every mistake with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from functools import reduce
from importlib import resources
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from spanledger.core.errors import ConfigError
from spanledger.core.money import factor, parse_usd, rate_picousd_per_token
from spanledger.core.pricing import (
    FastPrice,
    LongPrompt,
    ModelPrices,
    Modifier,
    Multiplier,
    PriceBook,
    PriceRow,
    Span,
    clashes,
)
from spanledger.core.usage import Tokens

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


def _factor(value: object) -> Fraction:
    """Compile a multiplier; an unquoted number has been through a float and is refused."""
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not text: quote factors, as in "1.1"')  # noqa: TRY004 - pydantic reports this
    return factor(value)


def _fee(value: object) -> int:
    """Compile a flat fee in USD."""
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not text: quote prices, as in "0.01"')  # noqa: TRY004 - pydantic reports this
    return parse_usd(value)


Rate = Annotated[int, BeforeValidator(_rate)]
Fee = Annotated[int, BeforeValidator(_fee)]
Factor = Annotated[Fraction, BeforeValidator(_factor), PlainSerializer(str)]
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


class LongPromptRates(_Model):
    """Rates of a whole call with a longer prompt."""

    above_tokens: int = Field(gt=0)
    rates: Rates


class Price(_Model):
    """A dated row."""

    since: Instant = Field(alias="from")
    rates: Rates
    source: str
    checked: str
    long_prompt: LongPromptRates | None = None


class FastRates(_Model):
    """Rates of fast inference, from an instant on, until another one."""

    since: Instant = Field(alias="from")
    until: Instant | None = None
    rates: Rates


class ModifierRule(_Model):
    """A multiplier and the models that it applies to; all models of the file when none are named."""

    name: Literal[Modifier.US_RESIDENCY, Modifier.REGIONAL, Modifier.GOVCLOUD, Modifier.BATCH]
    factor: Factor
    models: list[str] | None = None
    since: Instant = Field(default=0, alias="from")
    until: Instant | None = None
    source: str
    checked: str


class WebSearch(_Model):
    """The flat fee of a web search."""

    usd_per_request: Fee
    source: str
    checked: str


class Model(_Model):
    """A model and its rows."""

    id: str = Field(min_length=1)
    aliases: list[str] = []
    fast: list[FastRates] = []
    prices: list[Price] = Field(min_length=1)


class PriceFile(_Model):
    """A price file."""

    version: str
    name: str
    schema_number: int = Field(alias="schema", ge=1, le=1)
    checked: str
    source: str
    web_search: WebSearch
    modifiers: list[ModifierRule] = []
    models: list[Model]


def load_price_book(paths: Sequence[Path] | None = None) -> PriceBook:
    """Load price files, or the ones of this package.

    Raises:
        ConfigError: every mistake of every file, each with file, model and key.
    """
    return price_book_of(_bundled() if paths is None else _given(paths))


def price_book_of(sources: Sequence[tuple[str, str]]) -> PriceBook:
    """Compile price files, given as pairs of name and text.

    Raises:
        ConfigError: every mistake of every file, each with file, model and key.
    """
    problems: list[str] = []
    files = [file for name, text in sources if (file := _parse(name, text, problems)) is not None]
    models = [_prices(file, model) for file in files for model in file.models]
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
    problems.extend(f"{name}: {fault}" for fault in _faults(file))
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


def _prices(file: PriceFile, model: Model) -> ModelPrices:
    fee = file.web_search.usd_per_request
    return ModelPrices(
        id=model.id,
        rows=tuple(
            PriceRow(
                model=model.id,
                from_unix_nano=price.since,
                rates=_rates(price.rates, fee),
                long_prompt=None
                if price.long_prompt is None
                else LongPrompt(price.long_prompt.above_tokens, _rates(price.long_prompt.rates, fee)),
            )
            for price in model.prices
        ),
        aliases=tuple(model.aliases),
        fast=tuple(FastPrice(Span(fast.since, fast.until), _rates(fast.rates, fee)) for fast in model.fast),
        multipliers=tuple(
            Multiplier(rule.name, rule.factor, Span(rule.since, rule.until))
            for rule in file.modifiers
            if rule.models is None or model.id in rule.models
        ),
    )


def _rates(rates: Rates, web_search_picousd: int) -> Tokens:
    """Rates by token class; writes whose time to live is not known take the 5-minute rate."""
    return Tokens(
        input=rates.input,
        output=rates.output,
        cache_read=rates.cache_read,
        cache_write_5m=rates.cache_write_5m,
        cache_write_1h=rates.cache_write_1h,
        cache_write_unspecified=rates.cache_write_5m,
        web_search=web_search_picousd,
    )


def _faults(file: PriceFile) -> Iterator[str]:
    """What is wrong between the parts of a file that are right each by itself."""
    ids = {model.id for model in file.models}
    for rule in file.modifiers:
        for name in sorted(set(rule.models or ()) - ids):
            yield f"modifier {rule.name.value}: {name} is no model of this file"
    for model in file.models:
        if not _rises([price.since for price in model.prices]):
            yield f"model {model.id}: `from` of its prices must rise from row to row, each once"
        yield from _too_fine(_prices(file, model))


def _too_fine(prices: ModelPrices) -> Iterator[str]:
    """Rates that some combination of multipliers makes finer than money is counted in."""
    blocks = [row.rates for row in prices.rows]
    blocks += [row.long_prompt.rates for row in prices.rows if row.long_prompt is not None]
    blocks += [fast.rates for fast in prices.fast]
    for size in range(1, len(prices.multipliers) + 1):
        for several in combinations(prices.multipliers, size):
            for rates in blocks:
                try:
                    reduce(lambda scaled, multiplier: multiplier.applied_to(scaled), several, rates)
                except ValueError as error:
                    yield f"model {prices.id}: {error}"


def _book_id(files: Sequence[PriceFile]) -> str:
    """Name and version of each file, and a digest of what they say: equal ids are equal prices."""
    names = "+".join(f"{file.name}@{file.version}" for file in files)
    content = json.dumps([file.model_dump(mode="json") for file in files], sort_keys=True, separators=(",", ":"))
    return f"{names}#{hashlib.sha256(content.encode()).hexdigest()[:12]}"
