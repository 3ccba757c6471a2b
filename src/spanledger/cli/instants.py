"""Times on the command line: days, and instants with a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from spanledger.config.price_values import read_instant
from spanledger.core.errors import ConfigError
from spanledger.core.times import NANO_PER_SECOND

TimezoneOption = Annotated[
    str, typer.Option("--timezone", metavar="ZONE", help="Time zone that days begin in, as in Europe/Berlin.")
]


def zone_named(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        ConfigError: there is no such zone, or no database of zones on this machine.
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "give an IANA name, as in Europe/Berlin (a slim system may lack its tzdata package)"
        raise ConfigError([f"--timezone {name}: no such zone; {hint}"]) from None


def read_when(option: str, text: str, zone: tzinfo) -> int:
    """Read a day (its beginning in a zone) or an RFC 3339 instant as Unix nanoseconds.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if len(text) == len("2026-11-01"):
            day = date.fromisoformat(text)
            return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NANO_PER_SECOND
        return read_instant(text)
    except ValueError:
        hint = 'expected a day, as in 2026-11-01, or an instant with a zone, as in "2026-11-01T09:30:00Z"'
        raise ConfigError([f"{option} {text}: {hint}"]) from None
