"""Calendar periods in time zones, and how people write them."""

from __future__ import annotations

import itertools
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.periods import Cycle, Period, date_of, parse_period, period_around
from spanledger.core.times import shown_time

UTC = ZoneInfo("UTC")
TODAY = date(2026, 11, 24)  # a Tuesday
HOUR = 3600 * 10**9


def bounds(text: str) -> str:
    period = parse_period(text, TODAY, UTC)
    return f"{period.first}..{period.last}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-24..2026-11-24"),
        ("yesterday", "2026-11-23..2026-11-23"),
        ("week", "2026-11-23..2026-11-29"),
        ("month", "2026-11-01..2026-11-30"),
        ("1d", "2026-11-24..2026-11-24"),
        ("7d", "2026-11-18..2026-11-24"),
        ("2026", "2026-01-01..2026-12-31"),
        ("2028-02", "2028-02-01..2028-02-29"),
        ("2026-12", "2026-12-01..2026-12-31"),
        ("2026-11-24", "2026-11-24..2026-11-24"),
        ("2026-11-01..2026-11-15", "2026-11-01..2026-11-15"),
        ("2026-10..2026-11", "2026-10-01..2026-11-30"),
        ("2026-11-20..today", "2026-11-20..2026-11-24"),
    ],
)
def test_a_period_is_read_as_people_write_it(text: str, expected: str) -> None:
    assert bounds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-02-30", "0d", "-3d", "nov", "26-11", "1969", "2026-11-1", "..", "2026/11"]
)
def test_what_is_no_period_is_told_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="is no period; give today, "):
        parse_period(text, TODAY, UTC)


def test_a_period_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        parse_period("2026-11-15..2026-11-01", TODAY, UTC)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", date(2026, 11, 24), "2026-11-24T00:00:00.000Z", 24),
        ("Pacific/Kiritimati", date(2026, 11, 1), "2026-10-31T10:00:00.000Z", 24),  # UTC+14
        ("Etc/GMT+8", date(2026, 11, 1), "2026-11-01T08:00:00.000Z", 24),  # UTC-8
        ("Asia/Kathmandu", date(2026, 11, 1), "2026-10-31T18:15:00.000Z", 24),  # UTC+5:45
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00.000Z", 23),  # clocks go forward
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00.000Z", 25),  # and back
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00:00.000Z", 23),  # midnight itself is skipped
    ],
)
def test_a_day_begins_and_ends_with_its_date(zone: str, day: date, start: str, hours: int) -> None:
    period = Period(day, day, ZoneInfo(zone))
    assert shown_time(period.start_unix_nano) == start
    assert period.end_unix_nano - period.start_unix_nano == hours * HOUR
    assert date_of(period.start_unix_nano, period.zone) == day
    assert date_of(period.end_unix_nano - 1, period.zone) == day
    assert date_of(period.end_unix_nano, period.zone) > day


@given(
    st.dates(date(2000, 1, 1), date(2035, 1, 1)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.sampled_from(Cycle),
)
def test_the_days_of_a_period_fill_it_without_gap_or_overlap(day: date, zone: str, cycle: Cycle) -> None:
    period = period_around(cycle, day, ZoneInfo(zone))
    days = list(period.days())
    assert days[0].start_unix_nano == period.start_unix_nano
    assert days[-1].end_unix_nano == period.end_unix_nano
    assert all(one.end_unix_nano == two.start_unix_nano for one, two in itertools.pairwise(days))
    assert period.first <= day <= period.last
