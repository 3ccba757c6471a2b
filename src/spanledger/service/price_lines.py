"""Prices of single calls: one JSON object in, one out, for `spanledger prices rate` and for checking a price book."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from spanledger.config.price_values import read_instant
from spanledger.core.book import PriceBook
from spanledger.core.defaults import Defaults, Fact
from spanledger.core.money import factor_text, format_usd
from spanledger.core.posting import Status
from spanledger.core.rating import quote
from spanledger.core.rating_input import RatingInput
from spanledger.core.settling import price_of
from spanledger.core.tariff import Quote, Tariff, Unpriced
from spanledger.core.usage import Provider, QueryClass, Source, Speed, Tokens
from spanledger.service.price_explanation import BOUND_WORDS
from spanledger.service.price_views import rates_json

Json = dict[str, object]

INVALID = "invalid"

_MISSPELT_CUTOFF = 0.75
_COUNT_MAX = 2**63 - 1
_SPEEDS = {"standard": Speed.STANDARD, "normal": Speed.STANDARD, "fast": Speed.FAST, None: Speed.STANDARD}
_BOOKED_PROVIDERS = {provider.value: provider for provider in Provider if provider is not Provider.OTHER}

Count = Annotated[int, Field(ge=0, le=_COUNT_MAX, strict=True)]


def _speed(value: object) -> Speed:
    if (value is not None and not isinstance(value, str)) or value not in _SPEEDS:
        raise ValueError(f"{value!r} is not one of standard, normal, fast or null")
    return _SPEEDS[value]


def _provider(value: object) -> Provider:
    if not isinstance(value, str) or value not in _BOOKED_PROVIDERS:
        raise ValueError(f"{value!r} is not one of {', '.join(_BOOKED_PROVIDERS)}")
    return _BOOKED_PROVIDERS[value]


def _instant(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r}: expected an instant as text (RFC 3339)")  # noqa: TRY004 - pydantic reports this
    return read_instant(value)


def _echo(value: JsonValue) -> JsonValue:
    """Take what can be said back in JSON: no NaN, no number of thousands of digits."""
    json.dumps(value, allow_nan=False)
    return value


InstantText = Annotated[int, BeforeValidator(_instant)]
CallId = Annotated[JsonValue, AfterValidator(_echo)]


class _Part(BaseModel):
    # An unknown key in here could change the price: it makes the line invalid instead of silently wrong.
    model_config = ConfigDict(extra="forbid", frozen=True)


class _TokenCounts(_Part):
    input: Count = 0
    output: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    cache_read: Count = 0
    cache_write_unspecified: Count = 0


class _ServerTools(_Part):
    web_search_requests: Count = 0


class _Flags(_Part):
    speed: Annotated[Speed, BeforeValidator(_speed)] = Speed.STANDARD
    inference_geo: str | None = None
    batch: Annotated[bool, Field(strict=True)] | None = None
    region: str | None = None


class _Call(BaseModel):
    # Further keys are the caller's own notes, but one that is nearly the name of a missing key is its misspelling.
    model_config = ConfigDict(extra="allow", frozen=True)

    id: CallId = None
    provider: Annotated[Provider, BeforeValidator(_provider)]
    model: str
    timestamp: InstantText
    tokens: _TokenCounts
    server_tools: _ServerTools | None = None
    flags: _Flags | None = None
    cost_center: str | None = None

    @model_validator(mode="after")
    def _not_misspelt(self) -> Self:
        missing = sorted(type(self).model_fields.keys() - self.model_fields_set)
        for given in sorted(self.model_extra or ()):
            near = difflib.get_close_matches(given, missing, n=1, cutoff=_MISSPELT_CUTOFF)
            if near:
                raise ValueError(f"unknown key {given}; did you mean {near[0]}?")
        return self

    @property
    def rating_input(self) -> RatingInput:
        """The call as rating sees it."""
        tokens, flags = self.tokens, self.flags or _Flags()
        return RatingInput(
            provider=self.provider,
            model=self.model,
            at_unix_nano=self.timestamp,
            tokens=Tokens(
                input=tokens.input,
                output=tokens.output,
                cache_read=tokens.cache_read,
                cache_write_5m=tokens.cache_write_5m,
                cache_write_1h=tokens.cache_write_1h,
                cache_write_unspecified=tokens.cache_write_unspecified,
                web_search=0 if self.server_tools is None else self.server_tools.web_search_requests,
            ),
            speed=flags.speed,
            region=flags.region or "",
            inference_geo=flags.inference_geo or "",
            batch=bool(flags.batch),
        )


class _Id(BaseModel):
    id: CallId = None


def rate_line(line: str | bytes, book: PriceBook, defaults: Defaults | None = None) -> Json:
    """Price the call that a line of JSON describes; a line that cannot be used is `invalid`, with all its mistakes."""
    try:
        call = _Call.model_validate_json(line)
    except ValidationError as error:
        reason = "; ".join(_mistake(dict(item)) for item in error.errors())
        return _answer(_id_of(line), INVALID, book, reason=reason)
    stated = call.rating_input
    known = (defaults or Defaults()).of(Source(provider=stated.provider), QueryClass.UNKNOWN)
    asked, assumptions = known.filled_in(replace(known.placed(stated), provider=stated.provider))
    quoted = quote(book, asked, call.cost_center or "")
    match quoted.charged:
        case Unpriced(reason=reason, detail=detail):
            return _answer(call.id, Status.UNPRICED, book, reason=f"{reason}: {detail}")
        case Tariff() as tariff:
            bounds = tariff.bounds_of(asked.tokens)
            used = [one for one in assumptions if one.fact is not Fact.PROVIDER]
            reason = "; ".join([*(BOUND_WORDS[bound] for bound in bounds), *price_of(book, quoted, used).assumed])
            answer = _answer(call.id, Status.LOWER_BOUND if bounds else Status.EXACT, book, reason=reason)
            return answer | _price(quoted, tariff, asked.tokens)


def _answer(call_id: JsonValue, status: str, book: PriceBook, *, reason: str) -> Json:
    return {
        "id": call_id,
        "status": str(status),
        "usd": None,
        "list_usd": None,
        "rates_usd_per_mtok": None,
        "modifier": "1",
        "price_row": None,
        "price_book": book.id,
        "reason": reason or None,
    }


def _price(quoted: Quote, charged: Tariff, tokens: Tokens) -> Json:
    listed = quoted.listed
    return {
        "usd": format_usd(charged.cost_picousd(tokens)),
        "list_usd": None if isinstance(listed, Unpriced) else format_usd(listed.cost_picousd(tokens)),
        "rates_usd_per_mtok": rates_json(charged.base),
        "modifier": factor_text(charged.factor),
        "price_row": charged.row.id,
    }


def _id_of(line: str | bytes) -> JsonValue:
    """Id of an invalid line, if at least that can be read."""
    try:
        return _Id.model_validate_json(line).id
    except ValidationError:
        return None


def _mistake(item: dict[str, object]) -> str:
    location = item["loc"]
    place = ".".join(map(str, location)) if isinstance(location, tuple) else ""
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
