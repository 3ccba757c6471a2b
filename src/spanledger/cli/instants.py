"""Times on the command line: days, and instants with a zone."""

from __future__ import annotations

from datetime import date, tzinfo
from typing import Annotated

import typer

from spanledger.config.fields import read_zone
from spanledger.config.price_values import read_instant
from spanledger.core.errors import ConfigError
from spanledger.core.periods import midnight_unix_nano

TimezoneOption = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="Time zone that days begin in; `calendar.timezone` unless given."),
]

ShownZoneOption = Annotated[
    str, typer.Option("--timezone", metavar="ZONE", help="Time zone of the times shown, as in Europe/Berlin.")
]


def zone_named(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        ConfigError: there is no such zone.
    """
    try:
        return read_zone(name)
    except ValueError as error:
        raise ConfigError([f"--timezone: {error}"]) from None


def read_when(option: str, text: str, zone: tzinfo) -> int:
    """Read a day (its beginning in a zone) or an RFC 3339 instant as Unix nanoseconds.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if len(text) == len("2026-11-01"):
            day = date.fromisoformat(text)
            return midnight_unix_nano(day, zone)
        return read_instant(text)
    except ValueError:
        hint = 'expected a day, as in 2026-11-01, or an instant with a zone, as in "2026-11-01T09:30:00Z"'
        raise ConfigError([f"{option} {text}: {hint}"]) from None
