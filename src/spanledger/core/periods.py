"""Calendar periods: days, weeks and months of a time zone as stretches of time, and how people name them.

A day runs from the first instant of its date to the first instant of the next one: 23 or 25 hours where clocks change.
Weeks begin on Monday.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cache

from spanledger.core.digest import digest_of
from spanledger.core.times import NANO_PER_SECOND

DAY = timedelta(days=1)

_ACCEPTED = "today, yesterday, week, month, 7d, 2026, 2026-11, 2026-11-24, or FROM..TO of these"
_DAYS = re.compile(r"([1-9][0-9]{0,3})d")
_DATE = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?")
_YEARS = range(1970, 2200)


class Cycle(StrEnum):
    """How often a calendar period begins anew."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both included, in a time zone."""

    first: date
    last: date
    zone: tzinfo

    @property
    def start_unix_nano(self) -> int:
        """The first instant."""
        return midnight_unix_nano(self.first, self.zone)

    @property
    def end_unix_nano(self) -> int:
        """The first instant after it."""
        return midnight_unix_nano(self.last + DAY, self.zone)

    def days(self) -> Iterator[Period]:
        """Each day of the period, a period itself."""
        for number in range((self.last - self.first).days + 1):
            day = self.first + number * DAY
            yield Period(day, day, self.zone)


def midnight_unix_nano(day: date, zone: tzinfo) -> int:
    """The first instant of a date in a time zone; where midnight is skipped, the instant of the change."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NANO_PER_SECOND


def date_of(unix_nano: int, zone: tzinfo) -> date:
    """The date of an instant in a time zone."""
    return datetime.fromtimestamp(unix_nano // NANO_PER_SECOND, tz=zone).date()


@cache
def calendar_of(zone: tzinfo) -> str:
    """Name the days of a time zone by its present rules: where a midnight of 2020 to 2039 moves, the name does."""
    first = date(2020, 1, 1).toordinal()
    midnights = (midnight_unix_nano(date.fromordinal(day), zone) for day in range(first, date(2040, 1, 1).toordinal()))
    return f"{zone} {digest_of(*map(str, midnights))}"


def period_around(cycle: Cycle, day: date, zone: tzinfo) -> Period:
    """The day, week or month that a date is in."""
    return Period(*_around(cycle, day), zone)


def parse_period(text: str, today: date, zone: tzinfo) -> Period:
    """Read a period as people write it; `7d` are the last seven days, today included.

    Raises:
        ValueError: it is none; says what can be written.
    """
    first, dots, last = text.strip().partition("..")
    begin, end = _read(first, today)
    if dots:
        end = _read(last, today)[1]
    if end < begin:
        raise ValueError(f"{text!r} ends before it begins")
    return Period(begin, end, zone)


def _read(text: str, today: date) -> tuple[date, date]:
    if text in ("today", "week", "month"):
        return _around(Cycle.DAY if text == "today" else Cycle(text), today)
    if text == "yesterday":
        return today - DAY, today - DAY
    if days := _DAYS.fullmatch(text):
        return today - (int(days[1]) - 1) * DAY, today
    dates = _dates(text)
    if dates is None:
        raise ValueError(f"{text!r} is no period; give {_ACCEPTED}")
    return dates


def _dates(text: str) -> tuple[date, date] | None:
    """First and last day of a year, month or day; None when there is no such date."""
    named = _DATE.fullmatch(text)
    if named is None or int(named["year"]) not in _YEARS:
        return None
    try:
        first = date(int(named["year"]), int(named["month"] or 1), int(named["day"] or 1))
    except ValueError:
        return None
    if named["month"] is None:
        return first, first.replace(month=12, day=31)
    return _around(Cycle.DAY if named["day"] else Cycle.MONTH, first)


def _around(cycle: Cycle, day: date) -> tuple[date, date]:
    """First and last day of the day, week or month that a date is in."""
    match cycle:
        case Cycle.DAY:
            return day, day
        case Cycle.WEEK:
            monday = day - day.weekday() * DAY
            return monday, monday + 6 * DAY
        case Cycle.MONTH:
            first = day.replace(day=1)
            return first, (first + 31 * DAY).replace(day=1) - DAY
