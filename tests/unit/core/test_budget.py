"""Budgets: what counts, and a forecast that a person can redo on paper."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.attribution import Account
from spanledger.core.budget import EACH, Budget, BudgetState, Scope, Spending, forecast, looks_back_to
from spanledger.core.periods import DAY, Cycle, Period, period_around
from spanledger.core.usage import Basis, Provider, QueryClass, Speed

UTC = ZoneInfo("UTC")
MONDAY = date(2026, 11, 2)
NOVEMBER = period_around(Cycle.MONTH, MONDAY, UTC)


def account(user: str = "ada", team: str = "core", basis: Basis = Basis.BILLED) -> Account:
    return Account(
        basis=basis,
        user=user,
        provider=Provider.ANTHROPIC,
        model="m",
        served_model="m",
        query_class=QueryClass.MAIN,
        speed=Speed.STANDARD,
        client_version="2",
        labels=(("team", team), ("cost_center", "unallocated")),
    )


def budget(scope: str = Scope.ORGANIZATION, owner: str = "", limit: int = 100, **more: object) -> Budget:
    facts = {"cycle": Cycle.MONTH, "bases": (Basis.BILLED,), "warn_percents": (75, 90, 100)}
    return Budget(name="b", scope=scope, owner=owner, limit_picousd=limit, **facts | more)


def spending(*scopes: str) -> Spending:
    return Spending(UTC, scopes or (Scope.ORGANIZATION,), ("team", "cost_center"))


def only(states: list[BudgetState]) -> BudgetState:
    (state,) = states
    return state


def test_only_the_bases_that_a_budget_names_count() -> None:
    book = spending()
    book.add(MONDAY, account(), 40, 0)
    book.add(MONDAY, account(basis=Basis.NOTIONAL), 900, 0)
    book.add(MONDAY, account(basis=Basis.UNKNOWN), 7, 3)
    billed = only(book.states([budget()], MONDAY))
    assert (billed.spent_picousd, billed.not_counted) == (40, {Basis.NOTIONAL: 900, Basis.UNKNOWN: 7})
    assert billed.unpriced_requests == 0
    both = only(book.states([budget(bases=(Basis.BILLED, Basis.UNKNOWN))], MONDAY))
    assert (both.spent_picousd, both.not_counted, both.unpriced_requests) == (47, {Basis.NOTIONAL: 900}, 3)


def test_a_budget_is_of_one_owner_or_of_each() -> None:
    book = spending("team", Scope.USER)
    for user, team, cost in (("ada", "core", 5), ("bob", "core", 7), ("cy", "web", 1)):
        book.add(MONDAY, account(user, team), cost, 0)
    assert only(book.states([budget("team", "core")], MONDAY)).spent_picousd == 12
    assert only(book.states([budget("team", "nobody")], MONDAY)).spent_picousd == 0
    each = book.states([budget(Scope.USER, EACH)], MONDAY)
    assert [(state.owner, state.spent_picousd) for state in each] == [("ada", 5), ("bob", 7), ("cy", 1)]


def test_cost_without_a_label_is_a_budget_of_its_own() -> None:
    book = spending("cost_center")
    book.add(MONDAY, account(), 5, 0)
    assert only(book.states([budget("cost_center", "unallocated")], MONDAY)).spent_picousd == 5


@pytest.mark.parametrize(
    ("cycle", "today", "expected"),
    [
        (Cycle.DAY, date(2026, 11, 3), 4),
        (Cycle.WEEK, date(2026, 11, 3), 2 + 4),  # Monday and Tuesday
        (Cycle.MONTH, date(2026, 11, 3), 1 + 2 + 4),  # Sunday the first, too
        (Cycle.MONTH, date(2026, 12, 1), 0),
    ],
)
def test_a_period_begins_anew(cycle: Cycle, today: date, expected: int) -> None:
    book = spending()
    for n in range(3):
        book.add(date(2026, 11, 1) + n * DAY, account(), 2**n, 0)
    assert only(book.states([budget(cycle=cycle)], today)).spent_picousd == expected


@pytest.mark.parametrize(
    ("spent", "level"), [(0, None), (74, None), (75, 75), (89, 75), (90, 90), (100, 100), (250, 100)]
)
def test_a_level_is_reached_exactly_there(spent: int, level: int | None) -> None:
    book = spending()
    book.add(MONDAY, account(), spent, 0)
    assert only(book.states([budget()], MONDAY)).level_percent == level


def test_a_charge_taken_back_lowers_what_is_spent() -> None:
    book = spending()
    book.add(MONDAY, account(), 80, 0)
    book.add(MONDAY, account(), -30, 0)
    assert only(book.states([budget()], MONDAY)).spent_picousd == 50


def test_who_spent_something_earlier_is_zero_now_and_not_missing() -> None:
    book = spending()
    book.add(date(2026, 10, 5), account(team="web"), 3, 0)
    book.forget(looks_back_to(date(2026, 12, 1), UTC))
    found = {
        (one.cycle, one.labels[0][1], one.basis): one.cost_picousd for one in book.period_costs(date(2026, 12, 1), 99)
    }
    assert found[Cycle.MONTH, "web", Basis.BILLED] == 0
    assert found[Cycle.DAY, "unallocated", Basis.NOTIONAL] == 0


def test_the_first_of_a_month_is_remembered_to_its_last_day() -> None:
    """On 31 March budgets of the month look back to its first day, further than forecasts do."""
    first, last = date(2026, 3, 1), date(2026, 3, 31)
    assert looks_back_to(last, UTC) == first
    book = spending()
    book.add(first - timedelta(days=1), account(), 3, 0)
    book.add(first, account(), 5, 0)
    book.forget(looks_back_to(last, UTC))
    (month,) = (one for one in book.period_costs(last, 99) if one.cycle is Cycle.MONTH and one.cost_picousd)
    assert month.cost_picousd == 5


def test_cost_under_more_labels_than_there_is_room_for_is_summed_and_not_dropped() -> None:
    book = spending()
    for n in range(50):
        book.add(MONDAY, account(team=f"t{n}"), n, 0)
    found = [one for one in book.period_costs(MONDAY, 10) if one.cycle is Cycle.MONTH and one.basis is Basis.BILLED]
    assert sum(one.cost_picousd for one in found) == sum(range(50))
    assert [one.cost_picousd for one in found[:3]] == [49, 48, 47]
    assert found[-1].labels == (("otel.metric.overflow", "true"),)


def test_the_forecast_takes_each_day_to_come_for_its_weekday() -> None:
    # Two weeks of 10 on Mondays, 0 at weekends and 4 on the other days; today is Monday the 16th, with 3 so far.
    def cost(day: date) -> int:
        return (10, 4, 4, 4, 4, 0, 0)[day.weekday()]

    costs = {MONDAY + n * DAY: cost(MONDAY + n * DAY) for n in range(14)} | {date(2026, 11, 16): 3}
    # Spent 2 x 26; today 10; 13 days until the 29th: 4 x 4 + a week of 26; Monday the 30th 10.
    assert forecast(costs, NOVEMBER, date(2026, 11, 16)) == 52 + 10 + 16 + 26 + 10
    # What today has cost beyond its average is added.
    assert forecast(costs | {date(2026, 11, 16): 13}, NOVEMBER, date(2026, 11, 16)) == 52 + 13 + 16 + 26 + 10


def test_a_forecast_with_little_to_go_by_is_finite() -> None:
    assert forecast({}, NOVEMBER, MONDAY) == 0
    # The first day: the other 28 as this one so far.
    assert forecast({MONDAY: 5}, NOVEMBER, MONDAY) == 5 * 29
    # One day seen, a Monday with 6: every weekday is an average day.
    assert forecast({MONDAY: 6}, NOVEMBER, MONDAY + DAY) == 6 + 6 * 28


def test_a_forecast_leaves_out_weeks_before_the_first_cost() -> None:
    # A team that began on Thursday is not taken for one that spends nothing on most days.
    thursday = MONDAY + 3 * DAY
    costs = {thursday: 8, thursday + DAY: 8}
    assert forecast(costs, period_around(Cycle.WEEK, MONDAY, UTC), thursday + DAY) == 8 + 8 + 8 + 8


@given(st.dictionaries(st.dates(date(2026, 9, 1), date(2026, 11, 30)), st.integers(0, 10**15)), st.integers(1, 30))
def test_a_forecast_is_at_least_what_is_spent(costs: dict[date, int], day: int) -> None:
    today = date(2026, 11, day)
    spent = sum(cost for at, cost in costs.items() if NOVEMBER.first <= at <= today)
    assert forecast(costs, NOVEMBER, today) >= spent


SEASONS: dict[str, Callable[[date], float]] = {
    "weekdays": lambda day: 1.0 if day.weekday() < 5 else 0.08,
    "growing 2 % a week": lambda day: (1.0 if day.weekday() < 5 else 0.1) * 1.02 ** ((day - date(2026, 6, 1)).days / 7),
    "a holiday each month": lambda day: 0.05 if day.day == 20 or day.weekday() > 4 else 1.0,
    "quiet Fridays": lambda day: (1.0, 1.2, 1.1, 1.0, 0.6, 0.1, 0.1)[day.weekday()],
}


@pytest.mark.parametrize("season", SEASONS)
def test_at_the_middle_of_a_month_the_forecast_is_within_15_percent(season: str) -> None:
    """200 developers, each with a level of their own, who are away for some days and vary from day to day."""
    draw = random.Random(f"fleet of {season}")
    levels = [draw.lognormvariate(2.3, 0.7) for _ in range(200)]
    days = [date(2026, 6, 1) + n * DAY for n in range(214)]
    costs: dict[date, int] = {}
    for day in days:
        present = [level for level in levels if draw.random() < 0.85]
        costs[day] = round(SEASONS[season](day) * sum(level * draw.uniform(0.3, 1.7) for level in present) * 10**12)
    for month in range(7, 13):
        period = period_around(Cycle.MONTH, date(2026, month, 1), UTC)
        today = date(2026, month, 15)
        known = {day: cost for day, cost in costs.items() if day < today}
        actual = sum(cost for day, cost in costs.items() if period.first <= day <= period.last)
        assert abs(forecast(known, period, today) - actual) < 0.15 * actual, (
            month,
            forecast(known, period, today) / actual,
        )


def test_what_is_looked_back_to_covers_every_period_and_the_forecast() -> None:
    assert looks_back_to(date(2026, 11, 5), UTC) == date(2026, 10, 8)
    assert looks_back_to(date(2026, 12, 31), UTC) == date(2026, 12, 1)
    assert Period(looks_back_to(date(2026, 11, 30), UTC), date(2026, 11, 30), UTC).first == date(2026, 11, 1)
