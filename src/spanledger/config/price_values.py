"""Values of price and contract files: prices, factors and instants, read from text without a float in between."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from spanledger.config.documents import Unquoted
from spanledger.core.money import factor, parse_usd, rate_picousd_per_token
from spanledger.core.usage import Tokens

NANO_PER_SECOND = 10**9
NANO_DIGITS = 9

_DECIMAL_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
_INSTANT = re.compile(
    r"(?P<time>\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d+))?"
    r"(?:(?P<utc>[Zz])|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3]):(?P<minutes>[0-5]\d))",
    re.ASCII,
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONE_HINT = 'expected an instant with a zone (RFC 3339), as in "2026-11-09T00:00:00Z"'


def read_instant(text: str) -> int:
    """Read an RFC 3339 instant as Unix nanoseconds.

    Raises:
        ValueError: not one, or one without a zone.
    """
    parts = _INSTANT.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r}: {_ZONE_HINT}")
    try:
        offset = timedelta(hours=int(parts["hours"] or 0), minutes=int(parts["minutes"] or 0))
        zone = UTC if parts["utc"] else timezone(-offset if parts["sign"] == "-" else offset)
        instant = datetime.fromisoformat(parts["time"].upper()).replace(tzinfo=zone)
    except ValueError:
        raise ValueError(f"{text!r}: {_ZONE_HINT}") from None
    since_epoch = instant - datetime(1970, 1, 1, tzinfo=UTC)
    nano = int((parts["fraction"] or "")[:NANO_DIGITS].ljust(NANO_DIGITS, "0"))
    return (since_epoch.days * 86_400 + since_epoch.seconds) * NANO_PER_SECOND + nano


def read_instant_or_day(text: str) -> int:
    """Read an RFC 3339 instant, or a day for its beginning in UTC, as Unix nanoseconds.

    Raises:
        ValueError: neither of them.
    """
    try:
        return read_instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError:
        message = "expected an instant with a zone (2026-11-09T00:00:00Z) or a day (2026-11-09, its beginning in UTC)"
        raise ValueError(f"{text!r}: {message}") from None


def _quoted(value: object, example: str) -> str:
    """A text that stands in quotes: other tools make floats of bare numbers, and a price through a float is another."""
    if not isinstance(value, str) or isinstance(value, Unquoted):
        raise ValueError(f"{value!s} is not quoted; expected text, as in {example}")  # noqa: TRY004 - pydantic reports it
    return value


def _rate(value: object) -> int:
    return rate_picousd_per_token(decimal_text(_quoted(value, '"2.50"')))


def _fee(value: object) -> int:
    return parse_usd(decimal_text(_quoted(value, '"0.01"')))


def _factor(value: object) -> Fraction:
    return factor(decimal_text(_quoted(value, '"1.1"')))


def _instant(value: object) -> int:
    return read_instant(_quoted(value, '"2026-11-09T00:00:00Z"'))


def _day(value: object) -> str:
    text = _quoted(value, '"2026-11-22"')
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f'{text!r}: expected a day, as in "2026-11-22"') from None


def _schema_number(value: object) -> int:
    if value != "1":
        raise ValueError(f"{value!s}: expected 1, the only version of the file format")
    return 1


def decimal_text(text: str) -> str:
    """Take digits with a point and no other spelling of a number (`1e3`, `1_000`, `+1`)."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f'{text!r}: expected a decimal number, as in "2.50"')
    return text


def _decimal_schema(description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": _DECIMAL_PATTERN, "description": description})


Rate = Annotated[int, BeforeValidator(_rate), _decimal_schema("USD per million tokens, a quoted decimal.")]
Fee = Annotated[int, BeforeValidator(_fee), _decimal_schema("USD, a quoted decimal.")]
Factor = Annotated[
    Fraction, BeforeValidator(_factor), PlainSerializer(str), _decimal_schema("A factor, a quoted decimal.")
]
Instant = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "An instant with a zone (RFC 3339)."}),
]
Day = Annotated[str, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class FileModel(BaseModel):
    """A part of a file: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(FileModel):
    """The five rates of a row; none is derived from another."""

    input: Rate
    output: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    cache_read: Rate


def tokens_of(rates: Rates, web_search_picousd: int) -> Tokens:
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


SchemaNumber = Annotated[int, BeforeValidator(_schema_number), WithJsonSchema({"const": 1})]
